"""From pybind11's docstrings, as the recorded interfaces hold them, to parameters and types.

A recorded signature is one line of at most 200 characters: longer ones are cut off, and of functions with several signatures only
`(*args, **kwargs)` is left. Such a signature is `open`: it may have more parameters than we know.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LENGTH = 200
_PREFIX = re.compile(r"(?:tensorrt_bindings\.tensorrt\.|nvinfer1::|nvonnxparser::)")
_WORDS = {
    "typing.SupportsInt": "int",
    "typing.SupportsFloat": "float",
    "typing_extensions.Buffer": "Buffer",
    "typing_extensions.CapsuleType": "Any",
    "collections.abc.Sequence": "Sequence",
    "IParserError": "ParserError",
    "capsule": "Any",
    "buffer": "Buffer",
    "object": "Any",
    "handle": "Any",
    "List": "list",
    "Tuple": "tuple",
}
_BUILTIN = {"bool", "int", "str", "float", "bytes", "list", "tuple", "None", "memoryview"}
_KNOWN = {"Any", "Buffer", "Sequence"}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter without `self`. kind: its type as a stub writes it."""

    name: str
    kind: str
    optional: bool


@dataclass(frozen=True, kw_only=True)
class Signature:
    """parameters: those that are known. result: the type. open: whether there may be more, and the result is unknown."""

    parameters: tuple[Parameter, ...]
    result: str
    open: bool


def parse(text: str, names: frozenset[str]) -> Signature:
    """`name(self: C, a: int = 0) -> R` -> signature. names: the classes there are, by which types are told from nonsense."""
    cut = len(text) >= _LENGTH
    _, opened, rest = text.partition("(")
    if not opened or "*args" in rest:
        return Signature(parameters=(), result="Any", open=True)
    inside, closed, after = _until_closed(rest)
    parts = list(_split(inside))
    if cut and not closed:
        parts = parts[:-1]  # the last one may be half of one
    parameters = tuple(_parameter(part, names) for part in parts if part.partition(":")[0].strip() not in ("self", ""))
    result = after.partition("->")[2].strip()
    complete = bool(closed) and not cut
    return Signature(parameters=parameters, result=kind(result, names) if complete and result else "Any", open=not closed)


def kind(text: str, names: frozenset[str]) -> str:
    """A type as pybind11 writes it -> as a stub writes it; Any for what we do not know."""
    plain = _PREFIX.sub("", text.strip())
    for word, ours in _WORDS.items():
        plain = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", ours, plain)
    for word in re.findall(r"[A-Za-z_][\w.:]*", plain):
        if word.partition(".")[0] not in names | _BUILTIN | _KNOWN:
            return "Any"
    try:
        compile(plain, "type", "eval")
    except SyntaxError:
        return "Any"
    plain = re.sub(r"\b(list|tuple)(?!\w|\[)", r"\1[Any]", plain)
    return re.sub(rf"(?<![\w.])({'|'.join(sorted(_BUILTIN - {'None'}))})(?!\w)", r"builtins.\1", plain)


def _parameter(text: str, names: frozenset[str]) -> Parameter:
    declared, default, _ = text.partition(" = ")
    name, _, declared_kind = declared.partition(":")
    return Parameter(name=name.strip(), kind=kind(declared_kind, names) if declared_kind else "Any", optional=bool(default))


def _until_closed(text: str) -> tuple[str, str, str]:
    """What lies before the bracket that closes the parameters, that bracket, and the rest."""
    depth = 0
    for index, character in enumerate(text):
        if character in "([<{":
            depth += 1
        elif character in ")]}" or (character == ">" and text[index - 1] != "-"):
            if depth == 0:
                return text[:index], character, text[index + 1 :]
            depth -= 1
    return text, "", ""


def _split(text: str) -> Iterator[str]:
    """The parts between commas that stand in no bracket."""
    depth, start = 0, 0
    for index, character in enumerate(text):
        if character in "([<{":
            depth += 1
        elif character in ")]}>":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:index]
            start = index + 1
    yield text[start:]
