"""What a package says of itself, against what its manifest says of it: apps go by the first, people by the second."""

from collections.abc import Iterator

from edgesr.artifact import function_name
from edgesr.errors import ArtifactError
from edgesr.manifest import Manifest, TensorInfo
from edgesr.runtimes._mil.program import Feature, Function, Operation, Package
from edgesr.tensors import Size, SizeRule, one_of

IDENTITY = "edgesr.manifest"
"""The metadata's entry with the manifest's identity."""

_FORMATS = {6: "ios15", 7: "ios16", 8: "ios17", 9: "ios18"}
"""Version of the file format, as `Model.proto` counts them -> deployment target."""
_NUMBERS = ("constexpr_affine_dequantize", "constexpr_blockwise_shift_scale")
_PALETTES = ("constexpr_lut_to_dense",)


def check_description(package: Package, manifest: Manifest) -> None:
    """Raise ArtifactError where functions, inputs, outputs, sizes, precision or iOS version are not those of the manifest."""
    for what, told, expected in _compared(package, manifest):
        if told != expected:
            raise ArtifactError(
                f"the package's {what}: {told or 'none'}; its manifest says {expected}",
                hint="Do not use this package. Export the model again.",
            )


def _compared(package: Package, manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    """(of what, what the package says, what it should say)."""
    version = package.spec.specificationVersion
    yield "deployment target", _FORMATS.get(version, f"format {version}"), manifest.options["deployment"]
    several = manifest.options["shapes"] == "functions" and manifest.sizes.choices
    rules = {function_name(size): one_of((size,)) for size in manifest.sizes.choices} if several else {"main": manifest.sizes}
    yield "functions", ", ".join(sorted(package.functions)), ", ".join(sorted(rules))
    yield IDENTITY, package.spec.description.metadata.userDefined[IDENTITY], manifest.identity
    for name, rule in rules.items():
        function = package.functions[name]
        yield "precision", _precision(function), _precision_of(manifest)
        (given,), (result,) = package.inputs(name), package.outputs(name)
        yield "input", _kind(given), _kind_of(manifest.input)
        yield "output", _kind(result), _kind_of(manifest.output)
        yield "input size", _sizes(given), rule.description
        if rule.fixed:
            larger = Size(height=rule.fixed.height * manifest.scale, width=rule.fixed.width * manifest.scale)
            yield "output size", _shape(function, result), str(larger)


def _kind(feature: Feature) -> str:
    return f"{feature.name}, {f'a picture, {feature.image}' if feature.image else 'an array'}"


def _kind_of(told: TensorInfo) -> str:
    return f"{told.name}, {'a picture, RGB' if told.is_picture else 'an array'}"


def _sizes(feature: Feature) -> str:
    """The sizes that an app may give, as a `SizeRule` describes them."""
    if feature.ranges:
        (low, high), (left, right) = feature.ranges[-2:]
        rule = SizeRule(minimum=Size(height=low, width=left), maximum=Size(height=high, width=right))
    else:
        rule = one_of(tuple(Size(height=shape[-2], width=shape[-1]) for shape in feature.shapes))
    return rule.description


def _shape(function: Function, result: Feature) -> str:
    """The size of the output: a picture's is declared; an array's is that of the operation which makes it."""
    if result.shapes:
        return _sizes(result)
    ((height, width),) = (value.shape[-2:] for each in function.operations for value in each.outputs if value.name == result.name)
    return f"{height}x{width}"


def _precision(function: Function) -> str:
    """What the operations compute in. Casts are left out, and what reads the input: its numbers are brought to [0,1] there."""
    inputs = {given.name for given in function.inputs}
    counted = [each for each in function.operations if each.kind != "cast" and inputs.isdisjoint(_names(each))]
    found = {value.dtype for each in counted for value in each.outputs if value.dtype in ("FLOAT16", "FLOAT32")}
    kinds = {each.kind for each in function.operations}
    weights = [text for text, names in (("weights of 8 bits", _NUMBERS), ("palettes", _PALETTES)) if not kinds.isdisjoint(names)]
    return ", ".join([*sorted(found), *weights])


def _precision_of(manifest: Manifest) -> str:
    return {"fp32": "FLOAT32", "fp16": "FLOAT16", "w8": "FLOAT16, weights of 8 bits"}.get(manifest.precision, "FLOAT16, palettes")


def _names(each: Operation) -> set[str]:
    return {name for found in each.inputs.values() for name in found if isinstance(name, str)}
