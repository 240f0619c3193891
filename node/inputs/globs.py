"""PURE: path patterns with `**`, as Bacalhau's allow lists write them: `/data/**`, `/srv/{a,b}/*.csv`, `/x/[0-9]?`."""

import re

from node.inputs.base import InputError


def compile_glob(pattern: str) -> re.Pattern[str]:
    """A regular expression for the whole of a path.

    `**` as a whole segment is any number of segments, none included; `*` and `?` stay within one. Raises InputError for what
    is no pattern: an open bracket or brace, a range that runs backwards.
    """
    out: list[str] = []
    at = 0
    depth = 0
    while at < len(pattern):
        rest = pattern[at:]
        char = pattern[at]
        taken = 1
        if rest == "/**":
            out.append("(?:/.*)?")
            taken = 3
        elif rest.startswith("/**/"):
            out.append("/(?:.*/)?")
            taken = 4
        elif rest.startswith("**"):
            out.append(".*")
            taken = 2
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            text, taken = _class(rest, pattern)
            out.append(text)
        elif char == "{":
            out.append("(?:")
            depth += 1
        elif char == "}" and depth:
            out.append(")")
            depth -= 1
        elif char == "," and depth:
            out.append("|")
        elif char == "\\" and len(rest) > 1:
            out.append(re.escape(rest[1]))
            taken = 2
        else:
            out.append(re.escape(char))
        at += taken
    if depth:
        message = f"path pattern {pattern!r}: `{{` without `}}`"
        raise InputError(message)
    try:
        return re.compile("".join(out), re.DOTALL)
    except re.error as error:
        message = f"path pattern {pattern!r}: {error}"
        raise InputError(message) from error


def _class(rest: str, pattern: str) -> tuple[str, int]:
    """A class of characters at the beginning of `rest`, and how long it is."""
    end = rest.find("]", 2)
    if end < 0:
        message = f"path pattern {pattern!r}: `[` without `]`"
        raise InputError(message)
    body = rest[1:end].replace("\\", "\\\\")
    if body[0] in "!^":
        return f"[^/{body[1:]}]", end + 1
    return f"(?!/)[{body}]", end + 1
