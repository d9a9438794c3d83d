"""Arithmetic, activations and normalisations."""

import numpy as np

from edgesr.export.mil.node import LOWERINGS, Lowered, Lowering, Node, lowers, rank

_UNARY = {"Identity": "identity", "Sigmoid": "sigmoid"}
_BINARY = {"Add": "add", "Div": "real_div", "Mul": "mul", "Sub": "sub"}


def _unary(operator: str) -> Lowering:
    def lower(node: Node) -> Lowered:
        return getattr(node.mb, operator)(x=node.x, name=node.name)

    return lower


def _binary(operator: str) -> Lowering:
    def lower(node: Node) -> Lowered:
        return getattr(node.mb, operator)(x=node.x, y=node.input(1), name=node.name)

    return lower


LOWERINGS |= {kind: _unary(operator) for kind, operator in _UNARY.items()}
LOWERINGS |= {kind: _binary(operator) for kind, operator in _BINARY.items()}


@lowers("Gelu")
def gelu(node: Node) -> Lowered:
    """GELU, exact or by tanh."""
    approximate = node.only("approximate", "none", "none", "tanh")
    mode = "EXACT" if approximate == "none" else "TANH_APPROXIMATION"
    return node.mb.gelu(x=node.x, mode=mode, name=node.name)


@lowers("LeakyRelu")
def leaky_relu(node: Node) -> Lowered:
    """x, or alpha·x where x is negative."""
    return node.mb.leaky_relu(x=node.x, alpha=np.float32(node.attribute("alpha", 0.01)), name=node.name)


@lowers("Softmax")
def softmax(node: Node) -> Lowered:
    """e^x over its sum along an axis."""
    return node.mb.softmax(x=node.x, axis=int(node.attribute("axis", -1)), name=node.name)


@lowers("LayerNormalization")
def layer_normalization(node: Node) -> Lowered:
    """Over the axes from `axis` on. On a map whose channels are last, over the first axis of planes between transpositions.

    Core ML takes any axes, and the transpositions cancel with those that stand around in the graph.
    """
    x = node.x
    gamma, beta = node.array(1, "weights"), node.array(2, "biases")
    assert gamma is not None
    if node.outputs > 1:
        raise node.refusal("its mean and deviation are asked for, supported: the normalised map alone")
    axes = list(range(int(node.attribute("axis", -1)) % rank(x), rank(x)))
    shape = [int(x.shape[axis]) for axis in axes]
    operands = {"gamma": np.broadcast_to(gamma, shape).copy(), "epsilon": np.float32(node.attribute("epsilon", 1e-5))}
    if beta is not None:
        operands["beta"] = np.broadcast_to(beta, shape).copy()
    if rank(x) != 4 or len(axes) != 1:
        return node.mb.layer_norm(x=x, axes=axes, **operands, name=node.name)
    planes = node.mb.transpose(x=x, perm=[0, 3, 1, 2], name=f"{node.name}_planes")
    y = node.mb.layer_norm(x=planes, axes=[1], **operands, name=f"{node.name}_of_planes")
    return node.mb.transpose(x=y, perm=[0, 2, 3, 1], name=node.name)


@lowers("ReduceMean")
def reduce_mean(node: Node) -> Lowered:
    """The mean over axes, which stand in an input or, in older opsets, in an attribute."""
    axes = node.ints(1, "axes")
    if not axes:
        if node.attribute("noop_with_empty_axes", 0):
            return node.mb.identity(x=node.x, name=node.name)
        axes = list(range(rank(node.x)))
    return node.mb.reduce_mean(x=node.x, axes=axes, keep_dims=bool(node.attribute("keepdims", 1)), name=node.name)
