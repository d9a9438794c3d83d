"""What an artifact holds, for `edgesr inspect DIR`."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from edgesr.artifact import read_artifact
from edgesr.backends import require
from edgesr.cli.render import Output, table
from edgesr.manifest import Manifest
from edgesr.runtime import Finding, Inspection, Placement
from edgesr.runtimes import runs_here, runtimes

_SHOWN = 3
"""Places of a finding that are named."""


def inspect_artifact(folder: Path, show: Output) -> None:
    """Print what the manifest says, how often each operator runs, what rules predict of it, where the system places it, and
    what its compiler reports.

    Raises ArtifactError for a folder that is no artifact or was changed, BackendMissingError where reading needs a package.
    """
    artifact = read_artifact(folder)
    artifact.check_files()
    manifest = artifact.manifest
    able = [one for one in runtimes().items() if one[1].inspect and manifest.format in one[1].formats and runs_here(one[1])]
    inspection = None
    for name, runtime in able[:1]:
        require(runtime.package, extra=runtime.extra, what=f"reading {manifest.format} files with {name}")
        assert runtime.inspect is not None
        inspection = runtime.inspect(artifact)
    data = {"folder": str(folder), **manifest.to_json(), "inspection": asdict(inspection) if inspection else None}
    lines: list[str | Table] = [table(manifest.artifact, ["", ""], _facts(manifest))]
    if inspection:
        lines += _inspected(inspection)
    show.result(data, lines)


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    weights = (
        manifest.weights if isinstance(manifest.weights, str) else f"{manifest.weights['name']} ({manifest.weights['kind']})"
    )
    return [
        ("model", f"{manifest.model} x{manifest.scale}, weights {weights}"),
        ("target", " ".join((manifest.target, *(f"{name}={value}" for name, value in manifest.options.items())))),
        ("precision", manifest.precision),
        ("sizes", manifest.sizes.description),
        ("model file", f"{manifest.model_bytes / 1e6:.2f} MB, sha256 {manifest.model_sha256[:12]}…"),
        ("rewrites", ", ".join(f"{each.name} ({each.matches})" for each in manifest.rewrites) or "none"),
        ("parity at export", f"{manifest.parity[-1].extremes['psnr_db']:.1f} dB"),
    ]


def _inspected(inspection: Inspection) -> list[str | Table]:
    lines: list[str | Table] = []
    rows = [(name, str(times)) for name, times in inspection.operators.items()]
    of = f" of {next(iter(inspection.functions))}" if inspection.functions else ""
    lines.append(table(f"{sum(inspection.operators.values())} operations{of}", ["operator", "times"], rows, numbers=["times"]))
    if inspection.functions:
        each = ", ".join(f"{name} ({count} operations)" for name, count in inspection.functions.items())
        lines.append(f"Functions, the default first: {each}. Each is the network at a size; they share their weights.")
    if inspection.findings:
        cells = [(each.rule, str(len(each.places)), each.predicted, _places(each), each.source) for each in inspection.findings]
        columns = ["rule", "times", "predicted", "where", "source"]
        lines.append(table("Predicted, not measured", columns, cells, numbers=["times"]))
    if inspection.placement:
        lines += _placed(inspection.placement)
    for report in inspection.reports:
        told = [(name, f"{fact / 1e6:.2f} MB" if isinstance(fact, int) else fact) for name, fact in report.facts.items()]
        lines.append(table(f"{report.about}: the compiler's report, not measured on a device", ["", ""], told))
    return lines


def _placed(placement: Placement) -> list[str | Table]:
    """The compute plan, device by device."""
    if placement.trouble:
        return [f"Core ML told no compute plan: {placement.trouble}"]
    kinds: dict[str, Counter[str]] = {}
    for operation, device in placement.devices.items():
        kinds.setdefault(device, Counter())[operation.partition(" ")[0]] += 1
    rows = [
        (device, str(counts.total()), ", ".join(f"{name} ({times})" for name, times in counts.most_common()))
        for device, counts in sorted(kinds.items(), key=lambda item: -item[1].total())
    ]
    return [table("Core ML's compute plan on this machine", ["prefers", "times", "operators"], rows, numbers=["times"])]


def _places(finding: Finding) -> str:
    more = ", …" if len(finding.places) > _SHOWN else ""
    return ", ".join(finding.places[:_SHOWN]) + more
