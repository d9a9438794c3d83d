"""What a package says of itself, in all the forms that ours have: precisions, sizes, pictures, several functions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.errors import ArtifactError
from edgesr.runtimes._mil.evaluation import Evaluator
from edgesr.runtimes._mil.program import Feature, Package

_WEIGHT = np.random.default_rng(1).standard_normal((12, 3, 3, 3)).astype(np.float32)
_SHAPE = (1, 3, 6, 8)


def _network(mb: Any, x: Any) -> Any:
    y = mb.conv(x=x, weight=_WEIGHT, pad_type="custom", pad=[1, 1, 1, 1])
    return mb.pixel_shuffle(x=y, upscale_factor=2, name="output")


def _flexible(workshop: Any, input_type: Any, *, target: str = "iOS16", clip: bool = False) -> Package:
    """The network with an input type of coremltools."""
    ct = workshop.ct
    mil = ct.converters.mil.mil
    program = mil.Program()
    specs = {"x0": ct.converters.mil.Builder.placeholder(shape=input_type.shape.symbolic_shape, dtype=mil.types.fp32)}
    with mil.Function(specs, opset_version=ct.target[target]) as function:
        mb = ct.converters.mil.Builder
        y = _network(mb, function.inputs["x0"])
        if clip:
            y = mb.clip(x=mb.mul(x=y, y=np.float32(255)), alpha=np.float32(0), beta=np.float32(255), name="picture")
        function.set_outputs([y])
    function.input_types = [input_type]
    if clip:
        function.output_types = [ct.ImageType(name="picture", color_layout=ct.colorlayout.RGB, channel_first=True)]
    program.add_function("main", function)
    return Package(workshop.save(workshop.model(program, target=target, passes=True)))


def _expected(x: np.ndarray) -> np.ndarray:
    import torch

    y = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(_WEIGHT), padding=1)
    return torch.nn.functional.pixel_shuffle(y, 2).numpy()


def test_half_precision_is_rounded_where_it_is_declared(workshop: Any, evaluate: Any) -> None:
    x = np.random.default_rng(0).random(_SHAPE, dtype=np.float32)
    package = workshop.package(_network, _SHAPE, half=True)
    (exact,), (rounded,) = (evaluate(package, x, rounding=each) for each in ("none", "declared"))
    assert np.abs(exact - _expected(x)).max() < 2e-2  # the weights are rounded in the file
    assert np.abs(exact - rounded).max() > 1e-5
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16).astype(np.float32))


_ROUNDED = {
    "add": lambda mb, x: mb.add(x=x, y=np.float32(0.3)),
    "conv": lambda mb, x: mb.conv(x=x, weight=_WEIGHT, pad_type="valid"),
    "gelu": lambda mb, x: mb.gelu(x=x, mode="EXACT"),
    "layer_norm": lambda mb, x: mb.layer_norm(x=x, axes=[1], gamma=np.full(3, 1.1, np.float32)),
    "leaky_relu": lambda mb, x: mb.leaky_relu(x=x, alpha=np.float32(0.3)),
    "matmul": lambda mb, x: mb.matmul(x=x, y=x, transpose_y=True),
    "mul": lambda mb, x: mb.mul(x=x, y=np.float32(0.3)),
    "real_div": lambda mb, x: mb.real_div(x=x, y=np.float32(0.3)),
    "reduce_mean": lambda mb, x: mb.reduce_mean(x=x, axes=[2, 3], keep_dims=True),
    "sigmoid": lambda mb, x: mb.sigmoid(x=x),
    "softmax": lambda mb, x: mb.softmax(x=x, axis=-1),
    "sub": lambda mb, x: mb.sub(x=x, y=np.float32(0.3)),
}


@pytest.mark.parametrize("name", _ROUNDED)
def test_every_operator_that_computes_is_rounded(name: str, workshop: Any, evaluate: Any) -> None:
    """Its input is a half already, so that only its own rounding can make the difference."""
    x = (np.random.default_rng(2).standard_normal(_SHAPE).astype(np.float16) * np.float16(3)).astype(np.float32)
    package = workshop.package(_ROUNDED[name], _SHAPE, half=True)
    (exact,), (rounded,) = (evaluate(package, x, rounding=each) for each in ("none", "declared"))
    np.testing.assert_array_equal(rounded, exact.astype(np.float16).astype(np.float32))
    assert np.abs(exact - rounded).max() > 0


def test_rounding_a_result_leaves_what_it_was_made_of(workshop: Any, evaluate: Any) -> None:
    """A cast's result may lie in its operand's memory; what else reads the operand reads it unrounded."""
    x = np.random.default_rng(3).random(_SHAPE, dtype=np.float32)

    def build(mb: Any, x: Any) -> Any:
        half = mb.cast(x=mb.cast(x=x, dtype="fp16"), dtype="fp32")
        return mb.sub(x=x, y=half)

    (lost,) = evaluate(workshop.package(build, _SHAPE), x, rounding="declared")
    np.testing.assert_allclose(lost, x - x.astype(np.float16).astype(np.float32), atol=1e-7)
    assert np.abs(lost).max() > 1e-5


def test_single_precision_is_never_rounded(workshop: Any, evaluate: Any) -> None:
    x = np.random.default_rng(0).random(_SHAPE, dtype=np.float32)
    package = workshop.package(_network, _SHAPE)
    (exact,), (rounded,) = (evaluate(package, x, rounding=each) for each in ("none", "declared"))
    np.testing.assert_array_equal(exact, rounded)
    np.testing.assert_allclose(exact, _expected(x), rtol=1e-5, atol=1e-5)


def test_an_input_of_another_shape_is_refused(workshop: Any, evaluate: Any) -> None:
    package = workshop.package(_network, _SHAPE)
    with pytest.raises(ArtifactError, match="1x3x6x9, not 1x3x6x8"):
        evaluate(package, np.zeros((1, 3, 6, 9), np.float32))


def test_a_fixed_size(workshop: Any) -> None:
    package = workshop.package(_network, _SHAPE)
    assert package.default == "main"
    assert package.inputs("main") == (Feature(name="x0", image="", shapes=(_SHAPE,)),)


def test_a_range_of_sizes_runs_at_each(workshop: Any, evaluate: Any) -> None:
    ct = workshop.ct
    sides = [ct.RangeDim(lower_bound=4, upper_bound=16, default=default) for default in (6, 8)]
    package = _flexible(workshop, ct.TensorType(name="x0", shape=ct.Shape((1, 3, *sides)), dtype=np.float32))
    (given,) = package.inputs("main")
    assert given == Feature(name="x0", image="", shapes=(_SHAPE,), ranges=((1, 1), (3, 3), (4, 16), (4, 16)))
    assert package.functions["main"].inputs[0].shape == (1, 3, -1, -1)
    for shape in ((1, 3, 4, 16), (1, 3, 7, 5)):
        x = np.random.default_rng(0).random(shape, dtype=np.float32)
        (actual,) = evaluate(package, x)
        np.testing.assert_allclose(actual, _expected(x), rtol=1e-5, atol=1e-5)


def test_listed_sizes_run_at_each(workshop: Any, evaluate: Any) -> None:
    ct = workshop.ct
    shapes = [(1, 3, 6, 8), (1, 3, 8, 6), (1, 3, 10, 10)]
    listed = ct.EnumeratedShapes(shapes=shapes, default=shapes[0])
    package = _flexible(workshop, ct.TensorType(name="x0", shape=listed, dtype=np.float32))
    (given,) = package.inputs("main")
    assert given.shapes[0] == shapes[0]
    assert set(given.shapes) == set(shapes)
    assert not given.ranges
    for shape in shapes:
        x = np.random.default_rng(0).random(shape, dtype=np.float32)
        (actual,) = evaluate(package, x)
        np.testing.assert_allclose(actual, _expected(x), rtol=1e-5, atol=1e-5)


def test_pictures_in_and_out(workshop: Any, evaluate: Any) -> None:
    ct = workshop.ct
    given_type = ct.ImageType(name="x0", shape=_SHAPE, scale=1 / 255, color_layout=ct.colorlayout.RGB, channel_first=True)
    package = _flexible(workshop, given_type, clip=True)
    assert package.inputs("main") == (Feature(name="x0", image="RGB", shapes=(_SHAPE,)),)
    (made,) = package.outputs("main")
    assert (made.name, made.image) == ("picture", "RGB")
    pixels = np.random.default_rng(0).integers(0, 256, _SHAPE).astype(np.float32)
    (actual,) = evaluate(package, pixels)
    np.testing.assert_allclose(actual, (_expected(pixels / 255) * 255).clip(0, 255), rtol=1e-4, atol=1e-2)


def test_several_functions_share_their_weights(workshop: Any, evaluate: Any, tmp_path: Path) -> None:
    ct = workshop.ct
    shapes = {"small": (1, 3, 6, 8), "large": (1, 3, 12, 12)}
    described = ct.utils.MultiFunctionDescriptor()
    for name, shape in shapes.items():
        program = workshop.program(_network, [shape], target="iOS18")
        folder = workshop.save(workshop.model(program, target="iOS18"))
        described.add_function(str(folder), src_function_name="main", target_function_name=name)
    described.default_function_name = "small"
    ct.utils.save_multifunction(described, str(tmp_path / "both.mlpackage"))
    package = Package(tmp_path / "both.mlpackage")
    assert package.default == "small"
    assert set(package.functions) == set(shapes)
    assert sum(path.stat().st_size for path in package.folder.rglob("weight.bin")) < 2 * _WEIGHT.nbytes
    for name, shape in shapes.items():
        assert package.inputs(name)[0].shapes == (shape,)
        x = np.random.default_rng(0).random(shape, dtype=np.float32)
        (actual,) = evaluate(package, x, function=name)
        np.testing.assert_allclose(actual, _expected(x), rtol=1e-5, atol=1e-5)


def test_a_loop_is_refused(workshop: Any) -> None:
    def build(mb: Any, x: Any) -> Any:
        larger = mb.greater(x=mb.reduce_sum(x=x, axes=[0, 1, 2, 3]), y=np.float32(0))
        return mb.cond(pred=larger, _true_fn=lambda: mb.relu(x=x), _false_fn=lambda: mb.abs(x=x))

    with pytest.raises(ArtifactError, match="holds a block"):
        _ = workshop.package(build, _SHAPE).functions


def test_gathers_beyond_the_end_are_refused(workshop: Any, evaluate: Any) -> None:
    def build(mb: Any, x: Any, places: Any) -> Any:
        return mb.gather(x=x, indices=mb.cast(x=places, dtype="int32"), axis=3)

    package = workshop.package(build, _SHAPE, (2,))
    (found,) = evaluate(package, np.ones(_SHAPE, np.float32), np.array([0, 7], np.float32))
    assert found.shape == (1, 3, 6, 2)
    with pytest.raises(ArtifactError, match="places 0 to 8 of 8"):
        evaluate(package, np.ones(_SHAPE, np.float32), np.array([0, 8], np.float32))


def test_results_are_kept_no_longer_than_they_are_read(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of a hundred operations holds two results at a time."""
    import torch

    def build(mb: Any, x: Any) -> Any:
        for _ in range(100):
            x = mb.add(x=x, y=np.float32(1))
        return x

    package = workshop.package(build, _SHAPE)
    alive: list[int] = []
    evaluator = Evaluator(package.functions["main"], rounding="none")
    run = Evaluator._run

    def counted(self: Evaluator, each: Any, values: dict[str, Any]) -> None:
        run(self, each, values)
        alive.append(sum(isinstance(value, torch.Tensor) and value.shape == _SHAPE for value in values.values()))

    monkeypatch.setattr(Evaluator, "_run", counted)
    evaluator({"x0": np.zeros(_SHAPE, np.float32)})
    assert len(alive) == 100
    assert max(alive) == 2
