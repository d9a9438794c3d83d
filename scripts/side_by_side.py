"""Put a picture enlarged by bicubic interpolation and one enlarged by a network side by side.

Usage: side_by_side.py SMALL.png ENLARGED.png OUT.png
"""

import sys

from PIL import Image

GAP = 8


def main(small: str, enlarged: str, out: str) -> None:
    """Write OUT: bicubic on the left, the network's on the right."""
    with Image.open(enlarged) as right, Image.open(small) as source:
        left = source.convert("RGB").resize(right.size, Image.Resampling.BICUBIC)
        sheet = Image.new("RGB", (2 * right.width + GAP, right.height), "white")
        sheet.paste(left, (0, 0))
        sheet.paste(right.convert("RGB"), (right.width + GAP, 0))
    sheet.save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
