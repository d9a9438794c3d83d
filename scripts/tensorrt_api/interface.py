"""One version's interface, read from the stub package."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Kind = str
"""The type of a value, by the class's name; "" where it is not one of TensorRT's."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """names: of the parameters without self, the first `required` of which must be given. open: whether there may be others."""

    names: tuple[str, ...]
    required: int
    open: bool
    result: Kind


@dataclass(frozen=True, kw_only=True)
class Class:
    """attributes: name -> type. classes: those inside it, as in ILogger.Severity."""

    functions: dict[str, Function] = field(default_factory=dict)
    attributes: dict[str, Kind] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Interface:
    """major: the version. classes: by name, inner ones as OUTER.INNER."""

    major: int
    classes: dict[str, Class]
    functions: dict[str, Function]
    attributes: dict[str, Kind]


def read_interface(stub: Path, major: int) -> Interface:
    """The part of the stub that version `major` has."""
    module = ast.parse(stub.read_text(encoding="utf-8"))
    classes: dict[str, Class] = {}
    outer = _class("", module, major, classes)
    attributes = {name: kind for name, kind in outer.attributes.items() if not name.startswith("is_1")}
    return Interface(major=major, classes=classes, functions=outer.functions, attributes=attributes)


def _class(name: str, node: ast.ClassDef | ast.Module, major: int, classes: dict[str, Class]) -> Class:
    functions, attributes, inner = {}, {}, set()
    for statement in _of_version(node.body, major):
        if isinstance(statement, ast.FunctionDef):
            functions[statement.name] = _function(statement, method=bool(name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            attributes[statement.target.id] = _kind(statement.annotation)
        elif isinstance(statement, ast.ClassDef):
            full = f"{name}.{statement.name}".lstrip(".")
            classes[full] = _class(full, statement, major, classes)
            inner.add(statement.name)
    bases = tuple(ast.unparse(base) for base in node.bases) if isinstance(node, ast.ClassDef) else ()
    return Class(functions=functions, attributes=attributes, classes=frozenset(inner), bases=bases)


def _of_version(body: Sequence[ast.stmt], major: int) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If):
            if ast.unparse(statement.test) == f"is_{major}":
                yield from statement.body
        else:
            yield statement


def _function(node: ast.FunctionDef, *, method: bool) -> Function:
    names = [argument.arg for argument in node.args.args][int(method) :]
    return Function(
        names=tuple(names),
        required=len(names) - len(node.args.defaults),
        open=node.args.vararg is not None,
        result=_kind(node.returns),
    )


def _kind(annotation: ast.expr | None) -> Kind:
    """`ClassVar[X]` and `X` -> X; "" for what is not TensorRT's, and for lists of it."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "ClassVar":
        annotation = annotation.slice
    text = ast.unparse(annotation) if annotation else ""
    return (
        text if text.replace(".", "").isidentifier() and not text.startswith("builtins.") and text not in ("Any", "None") else ""
    )
