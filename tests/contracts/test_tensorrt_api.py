"""Every use of TensorRT exists in version 10 and in version 11, with the arguments that it is given.

The interfaces were read from the real bindings (10.13.3.9 and 11.4.0.106); stubs/ holds them, made by scripts/tensorrt_api.
TensorRT itself is not needed. A use that only one version has must stand in a branch: see `runtimes/_trt/versions.py`.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from tensorrt_api.interface import Interface, read_interface
from tensorrt_api.signatures import Parameter, kind, parse
from tensorrt_api.stubs import read, stub
from tensorrt_api.uses import Checker, parameters_of

VERSIONS = (10, 11)
IMPORT = re.compile(r"^\s*(?:import tensorrt\b|from tensorrt\b)(?!_api)", re.MULTILINE)
STANDS_FOR = {"Execution": "IExecutionContext"}
"""Protocols of ours -> the class of TensorRT's that they name the methods of."""
PLANTED = {
    "Tensor": "ITensor",
    "NetworkDefinition": "INetworkDefinition",
    "OptimizationProfile": "IOptimizationProfile",
    "TimingCache": "ITimingCache",
    "BuilderConfig": "IBuilderConfig",
    "CudaEngine": "ICudaEngine",
}
"""Classes in the place of TensorRT's, in the tests -> what they stand in for; others bear its names."""


@pytest.fixture(scope="module")
def interfaces(repository: Path) -> dict[int, Interface]:
    return {major: read_interface(repository / "stubs" / "tensorrt" / "__init__.pyi", major) for major in VERSIONS}


def problems(interface: Interface, source: str) -> list[str]:
    checker = Checker(interface)
    checker.check(source)
    return checker.problems


