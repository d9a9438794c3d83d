"""How each kind of candidate is opened in its own process: imported, loaded, run. Only the kind that is asked for is imported."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgesr.tensors import FloatArray

Run = Callable[[FloatArray], FloatArray]
"""Image (1,3,H,W) -> (1,3,sH,sW)."""

PACKAGES = {
    "edgesr": "onnxruntime",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "ncnn": "ncnn",
    "pytorch": "torch",
}
"""Kind -> the package whose bare import is the baseline of its memory."""


def import_package(kind: str) -> None:
    """Import the kind's package and nothing else."""
    importlib.import_module(PACKAGES[kind])


def load(kind: str, path: str, threads: int) -> tuple[Run, dict[str, str]]:
    """Load the candidate's file; how it is run, and the settings that the runtime says it has."""
    return _LOADERS[kind](path, threads)


def _edgesr(path: str, _threads: int) -> tuple[Run, dict[str, str]]:
    """An artifact's folder in edgesr's own runtime, whose settings are its own."""
    from edgesr.artifact import read_artifact
    from edgesr.runtimes import open_artifact

    return open_artifact(read_artifact(Path(path))).run, {"threads": f"the runtime's own choice on {_processors()} processors"}


def _onnxruntime(path: str, threads: int) -> tuple[Run, dict[str, str]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(image: FloatArray) -> FloatArray:
        return np.asarray(session.run(None, {name: image})[0])

    return run, {"threads": str(threads)}


def _openvino(path: str, threads: int) -> tuple[Run, dict[str, str]]:
    """Float32 is forced: by default OpenVINO computes in bfloat16 where the processor has it."""
    openvino = importlib.import_module("openvino")
    wanted = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(path, "CPU", wanted)
    request = compiled.create_infer_request()
    settings = {name: _plain(compiled.get_property(name)) for name in (*wanted, "NUM_STREAMS")}

    def run(image: FloatArray) -> FloatArray:
        results = request.infer({0: image}, share_inputs=True, share_outputs=True)
        return np.asarray(results[0])

    return run, settings


def _plain(value: Any) -> str:
    """A property's value as text: types print as `<Type: 'float32'>`, hints as `PerformanceMode.LATENCY`."""
    return str(value).removeprefix("<Type: '").removesuffix("'>").rpartition(".")[2]


def _ncnn(path: str, threads: int) -> tuple[Run, dict[str, str]]:
    """`path` is that of the .param file, with the .bin beside it. Reduced precision is switched off."""
    ncnn = importlib.import_module("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = threads
    reduced = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed")
    off = [name for name in reduced if hasattr(net.opt, name)]
    for name in off:
        setattr(net.opt, name, False)
    if net.load_param(path) or net.load_model(str(Path(path).with_suffix(".bin"))):
        raise RuntimeError("ncnn cannot load the converted network")

    def run(image: FloatArray) -> FloatArray:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image[0]))
        failed, output = extractor.extract("out0")
        if failed:
            raise RuntimeError(f"ncnn cannot run the converted network (code {failed})")
        return np.array(output, dtype=np.float32)[None]

    return run, {"threads": str(threads)} | dict.fromkeys(off, "False")


def _pytorch(path: str, threads: int) -> tuple[Run, dict[str, str]]:
    """`path` is `model/scale`: the reference, untouched, in eager mode."""
    import torch

    from edgesr.reference import load_reference

    torch.set_num_threads(threads)
    model, _, scale = path.rpartition("/")
    module = load_reference(model=model, scale=int(scale)).unit_module()

    def run(image: FloatArray) -> FloatArray:
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(image)).numpy())

    return run, {"threads": str(torch.get_num_threads())}


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_LOADERS: dict[str, Callable[[str, int], tuple[Run, dict[str, str]]]] = {
    "edgesr": _edgesr,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "ncnn": _ncnn,
    "pytorch": _pytorch,
}
