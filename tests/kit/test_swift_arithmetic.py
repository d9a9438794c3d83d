"""The kit's arithmetic is run, not only read: its plain Swift is translated to Python line by line and compared with the vectors.

The translation knows the few forms that these files are written in, and stops at any other. Swift's integers and Float are kept:
integer division and remainder cut towards zero, Float is rounded to 24 bits after every step, UInt8 refuses what does not fit.
"""

import json
import math
import re
import struct
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesr.kit.ios import write_ios_kit

FORMS = [
    (re.compile(r"^(?:let|var) (\w+)(?:: [^=]+)? = (.+)$"), r"\1 = \2"),
    (re.compile(r"^for (\w+) in (.+)\.\.<(.+) \{$"), r"for \1 in whole(\2, \3):"),
    (re.compile(r"^for (\w+) in (.+)\.\.\.(.+) \{$"), r"for \1 in whole(\2, \3 + 1):"),
    (re.compile(r"^for (\w+) in (\w+) \{$"), r"for \1 in \2:"),
    (re.compile(r"^(if|while) (.+) \{$"), r"\1 \2:"),
    (re.compile(r"^(return .+|[\w.]+(?:\[.+\])? [-+*/]?= .+|[\w.]+\(.+\))$"), r"\1"),
]
PARTS = [
    (re.compile(r"\[\w+\]\(repeating: (\w+), count: ([^()]+)\)"), r"[\1] * (\2)"),
    (re.compile(r"(\([^()]*\)|\w+)\.rounded\(\.down\)"), r"floor(\1)"),
    (re.compile(r"([\w.]+)\.count\b"), r"Int(len(\1))"),
    (re.compile(r"\b\w+: (?=\S)"), ""),  # labels: Swift has arguments in the order of the declaration
    (re.compile(r"&|\btry "), ""),
]


def python_of(swift: str) -> str:
    """Functions without closures, of the forms above; structs are left out."""
    lines, depth, in_struct = [], 0, False
    for line in whole_statements(swift):
        if line.startswith("struct ") and depth == 0:
            in_struct = True
        elif line.startswith("func "):
            lines.append(signature(line))
        elif line != "}" and not in_struct:
            lines.append("    " * depth + statement(line))
        depth += line.count("{") - line.count("}")
        in_struct = in_struct and depth > 0
    return "\n".join(lines) + "\n"


def whole_statements(swift: str) -> Iterator[str]:
    """Lines without comments and indentation; what is in open round brackets is one line."""
    waiting = ""
    for line in swift.splitlines():
        waiting = f"{waiting} {line.partition('//')[0].strip()}".strip()
        if waiting and waiting.count("(") == waiting.count(")"):
            yield waiting
            waiting = ""
    assert not waiting


def signature(line: str) -> str:
    """`func f(along length: Int, to x: inout T) -> T {` -> `def f(length, x):`"""
    match = re.fullmatch(r"func (\w+)\((.*)\)(?: rethrows)?(?: -> [\w\[\]]+)? \{", line)
    assert match, line
    parameters = re.sub(r"\([^()]*\)", "", match[2])  # of types that are functions
    names = [part.partition(":")[0].split()[-1] for part in parameters.split(",")]
    return f"def {match[1]}({', '.join(names)}):"


def statement(line: str) -> str:
    for form, python in FORMS:
        if form.match(line):
            line = form.sub(python, line)
            for part, replacement in PARTS:
                line = part.sub(replacement, line)
            if not re.search(r"[{}$?!]|->", line):
                return line
    raise AssertionError(f"not of a form that is known: {line}")


