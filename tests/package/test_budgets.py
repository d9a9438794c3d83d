"""Files of at most 300 lines, functions of at most 60, nine in ten of at most 35; no absolute paths; reasons for exceptions."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 300
FUNCTION_LINES = 60
USUAL_FUNCTION_LINES = 35
TEXT = {".py", ".md", ".toml", ".txt", ".json", ".yaml", ".yml", ".cfg", ""}
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|work|Users|opt|mnt)/")


def tracked(repository: Path) -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout.splitlines()
    return [repository / name for name in names if (repository / name).is_file() and not (repository / name).is_symlink()]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Where each function begins, and its lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.name}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def sources(repository: Path) -> list[Path]:
    found = [path for path in tracked(repository) if path.suffix == ".py"]
    assert len(found) > 60
    return found


def test_files_are_short(repository: Path) -> None:
    long = {path.name: n for path in sources(repository) if (n := len(path.read_text().splitlines())) > FILE_LINES}
    assert not long


def test_functions_are_short(repository: Path) -> None:
    lengths = [item for path in sources(repository) for item in functions(path)]
    assert not [(name, n) for name, n in lengths if n > FUNCTION_LINES]
    assert sorted(n for _, n in lengths)[int(0.9 * len(lengths))] <= USUAL_FUNCTION_LINES


def test_no_absolute_paths(repository: Path) -> None:
    guilty = [
        path.name
        for path in tracked(repository)
        if path.suffix in TEXT
        and path != Path(__file__)
        and ABSOLUTE_PATH.search(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert not guilty


def test_exceptions_to_the_linters_name_their_rule_and_give_a_reason(repository: Path) -> None:
    exception = re.compile(r"#\s*(?:noqa|type:\s*ignore)")
    reasoned = re.compile(r"#\s*(?:noqa: [A-Z]+\d+|type: ignore\[[\w-]+\])\s+# \w")
    bare = [
        f"{path.name}:{number}"
        for path in sources(repository)
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if exception.search(line) and not reasoned.search(line)
    ]
    assert not bare
