"""What only moves numbers: shapes, cuts, padding, pixel shuffles; and interpolation."""

from collections.abc import Sequence

import numpy as np

from edgesr.export.mil.node import Lowered, Node, lowers, rank


@lowers("Reshape")
def reshape(node: Node) -> Lowered:
    """Another shape; 0 keeps a side."""
    x, shape = node.x, node.ints(1)
    assert shape is not None
    if node.attribute("allowzero", 0) and 0 in shape:
        raise node.refusal(f"its shape {shape} has an empty side, supported: sides of at least 1")
    sides = [int(x.shape[axis]) if side == 0 else side for axis, side in enumerate(shape)]
    return node.mb.reshape(x=x, shape=sides, name=node.name)


@lowers("Transpose")
def transpose(node: Node) -> Lowered:
    """The axes in another order."""
    x = node.x
    perm = node.attribute("perm", list(reversed(range(rank(x)))))
    return node.mb.transpose(x=x, perm=[int(axis) for axis in perm], name=node.name)


@lowers("Squeeze")
def squeeze(node: Node) -> Lowered:
    """Without axes of length 1."""
    x, axes = node.x, node.ints(1, "axes")
    if axes is None:
        axes = [axis for axis, side in enumerate(x.shape) if side == 1]
    return node.mb.squeeze(x=x, axes=axes, name=node.name)


@lowers("Unsqueeze")
def unsqueeze(node: Node) -> Lowered:
    """With more axes of length 1."""
    return node.mb.expand_dims(x=node.x, axes=node.ints(1, "axes"), name=node.name)


@lowers("Concat")
def concat(node: Node) -> Lowered:
    """One after the other along an axis."""
    return node.mb.concat(values=list(node.inputs), axis=int(node.attribute("axis", 0)), name=node.name)


