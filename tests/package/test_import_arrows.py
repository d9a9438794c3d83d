"""The layers' arrows point one way, and the core imports neither PyTorch nor anything optional when it is imported."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

LAYERS = ("core", "models", "runtimes", "kit", "export", "bench", "cli")
"""From the bottom to the top: a layer may import itself and those before it."""

MODELS_LEVEL = {"reference", "weights", "seeding", "complexity"}
"""Files of the root folder that work with the families and so stand on their layer."""

TORCH_FREE = (
    "edgesr",
    "edgesr.runtime",
    "edgesr.artifact",
    "edgesr.upscale",
    "edgesr.evaluation",
    "edgesr.runtimes",
    "edgesr.export.verification",
    "edgesr.cli.app",
)


def layer_of(module: str) -> str:
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in LAYERS:
        return parts[1]
    return "models" if len(parts) > 1 and parts[1] in MODELS_LEVEL else "core"


def modules(repository: Path) -> dict[str, Path]:
    package = repository / "edgesr"
    folders = [package, *(package / name for name in LAYERS[1:])]
    files = {path for folder in folders for path in folder.rglob("*.py")}
    for door in ("__init__.py", "__main__.py"):
        files.remove(package / door)  # the front doors, which lead to every layer
    return {".".join(path.relative_to(repository).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports_of(nodes: Iterable[ast.AST]) -> set[str]:
    """The modules that these statements import, and the names that they take from them."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "import by the full name"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def all_imports(path: Path) -> set[str]:
    """What the file imports anywhere but under TYPE_CHECKING, which nothing at run time sees."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    return imports_of(ast.walk(tree))


def test_arrows(repository: Path) -> None:
    wrong = [
        f"{module} ({layer_of(module)}) imports {imported} ({layer_of(imported)})"
        for module, path in modules(repository).items()
        for imported in all_imports(path)
        if imported.split(".")[0] == "edgesr" and LAYERS.index(layer_of(imported)) > LAYERS.index(layer_of(module))
    ]
    assert not wrong, "\n".join(sorted(wrong))


def test_every_layer_is_seen(repository: Path) -> None:
    assert {layer_of(module) for module in modules(repository)} == set(LAYERS)


@pytest.mark.parametrize("module", TORCH_FREE)
def test_importing_it_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, f"{module} imports torch"


def test_core_has_no_torch_at_module_level(repository: Path) -> None:
    guilty = [
        module
        for module, path in modules(repository).items()
        if layer_of(module) == "core"
        and any(name.split(".")[0] == "torch" for name in imports_of(ast.parse(path.read_text()).body))
    ]
    assert not guilty
