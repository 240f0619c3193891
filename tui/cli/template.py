"""`{{.name}}` and `{{index . "name"}}` in a job file, as Bacalhau's; anything else of Go's templates is refused with its line."""

import os
import re
from collections.abc import Mapping

from tui.cli.diagnostics import UsageError
from tui.jobfile import JobFileError

ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
NAME = re.compile(r"\.([A-Za-z_]\w*)|index\s+\.\s+\"([^\"\\]+)\"", re.ASCII)
LITERAL = re.compile(r"\"([^\"\\]*)\"")
ALLOWED = '{{.name}} or {{index . "name"}} (or --no-template)'


def filled(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables put in. Raises JobFileError with the line of what is no variable, or has no value."""

    def value(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start()) + 1
        inside = match[1]
        before, inside = inside.startswith("- "), inside.removeprefix("- ")
        after, inside = inside.endswith(" -"), inside.removesuffix(" -")
        inside = inside.strip()
        literal = LITERAL.fullmatch(inside)
        if literal:
            return literal[1]
        named = NAME.fullmatch(inside)
        if named is None or before or after:
            message = f"failed to execute template: found {match[0]!r}, allowed: {ALLOWED}"
            raise JobFileError(message, line)
        name = named[1] or named[2]
        if name not in variables:
            message = f"failed to execute template: no value for {name!r}: give one with -V {name}=..."
            raise JobFileError(message, line)
        return variables[name]

    return ACTION.sub(value, text)


def variables_of(pairs: tuple[str, ...], patterns: tuple[str, ...]) -> dict[str, str]:
    """Template variables by name; explicit ones win over the environment's. Raises UsageError."""
    found: dict[str, str] = {}
    for pattern in ",".join(patterns).split(",") if patterns else ():
        try:
            matches = re.compile("^" + pattern.replace(".*", "*").replace("*", ".*") + "$").match
        except re.error as error:
            message = f"--template-envs: found {pattern!r} ({error}), allowed: a regular expression"
            raise UsageError(message) from error
        found |= {name: value for name, value in os.environ.items() if matches(name)}
    for pair in pairs:
        for part in pair.split(","):
            name, sign, value = part.partition("=")
            if not sign or not name:
                message = f"--template-vars: found {part!r}, allowed: name=value"
                raise UsageError(message)
            found[name] = value
    return found
