"""The middle of each output, and of its difference from the reference's."""

import base64
import binascii
import struct

from edgesr.bench.record import Cell
from edgesr.bench.report.markup import Html, badge, join, tag
from edgesr.bench.report.sources import Group
from edgesr.bench.report.wording import figure

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST = 1024


def section(group: Group) -> Html | str:
    """Figures of each cell that has pictures, the reference first; "" where none has."""
    shown = [(name, cell) for name, cell in group.named if cell.output_png or cell.difference_png]
    rows = [_cell(name, cell, group) for name, cell in sorted(shown, key=lambda each: not group.is_reference(each[1]))]
    return tag("div", *rows, class_="pictures") if rows else ""


def scale_in_words(white: float) -> str:
    """What white stands for in a difference image."""
    if white <= 0:
        return "no difference, every pixel here is the same"
    return f"white is a difference of {figure(white, 3)} of the full range, {figure(white * 255, 3)} of 255 levels; black is none"


def _cell(name: str, cell: Cell, group: Group) -> Html:
    shown = f"{name}, {group.title}"
    figures = []
    if cell.output_png:
        figures.append(_picture(cell.output_png, f"Middle of the output of {shown}", _named(name, cell, group)))
    if group.is_reference(cell):
        figures.append(tag("p", "This is what the others are compared with.", class_="faint"))
    elif cell.difference_png:
        scale = scale_in_words(cell.difference_white)
        caption = f"Difference from the reference: {scale}"
        figures.append(_picture(cell.difference_png, f"Absolute difference between {shown} and the reference; {scale}", caption))
    return tag("div", *figures, class_="pair")


def _named(name: str, cell: Cell, group: Group) -> Html:
    reference = [" ", badge("reference")] if group.is_reference(cell) else []
    wrong = [" ", badge("parity failed", "wrong")] if cell.status == "parity failed" else []
    parity = f", {cell.parity.psnr_db:.1f} dB" if cell.parity and not group.is_reference(cell) else ""
    return join([tag("strong", name), parity, *reference, *wrong])


def _picture(encoded: str, alt: str, caption: str) -> Html:
    """A PNG as a figure; what is none is said to be none, so that nothing else can be slipped in."""
    size = _png_size(encoded)
    if size is None:
        return tag("figure", tag("p", "The record holds no readable picture here.", class_="faint"), tag("figcaption", caption))
    source = f"data:image/png;base64,{encoded}"
    image = tag("img", src=source, alt=alt, width=size[0], height=size[1])
    return tag("figure", image, tag("figcaption", caption))


def _png_size(encoded: str) -> tuple[int, int] | None:
    """Width and height in pixels, or None for what is no PNG of a size that a crop has."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) < 24 or not data.startswith(_SIGNATURE):
        return None
    width, height = struct.unpack(">II", data[16:24])
    return (width, height) if 0 < width <= _LARGEST and 0 < height <= _LARGEST else None
