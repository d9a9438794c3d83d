"""Without any optional package every module imports and every command's help works."""

import subprocess
import sys
from importlib import metadata

from packaging.requirements import Requirement

BASE = {Requirement(text).name for text in metadata.requires("edgesr") or [] if "extra" not in text}
EXTRAS = {Requirement(text).name for text in metadata.requires("edgesr") or [] if "extra" in text}
MODULE_OF = {"scikit-image": "skimage", "onnxruntime-qnn": "onnxruntime_qnn"}

PROBE = """
import importlib, importlib.abc, pkgutil, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)
        return None

sys.meta_path.insert(0, Blocked())
import edgesr
names = [info.name for info in pkgutil.walk_packages(edgesr.__path__, "edgesr.")]
assert len(names) > 40, names
for name in names:
    importlib.import_module(name)

import typer.main, typer.testing
from edgesr.cli.app import app

def helps(group, words):
    yield words
    for name, command in getattr(group, "commands", {{}}).items():
        yield from helps(command, [*words, name])

runner = typer.testing.CliRunner()
seen = list(helps(typer.main.get_command(app), []))
assert len(seen) > 8, seen
for words in seen:
    result = runner.invoke(app, [*words, "--help"])
    assert result.exit_code == 0, (words, result.output)
    assert "Usage" in result.output, words
"""


def test_every_module_imports_and_every_help_works() -> None:
    blocked = {MODULE_OF.get(name, name) for name in EXTRAS - BASE}
    assert "coremltools" in blocked
    code = PROBE.format(blocked=blocked)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
