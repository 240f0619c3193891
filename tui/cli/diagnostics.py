"""Stderr and exit codes: the one place that talks, and that says how the command ends."""

import enum
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Protocol

import msgspec

from tui.cli.printable import printable


class ExitCode(enum.IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    """The job did not complete, or the orchestrator failed."""
    USAGE = 2
    """The command line or the job is not valid, or this orchestrator cannot do it; nothing was stored."""
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5
    FORBIDDEN = 6
    TIMED_OUT = 124
    """Waiting; the job goes on."""
    INTERRUPTED = 130
    """By Ctrl-C; the job goes on."""
    CLOSED = 141
    """Nobody reads stdout any more (as if ended by SIGPIPE)."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One thing that is wrong with what the user gave."""

    path: str = ""
    line: int | None = None
    """In the job file, from 1."""
    found: str = ""
    allowed: str = ""
    hint: str = ""
    message: str = msgspec.field(default="", name="Message")
    """The whole sentence, where there is one."""

    def sentence(self) -> str:
        """One line for people."""
        place = f"line {self.line}: " if self.line else ""
        where = f"{self.path}: " if self.path else ""
        text = self.message or f"found {self.found}, allowed: {self.allowed}"
        if self.allowed and self.allowed not in text:  # a sentence of Bacalhau's
            is_told = self.found.split(" ")[-1].strip("'") in text
            text += f"; allowed: {self.allowed}" if is_told else f"; found {self.found}, allowed: {self.allowed}"
        if self.message and self.path and self.path in self.message:
            where = ""
        hint = f" ({self.hint})" if self.hint and self.hint not in text else ""
        return f"{place}{where}{text}{hint}"


class CommandError(Exception):
    """A command cannot go on: what to say, and its exit code."""

    def __init__(
        self,
        message: str,
        exit_code: ExitCode,
        *,
        code: str = "",
        hint: str = "",
        problems: Sequence[Finding] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.code = code or NAMES[exit_code]
        self.hint = hint
        self.problems = tuple(problems)


class UsageError(CommandError):
    """The command line makes no sense."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, ExitCode.USAGE, hint=hint)


class Refusal(Protocol):
    """What `orchestrator.client.ClientError` shows (its import costs more than most commands need)."""

    message: str
    status: int
    code: str
    component: str
    hint: str
    problems: tuple[Any, ...]


NAMES = {
    ExitCode.OK: "",
    ExitCode.FAILED: "Failed",
    ExitCode.USAGE: "Usage",
    ExitCode.NOT_FOUND: "NotFound",
    ExitCode.CONFLICT: "Conflict",
    ExitCode.UNREACHABLE: "Unreachable",
    ExitCode.FORBIDDEN: "Forbidden",
    ExitCode.TIMED_OUT: "TimedOut",
    ExitCode.INTERRUPTED: "Interrupted",
    ExitCode.CLOSED: "Closed",
}
STATUSES = {
    400: ExitCode.USAGE,
    401: ExitCode.FORBIDDEN,
    403: ExitCode.FORBIDDEN,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    410: ExitCode.CONFLICT,
    413: ExitCode.USAGE,
    415: ExitCode.USAGE,
    422: ExitCode.USAGE,
}
CONFLICTS = ("Conflict", "Multiple", "ResourceInUse")
"""How the codes of conflicts begin; Bacalhau answers them with status 500."""


def from_client(error: Refusal) -> CommandError:
    """What an error of the client means for the command."""
    if error.code == "Unreachable":
        exit_code = ExitCode.UNREACHABLE
    elif error.code == "NotOffered":
        exit_code = ExitCode.USAGE
    elif error.code.startswith(CONFLICTS) or "no changes detected" in error.message:
        exit_code = ExitCode.CONFLICT
    else:
        exit_code = STATUSES.get(error.status, ExitCode.FAILED)
    findings = [
        Finding(path=p.path, found=p.found, allowed=p.allowed, hint=p.hint, message=p.message) for p in error.problems
    ]
    hint = error.hint
    if error.status == 401 and error.component == "Authorizer":
        hint = "set SHOAL_API_KEY to a token; where the orchestrator runs one is made by: shoal token create"
    return CommandError(error.message, exit_code, code=error.code, hint=hint, problems=findings)


def report(error: CommandError, *, as_json: bool) -> ExitCode:
    """Tell the error on stderr, as one line of JSON or for people, and return the exit code."""
    if as_json:
        problems = [
            {"Path": p.path, "Line": p.line, "Found": p.found, "Allowed": p.allowed, "Hint": p.hint or p.message}
            for p in error.problems
        ]
        body = {"Code": error.code, "Message": error.message, "Hint": error.hint, "Problems": problems}
        _write(msgspec.json.encode({"Error": body}).decode())
        return error.exit_code
    lines = error.message.splitlines() or [""]
    if error.problems:
        told = {text for p in error.problems for text in (p.message, p.sentence())}
        lines = [line for line in lines if line not in told]
        lines = [*(lines or ["what was asked for is not valid"]), *(f"  {p.sentence()}" for p in error.problems)]
    head = "Interrupted" if error.exit_code is ExitCode.INTERRUPTED else "Error"
    _write(f"{head}: {printable(lines[0])}")
    for line in lines[1:]:
        _write(printable(line))
    if error.hint:
        _write(f"Hint: {printable(error.hint)}")
    return error.exit_code


def note(text: str) -> None:
    """Say something that is neither data nor an error."""
    _write(printable(text))


def warn(text: str) -> None:
    """Say that something is not as it should be, though it goes on."""
    _write(f"Warning: {printable(text)}")


def interrupted(job: str = "") -> CommandError:
    """What Ctrl-C means: the end of the verb, and where it waited for a job, how to wait again."""
    message = "the job goes on" if job else "by Ctrl-C"
    hint = f"to wait for it again: shoal job wait {job}" if job else ""
    return CommandError(message, ExitCode.INTERRUPTED, hint=hint)


def ask(question: str) -> bool:
    """Ask on the terminal; only `y` or `yes` is yes."""
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def can_ask() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word that was probably meant, or an empty text."""
    matches = get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def _write(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (BrokenPipeError, ValueError):
        return  # nobody listens
