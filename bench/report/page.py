"""The page: one self-contained HTML file from records."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgesr import __version__
from edgesr.bench.record import SCHEMA
from edgesr.bench.report import machine, overview, sections
from edgesr.bench.report.markup import Html, join, tag
from edgesr.bench.report.overview import Report
from edgesr.bench.report.sources import Source, groups, read_sources
from edgesr.errors import RecordError, UsageError
from edgesr.files import write_whole

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The browser itself keeps the page from running or fetching anything."""

_KNOWN = ("pytorch", "ort", "openvino", "pytorch-compile", "ncnn", "tensorrt", "coreml")
"""Runtimes that have the same sign and colour in every report; others follow."""

_GUIDE = {
    "p50, p90": "Half, and nine in ten, of the samples took no longer. All samples count; none is dropped.",
    "Spread (cv)": "Standard deviation of the samples over their mean.",
    "Ratio": "p50 over that of the reference, in turns with which the cell was measured; 95 % bootstrap interval over rounds. "
    "Where the interval holds 1, no difference was shown.",
    "Parity": "PSNR in dB of the output against the reference's, peak 1.0. A cell that misses the budget of its precision "
    "computes another function: it is struck out, and its speed does not count.",
    "Memory": "Each metric has its name, and metrics are never mixed. MB are 2²⁰ bytes. Measured apart from latency.",
    "Load, first inference": "Opening the model file after the runtime was imported, and the first run, in a fresh process.",
    "Pareto front": "What no other ranked cell beats in both figures of a chart. Full signs stand on it, hollow ones behind.",
    "Unstable": "Spread, drift, two modes, other load or throttling was seen: the figures should not be trusted.",
}


@dataclass(frozen=True, kw_only=True)
class Written:
    """A report that was written: its path, bytes, and what it holds."""

    path: Path
    bytes: int
    records: int
    cells: int


def write_report(paths: Sequence[Path], destination: Path) -> Written:
    """Write the report of these records, all of it or nothing; raises RecordError and UsageError."""
    if destination.is_dir():
        raise UsageError(f"{destination} is a folder; a report is a file", hint=f"Name a file: -o {destination / 'report.html'}")
    if not destination.parent.is_dir():
        raise UsageError(f"{destination.parent} is not a folder", hint="Make it first, or name a file elsewhere: -o FILE")
    if destination.resolve() in [path.resolve() for path in paths]:
        raise UsageError(f"{destination} is one of the records", hint="Name another file: -o report.html")
    sources = read_sources(paths)
    data = page(sources).encode()
    try:
        write_whole(destination, data)
    except OSError as error:
        raise RecordError(
            f"cannot write {destination}: {error.strerror or error}", hint="Name a file elsewhere: -o FILE"
        ) from error
    return Written(path=destination, bytes=len(data), records=len(sources), cells=sum(len(s.record.cells) for s in sources))


def page(sources: Sequence[Source]) -> str:
    """The whole page."""
    report = _report(sources)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"{overview.title(report)} · edgesr"),
        tag("style", Html(resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8"))),
    )
    parts = [sections.section(report, those) for those in report.groups]
    main = tag("main", overview.glance(report), *parts, _guide(), _machines(report))
    body = tag(
        "body",
        tag("a", "Skip to the results", href="#glance", class_="skip"),
        overview.header(report),
        _contents(report),
        main,
        tag("footer", tag("p", f"Made by edgesr {__version__} from records of schema {SCHEMA}. This file needs no network.")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _report(sources: Sequence[Source]) -> Report:
    cells = [cell for source in sources for cell in source.record.cells]
    runtimes = dict.fromkeys([*_KNOWN, *(cell.subject.runtime for cell in cells)])
    return Report(
        sources=tuple(sources),
        groups=tuple(tuple(those) for those in groups(sources)),
        series={runtime: index for index, runtime in enumerate(runtimes)},
    )


def _contents(report: Report) -> Html:
    links = [("glance", "At a glance")]
    links += [(report.section_anchor(those), those[0].title) for those in report.groups]
    links += [("guide", "How to read the figures"), ("machine", "Machine and settings")]
    items = [tag("li", tag("a", words, href=f"#{anchor}")) for anchor, words in links]
    return tag("nav", tag("ul", *items), aria_label="Contents")


def _guide() -> Html:
    pairs = [join([tag("dt", name), tag("dd", words)]) for name, words in _GUIDE.items()]
    return tag("section", tag("h2", "How to read the figures", id="guide"), tag("dl", *pairs, class_="guide"))


def _machines(report: Report) -> Html:
    parts = []
    for source in report.sources:
        several = len(report.sources) > 1
        heading = tag("h3", f"Record {source.label}") if several else ""
        parts += [heading, machine.section(source, 4 if several else 3)]
    return tag("section", tag("h2", "Machine and settings", id="machine"), *parts)
