"""`edgesr doctor`: what is installed, what works, and what to type for the rest."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgesr.cli.options import Json
from edgesr.cli.render import Output, table
from edgesr.environment import Environment, environment
from edgesr.errors import BackendMissingError

if TYPE_CHECKING:
    from edgesr.runtime import Runtime


def doctor(as_json: Json = False) -> None:
    """Show what is installed, what each missing part needs, and whether an NVIDIA GPU and a Qualcomm NPU can be used."""
    from edgesr.bench.cuda_parts import cuda_parts

    here = environment()
    plugins = _plugins()
    with Output(as_json=as_json).progress() as progress:
        progress("trying the GPU")
        parts = cuda_parts()
        npu = _npu()
    packages = [{**asdict(p), "state": p.state, "remedy": p.remedy} for p in here.packages]
    data = {"python": here.python, "system": here.system, "processors": here.processors, "packages": packages, "plugins": plugins}
    title = f"edgesr on Python {here.python}, {here.system}, {here.processors} processors"
    rows = [*_package_rows(here), *((p["kind"], p["name"], p["title"], "", p["state"], "") for p in plugins)]
    columns = ["part", "found", "state", "to get it"]
    tables = [
        table(title, ["part", "name", "wanted", "installed", "state", "to get it"], rows),
        table("NVIDIA GPU", columns, [(p.name, p.found, p.state, p.remedy) for p in parts]),
        table("Qualcomm NPU", columns, [tuple(npu.values())]),
    ]
    Output(as_json=as_json).result({**data, "cuda": [asdict(part) for part in parts], "qnn": npu}, tables)


def _npu() -> dict[str, str]:
    """Whether networks can run on a Snapdragon's NPU, or in its emulator."""
    from edgesr.runtimes._qnn.provider import found_here

    try:
        return {"name": "onnxruntime-qnn", "found": found_here(), "state": "ok", "remedy": ""}
    except BackendMissingError as error:
        return {"name": "onnxruntime-qnn", "found": error.message, "state": "missing", "remedy": error.hint}


def _package_rows(here: Environment) -> list[tuple[str, ...]]:
    return [
        (
            p.extra or "base",
            p.name,
            p.wanted,
            " and ".join(f"{version} ({build})" for build, version in p.builds.items()) or p.installed or "–",
            p.state,
            p.remedy,
        )
        for p in here.packages
    ]


def _plugins() -> list[dict[str, Any]]:
    from edgesr.backends import available
    from edgesr.export.target import targets
    from edgesr.runtimes import runs_here, runtimes

    elsewhere = {name: _systems(runtime) for name, runtime in runtimes().items() if not runs_here(runtime)}
    of_target = {runtimes()[name].target: f"ok: converts and verifies; predicts {where}" for name, where in elsewhere.items()}
    states = {"runtime": elsewhere, "target": of_target}
    found: list[dict[str, Any]] = []
    for kind, plugins in (("runtime", runtimes()), ("target", targets())):
        for name, p in plugins.items():
            installed = not p.package or available(p.package)
            state = states[kind].get(name, "ok") if installed else "missing"
            ready = installed and (kind == "target" or name not in elsewhere)
            found.append({"kind": kind, "name": name, "title": p.title, "ready": ready, "extra": p.extra, "state": state})
    return found


def _systems(runtime: "Runtime") -> str:
    """Where it runs, in words."""
    names = {"darwin": "on a Mac", "linux": "on Linux", "win32": "on Windows"}
    return f"{' or '.join(names.get(each, each) for each in sorted(runtime.platforms))} only"
