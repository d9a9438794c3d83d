"""What the command prints: results for people or as JSON on standard output, everything else on standard error."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from edgesr.progress import Progress

_FILE_WIDTH = 150


class Output:
    """Where a command's result goes. With `as_json`, standard output holds one JSON document and nothing else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._out = _console()
        self._err = _console(stderr=True)

    def result(self, data: Any, lines: Iterable[str | Table]) -> None:
        """Print `data` as JSON, or `lines` for people."""
        if self._as_json:
            self._out.print(json.dumps(data, indent=2, ensure_ascii=False))
            return
        for line in lines:
            self._out.print(line)

    def warn(self, message: str) -> None:
        """Print a warning that nobody should miss."""
        self._err.print(Text.assemble(("Warning:", "bold yellow"), " ", message))

    def note(self, message: str) -> None:
        """Print what has just been done, above the progress."""
        self._err.print(message)

    def error(self, message: str, hint: str = "") -> None:
        """Print an error and what to do next."""
        self._err.print(Text.assemble(("Error:", "bold red"), " ", message))
        if hint:
            self._err.print(hint)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        """A Progress that shows one line for the stage at work; only on a terminal."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with RichProgress(*columns, console=self._err, transient=True, disable=not self._err.is_terminal) as bar:
            task = bar.add_task("starting", total=None)

            def report(stage: str, done: int = 0, total: int | None = None) -> None:
                bar.update(task, description=stage, completed=done, total=total)

            yield report


def _console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough for our tables where there is none."""
    # Names of files are printed as they are, whatever brackets and colons they have.
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _FILE_WIDTH
    return console


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> Table:
    """A table; the columns named in `numbers` are aligned to the right. Cells are printed as text, and `Text` with its style."""
    made = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else str(cell) for cell in row))
    return made


def big(count: float) -> str:
    """A count with a unit, as in 967.5 K or 149.2 G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(count) >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count:g}"
