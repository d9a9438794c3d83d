"""From exceptions to messages and exit codes: 0 ok, 1 error, 2 usage, 3 parity failed, 4 backend missing, 5 regression gate.

An interrupt ends with 130, as shells expect.
"""

import os
from collections.abc import Callable

import typer

from edgesr.cli.render import Output
from edgesr.errors import EdgesrError

_INTERRUPTED = 130
_NO_MEMORY = ("can't allocate memory", "CUDA out of memory")
"""What PyTorch says, on a processor and on a GPU."""


def exit_code_of(command: Callable[[], object]) -> int:
    """Run the command and return its exit code; errors become one message each on standard error.

    EDGESR_DEBUG=1 lets an unforeseen exception through with its traceback.
    """
    output = Output()
    try:
        result = command()
        code = result if isinstance(result, int) else 0
    except EdgesrError as error:
        output.error(error.message, error.hint)
        code = error.exit_code
    except typer.Exit as request:
        code = request.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read the output has gone: let Python's last flush succeed
        code = 1
    except Exception as error:
        if os.environ.get("EDGESR_DEBUG"):
            raise
        code = _unforeseen(error, output)
    if code == _INTERRUPTED:  # Typer, too, turns an interrupt into this code, without a word
        output.error("interrupted; no half-written result was left", "Run the same command again to go on.")
    return code


def _unforeseen(error: Exception, output: Output) -> int:
    """Typer's own usage errors show themselves and say their exit code; anything else is reported with its type."""
    show = getattr(error, "show", None)
    if callable(show) and hasattr(error, "exit_code"):
        show()
        return int(error.exit_code)
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        said = f": {str(error).splitlines()[0]}" if str(error) else ""
        output.error(
            f"there is not enough memory for this{said}",
            "Take a smaller size, or for pictures smaller tiles: edgesr upscale --tile 128; --help names the options.",
        )
        return 1
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        output.error(f"{where}{error.strerror or error}", "Check the path, its permissions and the free space.")
        return 1
    output.error(
        f"unforeseen {type(error).__name__}: {error}", "This is a bug. Run it again with EDGESR_DEBUG=1 and report the traceback."
    )
    return 1
