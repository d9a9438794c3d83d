"""The reference through torch.compile, which makes code for the size that it first sees."""

from typing import TYPE_CHECKING, cast

from edgesr.artifact import Artifact
from edgesr.runtime import Options, Runtime, RuntimeSession
from edgesr.runtimes.pytorch import PyTorchSession, placed_module, reference_of

if TYPE_CHECKING:
    from torch import nn

    from edgesr.reference import Reference


def open_reference(reference: "Reference", options: Options) -> RuntimeSession:
    """The reference compiled with PyTorch's defaults, on a GPU with its authors' fused attention; the first run compiles."""
    import torch

    module = placed_module(reference, options)
    flex = 0
    if options.device == "cuda":  # where `module` is a copy; on a processor the kernels that PyTorch has are the faster ones
        from edgesr.runtimes._flex_attention import with_flex_attention

        flex = with_flex_attention(module)
    compiled = cast("nn.Module", torch.compile(module))
    session = PyTorchSession(reference, compiled, options)
    session.settings |= {"torch.compile": "inductor, default mode"}
    if flex:
        session.settings["attention"] = f"FlexAttention in {flex} places, as ESC's authors run it"
    return session


def _open(artifact: Artifact, options: Options) -> RuntimeSession:
    return open_reference(reference_of(artifact.manifest), options)


RUNTIME = Runtime(
    title="PyTorch, torch.compile",
    formats=frozenset(),
    package="torch",
    open=_open,
    open_reference=open_reference,
    devices=("cpu", "cuda"),
)