@lowers("Split")
def split(node: Node) -> Sequence[Lowered]:
    """In parts along an axis, of given or equal lengths."""
    x, sizes = node.x, node.ints(1, "split")
    axis = int(node.attribute("axis", 0))
    if sizes is None:
        length = -(-int(x.shape[axis]) // node.outputs)
        sizes = [length] * (node.outputs - 1) + [int(x.shape[axis]) - length * (node.outputs - 1)]
    return node.mb.split(x=x, split_sizes=sizes, axis=axis, name=node.name)


@lowers("Slice")
def slice_(node: Node) -> Lowered:
    """A part along some axes. Bounds beyond the ends are cut to them."""
    x, starts, ends = node.x, node.ints(1), node.ints(2)
    axes, steps = node.ints(3), node.ints(4)
    assert starts is not None
    assert ends is not None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    begin, end, stride = [0] * rank(x), [int(side) for side in x.shape], [1] * rank(x)
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        if step < 1:
            raise node.refusal(f"its step is {step}, supported: 1 and more")
        begin[axis], end[axis], stride[axis] = slice(first, last, step).indices(int(x.shape[axis]))
    return node.mb.slice_by_index(x=x, begin=begin, end=end, stride=stride, name=node.name)


@lowers("Gather")
def gather(node: Node) -> Lowered:
    """Slices at constant places. Places in a row are a cut, which the Neural Engine does, where a gather leaves it."""
    x, axis = node.x, int(node.attribute("axis", 0))
    indices = node.array(1, "indices")
    assert indices is not None
    axis %= rank(x)
    places = (indices % int(x.shape[axis])).reshape(-1).astype(np.int32)
    in_a_row = len(places) > 0 and np.array_equal(places, np.arange(places[0], places[0] + len(places)))
    if indices.ndim <= 1 and in_a_row:
        begin, size = [0] * rank(x), [int(side) for side in x.shape]
        begin[axis], size[axis] = int(places[0]), len(places)
        part = node.mb.slice_by_size(x=x, begin=begin, size=size, name=node.name)
        return part if indices.ndim else node.mb.squeeze(x=part, axes=[axis], name=f"{node.name}_squeezed")
    return node.mb.gather(x=x, indices=places.reshape(indices.shape), axis=axis, name=node.name)


@lowers("Expand")
def expand(node: Node) -> Lowered:
    """Sides of length 1 repeated, with new axes in front where the shape has more."""
    x, shape = node.x, node.ints(1)
    assert shape is not None
    wanted = list(np.broadcast_shapes(tuple(int(side) for side in x.shape), tuple(shape)))
    if len(wanted) > rank(x):
        x = node.mb.expand_dims(x=x, axes=list(range(len(wanted) - rank(x))), name=f"{node.name}_axes")
    reps = [side if int(now) == 1 else 1 for side, now in zip(wanted, x.shape, strict=True)]
    return node.mb.tile(x=x, reps=reps, name=node.name)


@lowers("Tile")
def tile(node: Node) -> Lowered:
    """The whole again and again along each axis."""
    return node.mb.tile(x=node.x, reps=node.ints(1), name=node.name)


@lowers("Pad")
def pad(node: Node) -> Lowered:
    """More around: zeros or another number, a reflection, or the edge. Core ML reflects the last two axes only."""
    x = node.x
    mode = node.only("mode", "constant", "constant", "reflect", "edge")
    sides, axes = node.ints(1), node.ints(3)
    assert sides is not None
    axes = list(range(rank(x))) if axes is None else [axis % rank(x) for axis in axes]
    before, after = [0] * rank(x), [0] * rank(x)
    for axis, less, more in zip(axes, sides[: len(axes)], sides[len(axes) :], strict=True):
        before[axis], after[axis] = less, more
    if min(*before, *after) < 0:
        raise node.refusal("it cuts where it should continue, supported: 0 and more")
    if mode == "constant":
        value = node.array(2, "constant")
        fill = np.float32(0 if value is None else value.reshape(()))
        pairs = [side for pair in zip(before, after, strict=True) for side in pair]
        return node.mb.pad(x=x, pad=pairs, mode="constant", constant_val=fill, name=node.name)
    return _pad_planes(node, x, before, after, mode={"reflect": "reflect", "edge": "replicate"}[mode])


def _pad_planes(node: Node, x: Lowered, before: list[int], after: list[int], *, mode: str) -> Lowered:
    """Pad two axes at most, moved to the end and back where they are others."""
    padded = [axis for axis in range(rank(x)) if before[axis] or after[axis]]
    if len(padded) > 2:
        raise node.refusal(f"{mode} padding of {len(padded)} axes, supported: two at most")
    last = (padded + [axis for axis in reversed(range(rank(x))) if axis not in padded])[:2]
    order = [axis for axis in range(rank(x)) if axis not in last] + sorted(last)
    pairs = [side for axis in sorted(last) for side in (before[axis], after[axis])]
    if order == list(range(rank(x))):
        return node.mb.pad(x=x, pad=pairs, mode=mode, name=node.name)
    moved = node.mb.transpose(x=x, perm=order, name=f"{node.name}_planes")
    wider = node.mb.pad(x=moved, pad=pairs, mode=mode, name=node.name)
    return node.mb.transpose(x=wider, perm=[order.index(axis) for axis in range(rank(x))], name=f"{node.name}_back")


@lowers("DepthToSpace")
def depth_to_space(node: Node) -> Lowered:
    """The pixel shuffle: PyTorch's order of channels is CRD, TensorFlow's DCR."""
    mode = node.only("mode", "DCR", "DCR", "CRD")
    factor = int(node.attribute("blocksize", 1))
    if mode == "CRD":
        return node.mb.pixel_shuffle(x=node.x, upscale_factor=factor, name=node.name)
    return node.mb.depth_to_space(x=node.x, block_size=factor, name=node.name)


@lowers("Resize")
def resize(node: Node) -> Lowered:
    """Enlargement by whole factors: nearest, or linear between pixels' centres."""
    x = node.x
    scales, sizes = node.array(2, "scales"), node.ints(3)
    if scales is None or not scales.size:
        assert sizes is not None
        scales = np.asarray([side / int(now) for side, now in zip(sizes, x.shape, strict=True)])
    factors = [float(scale) for scale in scales.reshape(-1)]
    whole = len(factors) == rank(x) == 4 and factors[:2] == [1, 1] and all(factor == int(factor) >= 1 for factor in factors)
    if not whole or "axes" in node.attributes:
        raise node.refusal(f"it scales by {factors}, supported: height and width of a map by whole factors")
    down, right = (int(factor) for factor in factors[2:])
    mode = node.only("mode", "nearest", "nearest", "linear")
    centres = ("half_pixel", "pytorch_half_pixel")
    if mode == "linear":
        node.only("coordinate_transformation_mode", "half_pixel", *centres)
        node.only("antialias", 0, 0)
        return node.mb.upsample_bilinear(
            x=x, scale_factor_height=float(down), scale_factor_width=float(right), align_corners=False, name=node.name
        )
    # Each pixel as often as the factor says: what lies between pixels' centres goes to the nearer one, or is cut off at corners.
    node.only("coordinate_transformation_mode", "half_pixel", *centres, "asymmetric")
    if node.attribute("coordinate_transformation_mode", "half_pixel") == "asymmetric":
        node.only("nearest_mode", "round_prefer_floor", "floor")
    else:
        node.only("nearest_mode", "round_prefer_floor", "round_prefer_floor", "round_prefer_ceil")
    return node.mb.upsample_nearest_neighbor(x=x, scale_factor_height=down, scale_factor_width=right, name=node.name)
