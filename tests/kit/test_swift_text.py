"""What can be said of the Swift by its text: brackets pair, nothing is left to fill in, the arithmetic needs no platform."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesr.kit.ios import write_ios_kit

PAIRS = {")": "(", "]": "[", "}": "{"}


def unbalanced(source: str) -> str | None:
    """The first thing that does not pair, with its line; None where all does. Knows `//` comments and strings on one line."""
    open_brackets: list[tuple[str, int]] = []
    for number, line in enumerate(source.splitlines(), 1):
        for character in code(line):
            if character == '"':
                return f"line {number}: a string without end"
            if character in PAIRS.values():
                open_brackets.append((character, number))
            elif character in PAIRS and (not open_brackets or open_brackets.pop()[0] != PAIRS[character]):
                return f"line {number}: {character} without its opening"
    return f"line {open_brackets[-1][1]}: {open_brackets[-1][0]} is never closed" if open_brackets else None


def code(line: str) -> str:
    """The line without comments and the text of strings; a string that does not end leaves its quote."""
    kept, index = "", 0
    while index < len(line) and not line.startswith("//", index):
        if line[index] != '"':
            kept, index = kept + line[index], index + 1
            continue
        end = end_of_string(line, index + 1)
        if end is None:
            return kept + '"'
        kept, index = kept + " ", end
    return kept


def end_of_string(line: str, index: int) -> int | None:
    """Where the code after a string's text goes on; of interpolations the brackets count, and strings in them are not known."""
    depth = 0
    while index < len(line):
        if line.startswith("\\(", index) or (depth and line[index] == "("):
            depth, index = depth + 1, index + (2 if line[index] == "\\" else 1)
        elif depth:
            depth, index = depth - (line[index] == ")"), index + 1
        elif line[index] == '"':
            return index + 1
        else:
            index += 2 if line[index] == "\\" else 1
    return None


@pytest.fixture(params=["image", "tensor"])
def texts(request: pytest.FixtureRequest, make_artifact: Callable[..., Path], tmp_path: Path) -> dict[str, str]:
    """The Swift files and the README of a kit, for each kind of model."""
    kit = write_ios_kit(make_artifact(io=request.param), output=tmp_path / "Kit", name="Kit")
    paths = [path for path in kit.folder.rglob("*") if path.suffix in (".swift", ".md")]
    return {path.relative_to(kit.folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def test_brackets_pair(texts: dict[str, str]) -> None:
    faults = {name: fault for name, text in texts.items() if name.endswith(".swift") and (fault := unbalanced(text))}
    assert not faults


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("func f() {\n    g(\n}", "line 3: }"),
        ("let a = [1, 2", "line 1: ["),
        ("}\n", "line 1: } without"),
        ('let a = "no end\n', "line 1: a string"),
        ('let a = "\\(f(1)) ("', None),
        ('let a = "\\(f(1)"', "line 1: a string"),
        ("// a comment (\nf()", None),
        ('let a = "// no comment" + f(', "line 1: ("),
        (r'let a = "\"(" + f()', None),
    ],
)
def test_the_check_of_brackets_finds_what_is_planted(source: str, fault: str | None) -> None:
    found = unbalanced(source)
    assert found is None if fault is None else found is not None and found.startswith(fault)


@pytest.mark.parametrize("faulty", ["}", "(", '"', "["])
def test_a_fault_in_a_template_would_be_found(texts: dict[str, str], faulty: str) -> None:
    source = texts["Sources/Kit/Tiling.swift"]
    last = source.rindex("}")
    assert unbalanced(source) is None
    assert unbalanced(f"{source[:last]}{faulty}{source[last:]}") is not None


def test_nothing_is_left_to_fill_in(texts: dict[str, str]) -> None:
    assert not [name for name, text in texts.items() if "@@" in text or "NAME" in name]


def test_every_line_is_one_that_can_be_read(texts: dict[str, str]) -> None:
    long = [name for name, text in texts.items() if name.endswith(".swift") and max(map(len, text.splitlines())) > 132]
    assert not long
    assert not [name for name, text in texts.items() if "\t" in text or not text.endswith("\n")]


@pytest.mark.parametrize("name", ["Tiling", "Samples", "Configuration"])
def test_the_arithmetic_needs_no_framework(texts: dict[str, str], name: str) -> None:
    assert "import" not in re.sub(r"//.*", "", texts[f"Sources/Kit/{name}.swift"])


def test_there_is_one_network_of_the_right_kind(make_artifact: Callable[..., Path], tmp_path: Path) -> None:
    for io, word, other in (("image", "CVPixelBuffer", "MLMultiArray"), ("tensor", "MLMultiArray", "CVPixelBuffer")):
        kit = write_ios_kit(make_artifact(io=io), output=tmp_path / io)
        sources = {path.name: path.read_text(encoding="utf-8") for path in (kit.folder / "Sources" / kit.name).glob("*.swift")}
        assert word in sources["Network.swift"]
        assert other not in sources["Network.swift"]
        assert not {"ImageNetwork.swift", "TensorNetwork.swift"} & sources.keys()


def test_only_names_that_are_declared_are_used_across_files(texts: dict[str, str]) -> None:
    """Each number of the configuration and each error is declared, and used."""
    declared = set(re.findall(r"static let (\w+)", texts["Sources/Kit/Configuration.swift"]))
    sources = "".join(text for name, text in texts.items() if name.endswith(".swift"))
    used = set(re.findall(r"Configuration\.(\w+)", sources))
    assert used == declared
    errors = set(re.findall(r"case (\w+)", texts["Sources/Kit/Upscaler.swift"].partition("public final class")[0]))
    thrown = set(re.findall(r"UpscalerError\.(\w+)", sources))
    assert thrown == errors


@pytest.mark.parametrize("length", [1, 2, 3, 8, 33, 300])
def test_the_part_of_the_golden_picture_lies_in_it(texts: dict[str, str], length: int) -> None:
    """Goldens have any size; the part is of another one where there is a smaller."""
    source = texts["Tests/KitTests/GoldenImageTests.swift"]
    assert "CGRect(x: 0, y: 0, width: width, height: height)" in source
    for side in ("width", "height"):
        (formula,) = re.findall(rf"let {side} = (.*source\.{side}.*)", source)
        part = eval(formula.replace(f"source.{side}", "length").replace("/", "//"))  # noqa: S307  # our own template
        assert 1 <= part <= length
        assert part < length or length < 3


def test_every_template_is_installed(repository: Path) -> None:
    package = repository / "edgesr"
    patterns = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["edgesr"]
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    templates = {path for path in (package / "kit" / "templates").rglob("*") if path.is_file()}
    assert len(templates) > 10
    assert templates <= installed
