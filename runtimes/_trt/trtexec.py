"""The line for TensorRT's own command that builds the same engine, for both major versions.

From the help text and sources of trtexec 10.x and 11.x (samples/common/sampleOptions.cpp): since 11 every network is strongly
typed and `--stronglyTyped` does nothing; pool sizes are in MiB unless a suffix says otherwise; a model of fixed shape takes no
shapes. What `edgesr build` asks for besides, scratch memory by the size that runs, is left out: trtexec of JetPack 6 does not
know it.
"""

import shlex
from pathlib import Path

from edgesr.manifest import Manifest, Profile
from edgesr.runtimes._trt.recipe import BuildOptions


def trtexec_line(
    major: int, manifest: Manifest, onnx: Path, engine: Path, profile: Profile, options: BuildOptions, cache: Path
) -> str:
    """A line for a shell. major: of TensorRT. onnx, engine, cache: the files that it reads and writes."""
    words = ["trtexec", f"--onnx={onnx}", f"--saveEngine={engine}", f"--timingCacheFile={cache}", "--skipInference"]
    if major == 10:
        words.append("--stronglyTyped")
    if not options.tf32:
        words.append("--noTF32")
    if options.workspace_mb is not None:
        words.append(f"--memPoolSize=workspace:{options.workspace_mb}M")
    if any(isinstance(side, str) for side in manifest.input.shape):
        shapes = {"min": profile.minimum, "opt": profile.optimum, "max": profile.maximum}
        words += [f"--{end}Shapes={manifest.input.name}:{n}x3x{height}x{width}" for end, (n, height, width) in shapes.items()]
    return shlex.join(words)
