"""How large a network is and how much it computes, counted as its paper counts."""

from typing import TYPE_CHECKING, Any

from edgesr.model import ModelSpec

if TYPE_CHECKING:
    from torch import nn
    from torch.utils._python_dispatch import TorchDispatchMode

_PER_NORMALISED_ELEMENT = 5


def parameters(module: "nn.Module") -> int:
    """The number of trainable parameters; constants of a checkpoint (RGT's masks, SRConvNet's mean colours) are none."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def multiply_adds(spec: ModelSpec, *, height: int = 720, width: int = 1280) -> int:
    """Multiply-adds for one output of `height`×`width` pixels, 1280×720 as in the papers' tables.

    The input is height // s × width // s pixels, so ×3 takes 240×426 for 1280×720. Counted: a multiplication and addition of a
    convolution, linear layer or matrix product (attention's, too) as one, and 5 for each element of a LayerNorm: with these the
    published figures of ESC, ESC-light, ESC-FP, RGT-S and RGT come out to their last digit. Not counted: activations, softmax,
    sums of maps, means, resizing and Fourier transforms.

    Nothing is computed: the network runs on shapes alone. Raises SizeError when the input is smaller than the network takes.
    """
    import torch

    module = spec.skeleton()
    x = torch.empty(1, 3, height // spec.scale, width // spec.scale, device="meta")
    counter, total = _counter()
    with torch.no_grad(), counter:
        module(x)
    return sum(total)


def _counter() -> tuple["TorchDispatchMode", list[int]]:
    """A mode under which operators add their multiply-adds to the list that comes with it."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    total: list[int] = []

    class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch annotates neither hook nor constructor
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten.native_layer_norm.default:
                # Its result on the meta device is slow to work out, and has the input's shape; the statistics are of no use.
                total.append(_PER_NORMALISED_ELEMENT * args[0].numel())
                return torch.empty_like(args[0]), args[0], args[0]
            result = func(*args, **(kwargs or {}))
            formula = flop_registry.get(func.overloadpacket)
            if formula is not None:
                total.append(formula(*args, **(kwargs or {}), out_val=result) // 2)
            return result

    return Counter(), total  # type: ignore[no-untyped-call]  # as above