def sources(repository: Path) -> dict[str, str]:
    """Our files that speak of TensorRT: those of the package, of its kits, of the scripts and of the tests."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    names = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout.splitlines()
    texts = {name: (repository / name).read_text(encoding="utf-8") for name in names if (repository / name).is_file()}
    return {name: text for name, text in texts.items() if IMPORT.search(text)}


@pytest.mark.parametrize("major", VERSIONS)
def test_every_use_exists(repository: Path, interfaces: dict[int, Interface], major: int) -> None:
    found, uses = [], 0
    for name, text in sources(repository).items():
        checker = Checker(interfaces[major])
        checker.check(text)
        found += [f"{name}:{problem}" for problem in checker.problems]
        uses += checker.uses
    assert not found, "\n".join(found)
    assert uses > 60, "the uses were not seen"


@pytest.mark.parametrize("major", VERSIONS)
@pytest.mark.parametrize(
    ("file", "classes"),
    [
        ("runtimes/_trt/device.py", STANDS_FOR),
        ("tests/runtimes/trt/planted_tensorrt.py", PLANTED),
        ("tests/kit/standins/tensorrt.py", {}),
    ],
    ids=["protocols", "planted", "kit"],
)
def test_what_stands_for_tensorrt_has_no_method_that_it_lacks(
    repository: Path, interfaces: dict[int, Interface], major: int, file: str, classes: dict[str, str]
) -> None:
    known, seen = interfaces[major].classes, 0
    for node in ast.walk(ast.parse((repository / file).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ClassDef) or classes.get(node.name, node.name) not in known:
            continue
        theirs = known[classes.get(node.name, node.name)]
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                function = theirs.functions[method.name]
                assert function.open or list(function.names) == parameters_of(method), f"{node.name}.{method.name}"
                seen += 1
    assert seen >= 6


HEAD = (
    "import tensorrt as trt\n"
    "def f(version, builder: trt.Builder, engine: 'trt.ICudaEngine', context: trt.IExecutionContext | None):\n"
)


@pytest.mark.parametrize(
    ("line", "wrong_in"),
    [
        ("builder.create_network(0)", ()),
        ("builder.create_network(flags=0)", ()),
        ("builder.create_network(flag=0)", (10, 11)),
        ("builder.create_network(0, 1)", (10, 11)),
        ("builder.build_engine(1, 2)", (10, 11)),
        ("builder.build_serialized_network(1, 2)", ()),
        ("builder.build_serialized_network(network=1, config=2)", (10, 11)),
        ("builder.platform_has_fast_fp16", (11,)),
        ("builder.create_builder_config().set_flag(trt.BuilderFlag.FP16)", (11,)),
        ("config = builder.create_builder_config(); config.set_flag(trt.BuilderFlag.TF33)", (10, 11)),
        ("config = builder.create_builder_config(); config.algorithm_selector = None", (11,)),
        ("for i in range(3): builder.create_builder_config().int8_calibrator", (11,)),
        ("trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH", (11,)),
        ("trt.IInt8EntropyCalibrator2", (11,)),
        ("trt.EngineStat.TOTAL_WEIGHTS_SIZE", (10,)),
        ("engine.device_memory_size", (11,)),
        ("engine.get_engine_stat()", (10,)),
        ("engine.device_memory_size_v2", ()),
        ("context.set_tensor_address('input', memory=1)", ()),
        ("context.set_tensor_address('input', address=1)", (10, 11)),
        ("context.set_tensor_address('input')", (10, 11)),
        ("context.execute_async_v2([], 0)", (10, 11)),
        ("trt.Runtime(trt.Logger(min_severity=trt.Logger.WARNING))", ()),
        ("trt.Runtime()", (10, 11)),
        ("trt.ICudaEngine()", (10, 11)),
        ("getattr(trt, 'Builder')", (10, 11)),
        ("builder.create_network(*[0])", (10, 11)),
        ("if version.is_11: engine.get_engine_stat()", ()),
        ("if version.is_11: engine.device_memory_size", (11,)),
        ("x = engine.get_engine_stat() if version.is_11 else engine.device_memory_size", ()),
        ("x = engine.device_memory_size if version.is_11 else engine.get_engine_stat()", (10, 11)),
        ("if version.major > 10: engine.get_engine_stat()", (10,)),
        ("with builder.create_network(0) as n: n.add_matrix()", (10, 11)),
        ("with builder.create_network(0) as n: n.get_input(0)", ()),
        ("a, b = 1, builder.create_builder_config(); b.algorithm_selector", (11,)),
        ("found = [builder.create_builder_config() for _ in '2']; [c.algorithm_selector for c in found]", (11,)),
        ("x = {c: 1 for c in [engine] if c.device_memory_size}", (11,)),
        ("for c in (engine, engine): c.device_memory_size", (11,)),
        ("x = [engine][0].device_memory_size", (11,)),
        ("x = (e := engine) and e.device_memory_size", (11,)),
        ("x: 'list[trt.ICudaEngine]' = []; x[0].device_memory_size", (11,)),
        ("x: Optional[trt.ICudaEngine] = None; x.device_memory_size", (11,)),
        ("x: 'dict[str, trt.ICudaEngine]' = {}; x.values(); x['a'].device_memory_size", (11,)),
    ],
)
def test_a_use_that_a_version_lacks_is_found(interfaces: dict[int, Interface], line: str, wrong_in: tuple[int, ...]) -> None:
    found = {major: problems(interface, f"{HEAD}    {line}\n") for major, interface in interfaces.items()}
    assert tuple(major for major, texts in found.items() if texts) == wrong_in, found


def test_branches_of_both_versions(interfaces: dict[int, Interface]) -> None:
    branches = "    if version.is_11:\n        engine.{}\n    else:\n        engine.{}\n"
    source = HEAD + branches.format("get_engine_stat()", "device_memory_size")
    assert not any(problems(interface, source) for interface in interfaces.values())
    swapped = HEAD + branches.format("device_memory_size", "get_engine_stat()")
    assert all(problems(interface, swapped) for interface in interfaces.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "class M(trt.IProgressMonitor):\n    def phase_start(self, phase_name, parent_phase, num_steps): ...\n",
            "M lacks phase_finish",
        ),
        ("class L(trt.ILogger):\n    def log(self, level, text): ...\n", "ILogger.log takes severity, msg"),
        (
            "class S:\n    def a(self): self.e.device_memory\n    def __init__(self, e: trt.ICudaEngine): self.e = e\n",
            "device_memory does",
        ),
        ("class D:\n    e: 'trt.ICudaEngine'\n    def a(self): self.e.device_memory\n", "device_memory does"),
        (
            "class D:\n    def a(self): self.b().device_memory\n    def b(self) -> 'trt.ICudaEngine': ...\n",
            "device_memory does",
        ),
        ("from tensorrt import ICudaEngin\n", "ICudaEngin does not exist"),
        ("from tensorrt import ICudaEngine as E\ndef f(e: E): e.device_memory\n", "device_memory does"),
        ("def g() -> 'trt.ICudaEngine': ...\ng().get_binding_name(0)\n", "ICudaEngine.get_binding_name does not exist"),
    ],
)
def test_classes_and_functions_of_ours_are_followed(interfaces: dict[int, Interface], text: str, said: str) -> None:
    for interface in interfaces.values():
        (found,) = [problem for problem in problems(interface, f"import tensorrt as trt\n{text}") if said in problem]
        assert found


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("runtimes/_trt/loading.py", "self.engine.device_memory_size_v2", "self.engine.device_memory_size_v3"),
        ("runtimes/_trt/loading.py", "engine.get_tensor_mode(each)", "engine.get_tensor_mood(each)"),
        ("runtimes/_trt/loading.py", "engine.get_tensor_dtype(each)", "engine.get_tensor_dtype(each, 1)"),
        ("runtimes/_trt/building.py", "each.node_name()", "each.node_names()"),
        ("edgesr/kit/templates/jetson/python/jetson_kit/engine.py", "self._context.execute_async_v3", "self._context.execute_v3"),
    ],
)
def test_mistakes_in_our_own_files_are_found(
    repository: Path, interfaces: dict[int, Interface], file: str, right: str, wrong: str
) -> None:
    text = (repository / file).read_text(encoding="utf-8")
    assert text.count(right) == 1
    for interface in interfaces.values():
        assert len(problems(interface, text.replace(right, wrong))) == 1


def test_own_methods_beside_tensorrts_are_free(interfaces: dict[int, Interface]) -> None:
    text = "class L(trt.ILogger):\n    def log(self, severity, msg): ...\n    def failure(self): ...\n"
    assert not problems(interfaces[10], f"import tensorrt as trt\n{text}")


def test_the_stub_is_what_the_script_makes_of_the_recorded_interfaces(repository: Path) -> None:
    recorded = repository.parent / "shared" / "reference"
    if not (recorded / "tensorrt-api-11.json").is_file():
        pytest.skip("the recorded interfaces are not part of the repository")
    made = (repository / "stubs" / "tensorrt" / "__init__.pyi").read_text(encoding="utf-8")
    assert made == stub(read(recorded)), "run: PYTHONPATH=scripts python -m tensorrt_api FOLDER"


@pytest.mark.parametrize(
    ("text", "names", "result", "is_open"),
    [
        (
            "f(self: tensorrt_bindings.tensorrt.A, b: int = 0, c: List[tensorrt_bindings.tensorrt.A]) -> bool",
            "bc",
            "builtins.bool",
            False,
        ),
        ("f(*args, **kwargs)", "", "Any", True),
        ("f(self: A, s: A.Severity = <Severity.WARNING: 2>, t: Tuple[bool, List[int]]) -> None", "st", "None", False),
        ("f(self: A) -> nvinfer1::A", "", "A", False),
        ("f(self: A) -> nvinfer1::Unknown", "", "Any", False),
        (("f(self: A, b: int, c: " + "x" * 300)[:200], "b", "Any", True),
    ],
)
def test_signatures_are_read(text: str, names: str, result: str, is_open: bool) -> None:
    read_one = parse(text, frozenset({"A"}))
    assert ("".join(parameter.name for parameter in read_one.parameters), read_one.result, read_one.open) == (
        names,
        result,
        is_open,
    )


def test_types_are_read() -> None:
    one, two = parse("f(self: A, b: typing.SupportsInt = 0, c: nvinfer1::A | None) -> list[A]", frozenset({"A"})).parameters
    assert (one, two) == (
        Parameter(name="b", kind="builtins.int", optional=True),
        Parameter(name="c", kind="A | None", optional=False),
    )
    assert kind("list", frozenset()) == "builtins.list[Any]"
    assert kind("numpy.ndarray[float]", frozenset()) == "Any"
