"""One line of a log in full: JSON laid out, everything else broken at the width of the reader."""

import json

from tui.model.ansi import shown
from tui.widgets.lines import Piece

WIDTH = 110
MOST = 200_000
"""Bytes of a line that are laid out."""


def laid_out(content: bytes) -> list[list[Piece]]:
    """The lines to read."""
    try:
        found = json.loads(content[:MOST])
    except ValueError:
        text = "".join(text for text, _ in shown(content, longest=MOST))
        return [[(text[at : at + WIDTH], "")] for at in range(0, max(1, len(text)), WIDTH)]
    return [[(line, "")] for line in json.dumps(found, indent=2, ensure_ascii=False).splitlines()]
