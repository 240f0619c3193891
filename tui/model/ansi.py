"""What a program meant by the colours that it wrote: SGR sequences to styles; every other sequence is left out, not obeyed."""

import re
from collections.abc import Sequence

import msgspec

from tui.model.text import clean

SEQUENCE = re.compile(
    r"\x1b(?:\[([0-9;:]*)m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|.)?", re.DOTALL
)
LONGEST = 4096
"""Bytes of a line that are shown; all of it is in the line's own view."""
TAB = 8


class Look(msgspec.Struct, frozen=True):
    """What SGR set: colour numbers 0..255, or an RGB text; None = the default."""

    colour: str = ""
    back: str = ""
    bold: bool = False
    dim: bool = False
    underline: bool = False
    reverse: bool = False


PLAIN = Look()


def shown(content: bytes, *, longest: int = LONGEST) -> list[tuple[str, Look]]:
    """A line as pieces of harmless text, each with its look."""
    text = content[:longest].decode("utf-8", "replace").removesuffix("\r").expandtabs(TAB)
    if len(content) > longest:
        text += "…"
    if "\x1b" not in text:
        return [(_last_overwrite(text), PLAIN)] if text else []
    pieces: list[tuple[str, Look]] = []
    look, at = PLAIN, 0
    for match in SEQUENCE.finditer(text):
        if match.start() > at:
            pieces.append((clean(text[at : match.start()]), look))
        at = match.end()
        if match[1] is not None:
            look = _apply(look, [int(code) if code else 0 for code in re.split("[;:]", match[1])])
    if at < len(text):
        pieces.append((clean(text[at:]), look))
    return pieces


def _last_overwrite(text: str) -> str:
    r"""Of a line that a program wrote over again and again (`10%\r20%\r`), what was left to be seen."""
    if "\r" in text:
        text = next((part for part in reversed(text.split("\r")) if part), "")
    return clean(text)


def _apply(look: Look, codes: Sequence[int]) -> Look:
    at = 0
    replace = msgspec.structs.replace
    while at < len(codes):
        code = codes[at]
        if code == 0:
            look = PLAIN
        elif code in (1, 2, 4, 7):
            name = {1: "bold", 2: "dim", 4: "underline", 7: "reverse"}[code]
            look = replace(look, **{name: True})
        elif code in (22, 24, 27):
            off = {22: {"bold": False, "dim": False}, 24: {"underline": False}, 27: {"reverse": False}}[code]
            look = replace(look, **off)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            look = replace(look, colour=f"color({code - 30 if code < 90 else code - 82})")
        elif 40 <= code <= 47 or 100 <= code <= 107:
            look = replace(look, back=f"color({code - 40 if code < 100 else code - 92})")
        elif code in (39, 49):
            look = replace(look, **{"colour" if code == 39 else "back": ""})
        elif code in (38, 48):
            colour, used = _wide(codes[at + 1 :])
            look = replace(look, **{"colour" if code == 38 else "back": colour})
            at += used
        at += 1
    return look


def _wide(codes: Sequence[int]) -> tuple[str, int]:
    """The colour of `5;N` or `2;R;G;B`, and how many codes it took."""
    match list(codes[:4]):
        case [5, number, *_] if 0 <= number <= 255:
            return f"color({number})", 2
        case [2, red, green, blue] if max(red, green, blue) <= 255:
            return f"#{red:02x}{green:02x}{blue:02x}", 4
        case _:
            return "", len(codes)
