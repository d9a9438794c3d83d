"""What a package says of itself, against what its manifest says of it: apps go by the first, people by the second."""

from collections.abc import Iterator, Sequence
from typing import Any

from edgesr.artifact import function_name
from edgesr.errors import ArtifactError
from edgesr.manifest import Manifest, TensorInfo
from edgesr.runtimes._mil.program import Feature, Function, Package
from edgesr.tensors import SizeRule, one_of

IDENTITY = "edgesr.manifest"
"""The metadata's entry with the manifest's identity."""

_FORMATS = {6: "ios15", 7: "ios16", 8: "ios17", 9: "ios18"}
"""Version of the file format, as `Model.proto` counts them -> deployment target. Its operators are of the version before."""
_NUMBERS = ("constexpr_affine_dequantize", "constexpr_blockwise_shift_scale")
_PALETTES = ("constexpr_lut_to_dense",)
_ANY = (1, -1)


def check_description(package: Package, manifest: Manifest) -> None:
    """Raise ArtifactError where functions, inputs, outputs, sizes, iOS version or metadata are not those of the manifest.

    Weights and operations are not read for it.
    """
    _check(_described(package, manifest))


def check_programs(package: Package, manifest: Manifest) -> None:
    """Raise ArtifactError where what the functions compute in, take or give is not what the manifest says. Reads the weights."""
    _check(_computed(package, manifest))


def _check(compared: Iterator[tuple[str, str, str]]) -> None:
    """Of what, what the package says, what it should say."""
    for what, told, expected in compared:
        if told != expected:
            raise ArtifactError(
                f"the package's {what}: {told or 'none'}; its manifest says {expected or 'none'}",
                hint="Do not use this package. Export the model again.",
            )


def _described(package: Package, manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    told = package.spec.description
    version = package.spec.specificationVersion
    yield "deployment target", _FORMATS.get(version, f"format {version}"), manifest.options["deployment"]
    yield "items", ", ".join(package.items), ", ".join(package.parts)
    rules = _rules(manifest)
    programs = package.spec.mlProgram.functions
    yield "functions", ", ".join(sorted(programs)), ", ".join(sorted(rules))
    yield "default function", package.default, next(iter(rules))
    described = [] if "main" in rules else sorted(rules)  # a package of one function describes it as itself
    yield "described functions", ", ".join(sorted(each.name for each in told.functions)), ", ".join(described)
    for name, program in programs.items():
        operators = f"CoreML{version - 1}"
        yield f"operators of {name}", ", ".join([program.opset, *program.block_specializations]), f"{operators}, {operators}"
    metadata = told.metadata.userDefined
    for entry, expected in ((IDENTITY, manifest.identity), ("edgesr.precision", manifest.precision)):
        yield entry, metadata[entry], expected
    for name, rule in rules.items():
        yield f"input of {name}", _texts(package.inputs(name)), str(_expected(manifest.input, rule, 1))
        yield f"output of {name}", _texts(package.outputs(name)), str(_expected(manifest.output, rule, manifest.scale))


def _computed(package: Package, manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    for name in _rules(manifest):
        function = package.functions[name]
        yield f"precision of {name}", _precision(function), _precision_of(manifest)
        given, result = ([each.name for each in side(name)] for side in (package.inputs, package.outputs))
        yield f"inputs of the program {name}", ", ".join(each.name for each in function.inputs), ", ".join(given)
        yield f"outputs of the program {name}", ", ".join(function.outputs), ", ".join(result)


def _rules(manifest: Manifest) -> dict[str, SizeRule]:
    """Function -> the sizes that it takes; the default function first."""
    sizes = manifest.sizes
    if manifest.options["shapes"] == "functions" and sizes.choices:
        return {function_name(size): one_of((size,)) for size in sizes.choices}
    return {"main": sizes}


def _texts(features: Sequence[Feature]) -> str:
    return "; ".join(str(each) for each in features)


def _expected(told: TensorInfo, rule: SizeRule, scale: int) -> Feature:
    """The input, at scale 1, or the output as Core ML describes them: a size that depends on the input's has no numbers."""
    kind: dict[str, Any] = {"name": told.name, "image": "RGB" if told.is_picture else ""}
    if scale != 1 and not rule.fixed:
        flexible: dict[str, Any] = {"shapes": ((1, 3, 1, 1),), "ranges": ((1, 1), (3, 3), _ANY, _ANY)} if told.is_picture else {}
        return Feature(**{"shapes": (), **kind, **flexible})
    if rule.is_range and rule.maximum:
        low, high = rule.minimum, rule.maximum
        sides = ((low.height, high.height), (low.width, high.width))
        return Feature(**kind, shapes=((1, 3, low.height, low.width),), ranges=((1, 1), (3, 3), *sides))
    sizes = rule.choices or (rule.minimum,)
    return Feature(**kind, shapes=tuple((1, 3, size.height * scale, size.width * scale) for size in sizes))


def _precision(function: Function) -> str:
    """What the operations compute in. Casts are left out, and what reads the input: its numbers are brought to [0,1] there."""
    inputs = {given.name for given in function.inputs}
    counted = [each for each in function.operations if each.kind != "cast" and inputs.isdisjoint(each.reads)]
    found = {value.dtype for each in counted for value in each.outputs if value.dtype in ("FLOAT16", "FLOAT32")}
    kinds = {each.kind for each in function.operations}
    weights = [text for text, names in (("weights of 8 bits", _NUMBERS), ("palettes", _PALETTES)) if not kinds.isdisjoint(names)]
    return ", ".join([*sorted(found), *weights])


def _precision_of(manifest: Manifest) -> str:
    return {"fp32": "FLOAT32", "fp16": "FLOAT16", "w8": "FLOAT16, weights of 8 bits"}.get(manifest.precision, "FLOAT16, palettes")
