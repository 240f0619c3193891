"""Text from outside, made harmless, and cut and padded by the cells it takes on a terminal.

What a terminal would obey (control sequences, marks that turn the direction of writing) is written out or dropped;
combining characters stay with their letter, wide ones count as two cells.
"""

import re

from rich.cells import cell_len, set_cell_size

from tui.model.spelling import spelled

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""Control characters, marks without width, marks of direction, half characters."""
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
"""Letters that a terminal may write from right to left, and with them what stands beside them."""
ELLIPSIS = "…"


def clean(text: str) -> str:
    r"""`text` in one line, with what a terminal would obey written out, and letters that turn the line as `\u05d0`."""
    if text.isascii() and text.isprintable():
        return text
    return RIGHT_TO_LEFT.sub(spelled, UNSAFE.sub(spelled, text))


def clip(text: str, width: int) -> str:
    """Clean text in at most `width` cells; what was cut ends with an ellipsis."""
    text = clean(text[: 4 * width + 4])
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    return set_cell_size(text, width - 1).rstrip().removesuffix(ELLIPSIS) + ELLIPSIS


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Clean text in exactly `width` cells."""
    text = clip(text, width)
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def middle(text: str, width: int) -> str:
    """Clean text in at most `width` cells, with the ellipsis in the middle: for names whose end tells them apart."""
    text = clean(text)
    if cell_len(text) <= width:
        return text
    if width < 5:
        return clip(text, width)
    tail = width // 2
    end = text[-tail:]
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(text, width - 1 - cell_len(end)) + ELLIPSIS + end
