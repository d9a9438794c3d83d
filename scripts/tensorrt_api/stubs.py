"""The stub package `tensorrt`, of both versions at once: what only one has stands under `if is_10:` or `if is_11:`."""

import json
import keyword
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from tensorrt_api.signatures import Parameter, Signature, parse

VERSIONS = (10, 11)
Names = Mapping[str, Any]
_HEAD = '''"""Interface of TensorRT {versions}, made by scripts/tensorrt_api of what the real bindings show.

Not recorded are bases, special methods and the types of attributes; the script writes in the few that we need.
mypy sees both versions as one, or with --always-true is_10 --always-false is_11 (or the other way round) each by itself.
"""

import builtins
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from typing_extensions import Buffer

is_10: builtins.bool
is_11: builtins.bool
__version__: builtins.str
'''
_LEFT_OUT = {"attr", "value", "ctypes", "os", "sys", "tensorrt", "warnings"}
"""What the module holds without offering it."""
_SPECIAL = {
    "Dims": ("def __iter__(self) -> Iterator[builtins.int]: ...", "def __len__(self) -> builtins.int: ..."),
    "IHostMemory": ("def __buffer__(self, flags: builtins.int, /) -> memoryview: ...",),
}
_TAKEN_AS = {"Dims": "Dims | Sequence[builtins.int]"}
"""Parameters of these types take something else too."""
_BASES = {"Logger": "ILogger"}


def read(folder: Path) -> dict[int, Names]:
    """The recorded interfaces, by major version."""
    return {major: json.loads((folder / f"tensorrt-api-{major}.json").read_text(encoding="utf-8")) for major in VERSIONS}


def stub(recorded: Mapping[int, Names]) -> str:
    """The text of `tensorrt/__init__.pyi`."""
    each = {major: data["names"] for major, data in recorded.items()}
    classes = frozenset(name for names in each.values() for name, members in names.items() if isinstance(members, dict))
    lines = [_HEAD.format(versions=" and ".join(data["version"] for data in recorded.values()))]
    found = sorted({name for names in each.values() for name in names} - _LEFT_OUT)
    made = [(_having(name, each), _class(name, each, classes) if name in classes else [_constant(name, each)]) for name in found]
    lines += _only(made, "")
    return "\n".join(lines) + "\n"


def _having(name: str, each: Mapping[int, Names]) -> tuple[int, ...]:
    return tuple(major for major, names in each.items() if name in names)


def _only(parts: Iterable[tuple[tuple[int, ...], list[str]]], indent: str) -> Iterator[str]:
    """The lines of all parts; those of one version only under a condition, which neighbours share."""
    for majors, group in groupby(parts, key=lambda part: part[0]):
        lines = [line for _, part in group for line in part]
        if majors == VERSIONS:
            yield from lines
        else:
            yield f"{indent}if is_{majors[0]}:"
            yield from (f"    {line}" for line in lines)


def _constant(name: str, each: Mapping[int, Names]) -> str:
    what = next(names[name] for names in each.values() if name in names)
    if "function" in what:
        return f"def {name}(*args: Any, **kwargs: Any) -> Any: ..."
    return f"{name}: {'DataType' if what == 'DataType' else f'builtins.{what}' if what in ('int', 'str') else 'Any'}"


def _class(name: str, each: Mapping[int, Names], classes: frozenset[str]) -> list[str]:
    tables = {major: names[name] for major, names in each.items() if name in names}
    members = sorted({member for table in tables.values() for member in table})
    is_enum = any("enum" in table.values() for table in tables.values())
    lines = [f"class {name}({_BASES[name]}):" if name in _BASES else f"class {name}:"]
    severities = [
        member for member in members if any(str(table.get(member)).startswith("Severity:") for table in tables.values())
    ]
    if severities and name not in _BASES:
        lines += ["    class Severity:", *(f"        {one}: ClassVar[ILogger.Severity]" for one in severities)]
        lines += ["        name: builtins.str", "        value: builtins.int"]
    made = []
    for member in members:
        having = tuple(major for major, table in tables.items() if member in table)
        said = [table[member] for table in tables.values() if member in table]
        if member != "Severity" and not any("Initialize self" in one for one in said):  # which is what no constructor has
            line = _member(name, member, said, classes, is_enum=is_enum)
            made.append((having if len(tables) > 1 else VERSIONS, [f"    {line}"]))
    lines += _only(made, "    ")
    lines += [f"    {line}" for line in _SPECIAL.get(name, ())]
    if is_enum:
        lines.append("    def __int__(self) -> builtins.int: ...")
    return lines if len(lines) > 1 else [f"{lines[0]} ..."]


def _member(name: str, member: str, said: list[str], classes: frozenset[str], *, is_enum: bool) -> str:
    if all(one == "enum" for one in said):
        return f"{member}: ClassVar[{name}]"
    if any(one.startswith("Severity:") for one in said):
        return f"{member}: ClassVar[ILogger.Severity]"
    methods = [one.removeprefix("method: ") for one in said if one.startswith("method: ")]
    if is_enum and member in ("name", "value"):
        return f"{member}: builtins.{'str' if member == 'name' else 'int'}"
    if not methods or "staticmethod" in methods[0]:
        return f"{member}: Any"
    signatures = [parse(method, classes) for method in methods]
    return _method(member, merged(signatures))


def merged(signatures: list[Signature]) -> Signature:
    """What the versions have in common; open where one is, or where they differ."""
    first = signatures[0]
    if all(one == first for one in signatures):
        return first
    common: list[Parameter] = []
    for others in zip(*(one.parameters for one in signatures), strict=False):
        if len({each.name for each in others}) > 1:
            break
        same = len({each.kind for each in others}) == 1
        common.append(others[0] if same else Parameter(name=others[0].name, kind="Any", optional=others[0].optional))
    closed = all(not one.open and len(one.parameters) == len(common) for one in signatures)
    results = {one.result for one in signatures} - {"Any"}
    return Signature(parameters=tuple(common), result=results.pop() if len(results) == 1 else "Any", open=not closed)


def _method(name: str, signature: Signature) -> str:
    words = ["self"]
    for parameter in signature.parameters:
        written = f"{parameter.name}_" if keyword.iskeyword(parameter.name) else parameter.name
        taken = kind_of_parameter(parameter.kind)
        words.append(f"{written}: {taken}{' = ...' if parameter.optional else ''}")
    if signature.open:
        words += ["*args: Any", "**kwargs: Any"]
    result = "None" if name == "__init__" else signature.result
    return f"def {name}({', '.join(words)}) -> {result}: ..."


def kind_of_parameter(text: str) -> str:
    """What pybind11 takes for a type."""
    return _TAKEN_AS.get(text, text)