def typed(name: str, base: Any, of: Callable[[Any], Any], **special: Callable[[Any, Any], Any]) -> Any:
    """A number type whose operators, from either side, give the type itself."""

    def operator(own: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda a, b: made(own(base(a), base(b))) if isinstance(b, int | float) else NotImplemented

    def turned(own: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda a, b: made(own(base(b), base(a))) if isinstance(b, int | float) else NotImplemented

    usual: dict[str, Callable[[Any, Any], Any]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "truediv": lambda a, b: a / b,
        **special,
    }
    methods: dict[str, Any] = {f"__{key}__": operator(own) for key, own in usual.items()}
    methods |= {f"__r{key}__": turned(own) for key, own in usual.items()}
    methods["__new__"] = lambda cls, value=0: base.__new__(cls, of(value))
    made = type(name, (base,), methods)
    return made


def cut_quotient(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


Int = typed("Int", int, int, truediv=cut_quotient, mod=lambda a, b: a - b * cut_quotient(a, b))
Double = typed("Double", float, float)
Float = typed("Float", float, lambda value: struct.unpack("f", struct.pack("f", value))[0])


def uint8(value: float) -> int:
    assert 0 <= value <= 255, "Swift stops here"
    return int(value)


class Raster:
    def __init__(self, width: int, height: int, samples: list[int] | None = None) -> None:
        self.width, self.height = Int(width), Int(height)
        self.samples = [255] * (4 * width * height) if samples is None else samples


Sizes = namedtuple("Sizes", "leastHeight leastWidth mostHeight mostWidth")
Tiling = namedtuple("Tiling", "sizes tile overlap scale")


def whole(start: int, stop: int) -> Iterator[Any]:
    return (Int(value) for value in range(start, stop))


def run(swift: str) -> dict[str, Any]:
    """The functions of the source, by name."""
    names: dict[str, Any] = {
        **{"Int": Int, "Double": Double, "Float": Float, "UInt8": uint8, "Raster": Raster, "whole": whole},
        "floor": math.floor,
        "Span": namedtuple("Span", "start stop keepStart keepStop"),
        "Sizes": Sizes,
        "Tiling": Tiling,
        "Taps": namedtuple("Taps", "places weights"),
    }
    exec(compile(python_of(swift), "<swift>", "exec"), names)  # noqa: S102  # our own templates, to see what they compute
    return names


def opaque(width: int, height: int, colours: list[int]) -> Raster:
    return Raster(width, height, [sample for at in range(0, len(colours), 3) for sample in (*colours[at : at + 3], 255)])


def planted(tile: Raster, scale: int) -> Raster:
    """The vectors' network: the pixel below, the one opposite of it in the tile, and 3x + 5y, modulo 256."""
    result = Raster(scale * tile.width, scale * tile.height)
    for y in range(result.height):
        for x in range(result.width):
            below = y // scale * tile.width + x // scale
            opposite = tile.width * tile.height - 1 - below
            for channel in range(3):
                source = tile.samples[4 * below + channel] + tile.samples[4 * opposite + channel]
                result.samples[4 * (y * result.width + x) + channel] = (source + 3 * x + 5 * y) % 256
    return result


def mosaic(swift: dict[str, Any], vector: Any) -> list[int]:
    sizes = Sizes(*map(Int, (*vector["minimum"], *vector["maximum"])))
    tiling = Tiling(sizes, *(Int(vector[key]) for key in ("tile", "overlap", "scale")))
    picture = opaque(vector["width"], vector["height"], vector["samples"])
    told: list[tuple[int, int]] = []
    result = swift["runInTiles"](
        picture, tiling, lambda done, total: told.append((done, total)), lambda tile: planted(tile, vector["scale"])
    )
    assert [done for done, _ in told] == list(range(told[-1][1] + 1))
    return [sample for at, sample in enumerate(result.samples) if at % 4 < 3]


def alpha(swift: dict[str, Any], vector: Any) -> list[int]:
    picture = Raster(vector["width"], vector["height"], [part for value in vector["alpha"] for part in (0, 0, 0, value)])
    result = Raster(vector["scale"] * picture.width, vector["scale"] * picture.height)
    swift["enlargeAlpha"](picture, result, Int(vector["scale"]))
    return result.samples[3::4]


def spans(swift: dict[str, Any], vector: Any) -> list[tuple[int, ...]]:
    return [tuple(span) for span in swift["spans"](*(Int(vector[key]) for key in ("length", "least", "most", "tile", "overlap")))]


def is_whole(swift: dict[str, Any], vector: Any) -> bool:
    taken = [Sizes(*map(Int, sides)) for sides in vector["taken"]]
    beyond, size = Tiling(taken[0], Int(7), Int(3), Int(2)), (Int(vector["height"]), Int(vector["width"]))
    made = swift["plan"](*size, taken, beyond)
    assert made in (beyond, Tiling(Sizes(*size, *size), 1, 0, 2))
    return bool(made != beyond)


def grey(swift: dict[str, Any], vector: Any) -> list[int]:
    picture = opaque(1, 1, [vector["red"], vector["green"], vector["blue"]])
    swift["makeGrey"](picture)
    return picture.samples


def differing(swift: dict[str, Any], vectors: Any) -> list[str]:
    """The kinds of vectors with which the Swift does not agree."""
    agreed = {
        "spans": all(
            spans(swift, v) == list(zip(*(v[key] for key in ("starts", "stops", "keepStarts", "keepStops")), strict=True))
            for v in vectors["spans"]
        ),
        "plans": all(is_whole(swift, v) == v["isWhole"] for v in vectors["plans"]),
        "reflections": all(
            [swift["reflected"](index, Int(v["count"])) for index in whole(0, len(v["places"]))] == v["places"]
            for v in vectors["reflections"]
        ),
        "samples": all(swift["sample"](Float(v["value"])) == v["sample"] for v in vectors["samples"]),
        "lumas": all(grey(swift, v) == [*3 * [v["luma"]], 255] for v in vectors["lumas"]),
        "alphas": all(alpha(swift, v) == v["enlarged"] for v in vectors["alphas"]),
        "mosaics": all(mosaic(swift, v) == v["result"] for v in vectors["mosaics"]),
    }
    assert agreed.keys() | {"golden"} == vectors.keys()
    return [kind for kind, well in agreed.items() if not well]


@pytest.fixture
def source(artifact: Path, tmp_path: Path) -> tuple[str, Any]:
    """The arithmetic of a kit, and its vectors."""
    folder = write_ios_kit(artifact, output=tmp_path / "kit", name="Kit").folder
    swift = "".join((folder / "Sources" / "Kit" / f"{name}.swift").read_text(encoding="utf-8") for name in ("Tiling", "Samples"))
    return swift, json.loads((folder / "Tests" / "KitTests" / "Resources" / "vectors.json").read_text())


def test_the_swift_gives_what_edgesr_gives(source: tuple[str, Any]) -> None:
    swift, vectors = source
    assert differing(run(swift), vectors) == []


@pytest.mark.parametrize(
    ("right", "wrong", "kinds"),
    [
        ("let step = window - 2 * overlap", "let step = window - overlap", {"spans", "mosaics"}),
        ("while next < length - 2 * overlap", "while next < length", {"spans"}),
        ("min(starts[starts.count - 1], length - least)", "starts[starts.count - 1]", {"spans", "mosaics"}),
        ("max(least, min(starts[index] + window, length))", "starts[index] + window", {"spans", "mosaics"}),
        ("min(max(tile + 2 * overlap, least), most)", "most", {"spans", "mosaics"}),
        ("(starts[index + 1] + stop) / 2", "(starts[index + 1] + stop + 1) / 2", {"spans", "mosaics"}),
        ("height * width <= largestWhole", "height * width < largestWhole", {"plans"}),
        ("min(max(width, sizes.leastWidth), sizes.mostWidth) == width", "width <= sizes.mostWidth", {"plans"}),
        ("return 2 * (count - 1) - place", "return 2 * count - 1 - place", {"reflections", "mosaics"}),
        ("row: Span, column: Span, scale", "column: Span, row: Span, scale", {"mosaics"}),
        ("clamped * 255 + 0.5", "clamped * 255", {"samples", "alphas"}),
        ("clamped * 255 + 0.5", "clamped * 256 + 0.5", {"samples", "alphas"}),
        ("min(max(value, 0), 1)", "max(value, 0)", {"samples", "alphas"}),
        ("587 * Int(green) + 114 * Int(blue)", "114 * Int(green) + 587 * Int(blue)", {"lumas"}),
        ("+ 500) / 1000", ") / 1000", {"lumas"}),
        ("(-0.5 * x + 2.5)", "(-0.75 * x + 2.5)", {"alphas"}),
        ("/ Double(scale) - 0.5", "/ Double(scale)", {"alphas"}),
        ("place = 2 * count - 1 - place", "place = 2 * count - 2 - place", {"alphas"}),
    ],
)
def test_the_vectors_find_what_is_planted(source: tuple[str, Any], right: str, wrong: str, kinds: set[str]) -> None:
    swift, vectors = source
    assert right in swift
    try:
        found = set(differing(run(swift.replace(right, wrong)), vectors))
    except (AssertionError, IndexError, ValueError):
        return  # a step that Swift stops at too
    assert kinds <= found


@pytest.mark.parametrize("line", ["guard x else {", "let f = { $0 }", "x.map { $0 }", "switch x {"])
def test_other_forms_of_swift_are_not_guessed_at(line: str) -> None:
    with pytest.raises(AssertionError):
        python_of(f"func f(x: Int) {{\n    {line}\n}}\n")
