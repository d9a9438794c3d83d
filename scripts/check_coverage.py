"""That the linters and the type checker saw every Python file of the repository, each once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


MADE = ROOT / "stubs"
"""Files that a script makes: nobody formats them, and mypy looks at them when what uses them is checked."""


def tracked() -> set[Path]:
    """The Python files that git tracks, or would track, by content: scripts without a suffix count by their first line."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    files = {ROOT / name for name in listed if name}
    return {path for path in files if path.is_file() and not path.is_symlink() and MADE not in path.parents and _is_python(path)}


def _is_python(path: Path) -> bool:
    if path.suffix:
        return path.suffix in (".py", ".pyi")
    with path.open("rb") as file:
        return b"python" in file.readline() and path.stat().st_mode & 0o111 != 0


def seen_by_ruff() -> set[Path]:
    """What `ruff check .` covers."""
    listed = subprocess.run(["ruff", "check", "--show-files", "."], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {Path(line).resolve() for line in listed.splitlines() if Path(line).suffix == ".py"}


def seen_by_mypy() -> set[Path]:
    """What `mypy` covers: the sources that it lists when it builds."""
    listed = subprocess.run(["mypy", "-v"], cwd=ROOT, capture_output=True, text=True).stderr
    found = [line.partition("path='")[2].partition("'")[0] for line in listed.splitlines() if "BuildSource(" in line]
    return {(ROOT / path).resolve() for path in found}


def main() -> int:
    """Print what was missed; 1 when anything was."""
    files = {path.resolve() for path in tracked()}
    missed = [(tool, path) for tool, seen in (("ruff", seen_by_ruff()), ("mypy", seen_by_mypy())) for path in files - seen]
    for tool, path in sorted(missed):
        print(f"{tool} did not see {path.relative_to(ROOT)}")
    if not missed:
        print(f"ruff and mypy saw all {len(files)} Python files")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
