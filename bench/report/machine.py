"""What was measured where: environment, settings and state of the machine."""

from collections.abc import Iterator, Mapping
from typing import Any

from edgesr.bench.record import SCHEMA, Record
from edgesr.bench.report.markup import Html, join, table, tag
from edgesr.bench.report.sources import Source
from edgesr.bench.report.wording import DASH, moment

_LONG = 160
_NAMES = ("gpu", "gpu_name", "cpu", "cpu_model", "processor")


def place(record: Record) -> str:
    """The machine's name, as its environment gives it, for a heading."""
    devices = {cell.subject.device for cell in record.cells}
    wanted = _NAMES if devices - {"cpu"} else _NAMES[2:]
    named = (_name(record.environment, name) for name in wanted)
    return next((found for found in named if found), "an unnamed machine")


def _name(environment: Mapping[str, Any], wanted: str) -> str:
    """The text under this name, at any depth, or the model named there."""
    for key, value in environment.items():
        if isinstance(value, Mapping):
            inner = next((value[word] for word in ("model", "name") if isinstance(value.get(word), str)), "")
            found = inner if key.lower() == wanted and inner else _name(value, wanted)
        else:
            found = value if key.lower() == wanted and isinstance(value, str) else ""
        if found:
            return found
    return ""


def details(data: Mapping[str, Any]) -> Html:
    """Nested names and values as nested definition lists."""
    pairs = [join([tag("dt", _words(name)), tag("dd", _value(value))]) for name, value in data.items()]
    return tag("dl", *pairs) if pairs else tag("p", "Nothing was recorded.", class_="faint")


def section(source: Source, level: int) -> Html:
    """A record's environment, settings and the machine's state before and after the sweep. level: of its headings."""
    record = source.record
    sweep = {
        "command": tag("code", record.command),
        "created": moment(record.created),
        "edgesr": record.edgesr,
        "schema of the record": str(SCHEMA),
        "sweep": "complete" if record.complete else "not complete",
    }
    return join(
        [
            details(sweep),
            tag(f"h{level}", "Machine and software"),
            details(record.environment),
            tag(f"h{level}", "Settings of the protocol"),
            details(record.settings),
            tag(f"h{level}", "Before and after the sweep"),
            _changes(source),
        ]
    )


def _changes(source: Source) -> Html:
    before, after = dict(_leaves(source.record.before)), dict(_leaves(source.record.after))
    names = list(dict.fromkeys([*before, *after]))
    if not names:
        return tag("p", "Nothing was recorded.", class_="faint")
    head = [tag("th", word, scope="col") for word in ("What", "Before", "After")]
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", before.get(name, DASH)), tag("td", after.get(name, DASH)))
        for name in names
    ]
    label = f"State of the machine before and after the sweep: {source.label}"
    return table(label, label, head, rows, "plain")


def _leaves(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every value with its names from the top down."""
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{_words(name)}: ")
        else:
            yield f"{above}{_words(name)}", _plain(value)


def _words(name: str) -> str:
    """Our own names as words; a library's, in capitals, as it writes them."""
    return name.replace("_", " ") if name.islower() else name


def _value(value: Any) -> Html | str:
    if isinstance(value, Mapping):
        return details(value)
    if isinstance(value, Html):
        return value
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return tag("ol", *(tag("li", _value(item)) for item in value))
    text = _plain(value)
    if len(text) <= _LONG:
        return text
    return tag("details", tag("summary", f"{text[: _LONG // 2]}…"), text)


def _plain(value: Any) -> str:
    """A value that holds no further names, in words."""
    if value is None or value == "" or (isinstance(value, list | tuple | Mapping) and not value):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
