"""HTML and SVG as text. What did not come from here is escaped where it enters: names and reasons come from files."""

import html
import re
from collections.abc import Iterable

_VOID = frozenset({"br", "col", "img", "link", "meta"})
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Characters that HTML forbids, that UTF-8 cannot hold, or that turn the direction of the text around them."""


class Html(str):
    """Markup that was made here; an f-string of it is plain text again, and is escaped."""

    __slots__ = ()


def escape(text: str) -> Html:
    """Text as markup; markup stays as it is."""
    return text if isinstance(text, Html) else Html(html.escape(_UNSAFE.sub("\ufffd", text)))


def join(parts: Iterable[str], between: str = "") -> Html:
    """The parts, escaped where they are text, as one piece of markup."""
    return Html(escape(between).join(escape(part) for part in parts))


def tag(name: str, /, *content: str, **attributes: str | float | None) -> Html:
    """An element. In attributes' names `_` stands for `-`, and one at the end falls away; None leaves the attribute out."""
    words = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{words}>") if name in _VOID else Html(f"<{name}{words}>{join(content)}</{name}>")


def number(value: float) -> str:
    """A coordinate, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def table(label: str, caption: str, head: Iterable[Html], rows: Iterable[Html], class_: str | None = None) -> Html:
    """A table in a container that scrolls by itself, by keyboard too. head: its `th`s; rows: its `tr`s."""
    parts = (tag("caption", tag("span", caption)), tag("thead", tag("tr", *head)), tag("tbody", *rows))
    made = tag("table", *parts, class_=class_)
    return tag("div", made, class_="scroll", role="region", aria_label=f"Table: {label}", tabindex="0")


def badge(words: str, style: str = "") -> Html:
    """A word that marks what it stands beside."""
    return tag("span", words, class_=f"badge {style}".strip())


def hidden(text: str) -> Html:
    """Words for those who listen to the page."""
    return tag("span", text, class_="hidden")


def _attribute(key: str, value: str | float) -> str:
    text = html.escape(_UNSAFE.sub("\ufffd", value)) if isinstance(value, str) else number(value)
    return f' {key.rstrip("_").replace("_", "-")}="{text}"'
