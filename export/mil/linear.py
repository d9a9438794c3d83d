"""Convolutions and products of matrices."""

import numpy as np

from edgesr.export.mil.node import Lowered, Node, lowers, rank


def _padding(node: Node, axes: int) -> list[int]:
    """ONNX names all sides before and then all after; MIL goes axis by axis."""
    node.only("auto_pad", "NOTSET", "NOTSET", "VALID")
    pads = list(node.attribute("pads", [0] * (2 * axes)))
    return [side for axis in range(axes) for side in (pads[axis], pads[axes + axis])]


@lowers("Conv")
def conv(node: Node) -> Lowered:
    """A convolution over one or two axes. A bias that is computed is added afterwards, for Core ML takes constants there."""
    x, weight, bias = node.x, node.input(1), node.input(2)
    axes = rank(weight) - 2
    constant = bias is None or isinstance(bias, np.ndarray)
    y = node.mb.conv(
        x=x,
        weight=weight,
        **({"bias": bias} if bias is not None and constant else {}),
        strides=list(node.attribute("strides", [1] * axes)),
        pad_type="custom",
        pad=_padding(node, axes),
        dilations=list(node.attribute("dilations", [1] * axes)),
        groups=int(node.attribute("group", 1)),
        name=node.name,
    )
    if constant:
        return y
    spread = node.mb.reshape(x=bias, shape=[1, -1, *[1] * axes], name=f"{node.name}_bias")
    return node.mb.add(x=y, y=spread, name=f"{node.name}_with_bias")


@lowers("MatMul")
def matmul(node: Node) -> Lowered:
    """A·B in the last two axes. Where B is one constant matrix, a linear layer, or on a map (four axes) a 1×1 convolution.

    Core ML's linear layer is documented for three axes at most. The transpositions around the convolution cancel with those
    around the next one.
    """
    a, b = node.x, node.input(1)
    if not isinstance(b, np.ndarray) or b.ndim != 2 or isinstance(a, np.ndarray):
        return node.mb.matmul(x=a, y=b, name=node.name)
    weight = np.ascontiguousarray(b.T)
    if rank(a) < 4:
        return node.mb.linear(x=a, weight=weight, name=node.name)
    if rank(a) > 4:
        return node.mb.matmul(x=a, y=b, name=node.name)
    planes = node.mb.transpose(x=a, perm=[0, 3, 1, 2], name=f"{node.name}_planes")
    y = node.mb.conv(x=planes, weight=weight[:, :, np.newaxis, np.newaxis], pad_type="valid", name=f"{node.name}_of_planes")
    return node.mb.transpose(x=y, perm=[0, 2, 3, 1], name=node.name)
