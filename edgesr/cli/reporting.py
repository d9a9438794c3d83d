"""`edgesr report`: records as a page."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgesr.bench.report.page import write_report
from edgesr.cli.options import Json
from edgesr.cli.render import Output


def report(
    records: Annotated[list[Path], typer.Argument(metavar="RECORDS", help="Record files that `edgesr bench` wrote.")],
    destination: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The page to write; an existing one is replaced.")
    ] = Path("report.html"),
    as_json: Json = False,
) -> None:
    """Show records of `edgesr bench` as one HTML page with charts, samples, pictures and the environment; it needs no network."""
    written = write_report(records, destination)
    kilobytes = written.bytes / 1024
    counts = f"{written.records} record{'s' * (written.records != 1)}, {written.cells} cell{'s' * (written.cells != 1)}"
    line = f"{counts} -> {written.path} ({kilobytes:,.0f} KB). Open it in a browser."
    Output(as_json=as_json).result({**asdict(written), "path": str(written.path)}, [line])
