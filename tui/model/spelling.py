"""How characters that a terminal would obey are written out. Imports nothing: the CLI starts with it."""

import re


def spelled(match: re.Match[str]) -> str:
    r"""One character as people name it: `\t`, `\n`, `\r`, `\x1b`, `\u202e`."""
    code = ord(match[0])
    named = {9: "\\t", 10: "\\n", 13: "\\r"}
    return named.get(code) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
