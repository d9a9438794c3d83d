"""The command line's entry point."""

import signal
import sys
from typing import Annotated

import typer

from edgesr import __version__
from edgesr.cli import benching, building, catalogue, comparing, doctoring, exporting, kitting, pictures, reporting, weights
from edgesr.cli.errors import exit_code_of
from edgesr.cli.render import Output

app = typer.Typer(
    name="edgesr",
    help="Efficient super-resolution networks from PyTorch checkpoints to phones and Jetsons.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        Output().result(__version__, [f"edgesr {__version__}"])
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Commands exit with 0 ok, 1 error, 2 usage, 3 parity failed, 4 backend missing, 5 regression gate."""


app.command()(catalogue.models)
app.command()(catalogue.inspect)
app.add_typer(weights.app, name="weights")
app.command()(exporting.plan)
app.command()(exporting.export)
app.command()(building.build)
app.command()(exporting.verify)
app.command()(pictures.upscale)
app.command("eval")(pictures.evaluation)
app.add_typer(kitting.app, name="kit")
app.command()(reporting.report)
app.command()(benching.bench)
app.command()(comparing.compare)
app.command()(doctoring.doctor)


def main() -> None:
    """Run the command and exit with its code. A request to end (SIGTERM, SIGHUP) is an interrupt, so that it cleans up too."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        if (number := getattr(signal, name, None)) and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    sys.exit(exit_code_of(lambda: app(standalone_mode=False)))
