"""The command line, made regular before click sees it.

Global options work anywhere; booleans take `=true` and `=false` and never eat the next word; flags may follow operands.
What comes out holds `--name=value` options, then `--`, then the operands.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import click
import msgspec

from tui.cli.diagnostics import UsageError, nearest
from tui.cli.options import FALSE, TRUE, Optional
from tui.cli.verbs import GROUPS, INSTEAD, VERBS, Verb, load

GLOBALS: Mapping[str, bool] = {
    "--api-host": True,
    "--api-port": True,
    "--ca-file": True,
    "--profile": True,
    "--json": False,
}
"""Options of every verb, and whether they take a value."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A regular command line."""

    path: tuple[str, ...] = ()
    """The words of the verb, or of a group when only help is wanted."""
    verb: Verb | None = None
    command: click.Command | None = None
    args: tuple[str, ...] = ()
    """For click; for a verb that is passed on, everything that followed it."""
    host: str = ""
    port: str = ""
    ca_file: str = ""
    profile: str = ""
    wants_json: bool = False
    wants_help: bool = False


def wants_json(argv: Sequence[str]) -> bool:
    """Whether errors are to be told as JSON, whatever else is wrong with the command line."""
    for word in argv:
        if word == "--":
            return False
        if word == "--json" or word.startswith("--json="):
            return word.partition("=")[2].lower() not in FALSE
    return False


def read(argv: Sequence[str]) -> Line:
    """The regular form of a command line. Raises UsageError, which names what was probably meant."""
    return _Reader(argv).read()


class _Reader:
    """One walk over the words."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.rest = list(argv)
        self.path: list[str] = []
        self.verb: Verb | None = None
        self.command: click.Command | None = None
        self.options: list[str] = []
        self.operands: list[str] = []
        self.globals: dict[str, str] = {}
        self.wants_help = False

    def read(self) -> Line:
        while self.rest:
            word = self.rest.pop(0)
            if self.verb is not None and self.verb.is_passed_on:
                self.operands = [word, *self.rest]
                break
            if word == "--":
                self.operands += self.rest
                break
            if word.startswith("-") and word != "-":
                self._refuse_inside_program(word)
                if word.startswith("--"):
                    self._long(word)
                else:
                    self._short(word)
            elif self.verb is None:
                self._word(word)
            else:
                self.operands.append(word)
        args = [*self.options, "--", *self.operands]
        for word in args:
            if any("\ud800" <= letter <= "\udfff" for letter in word):
                message = f"found {word!r}, allowed: UTF-8 text"
                raise UsageError(message)
        if self.verb is not None and self.verb.is_passed_on:
            args = self.operands
        return Line(
            path=tuple(self.path),
            verb=self.verb,
            command=self.command,
            args=tuple(args),
            host=self.globals.get("--api-host", ""),
            port=self.globals.get("--api-port", ""),
            ca_file=self.globals.get("--ca-file", ""),
            profile=self.globals.get("--profile", ""),
            wants_json=self.globals.get("--json") == "true",
            wants_help=self.wants_help,
        )

    def _word(self, word: str) -> None:
        """A word of the verb."""
        if not self.path and word == "help":
            self.wants_help = True
            return
        path = (*self.path, word)
        if path in VERBS:
            self.verb = VERBS[path]
            self.command = None if self.verb.is_passed_on else load(self.verb)
        elif self.path or word not in GROUPS:
            self._unknown_word(word)
        self.path.append(word)

    def _unknown_word(self, word: str) -> NoReturn:
        known = sorted({path[len(self.path)] for path in VERBS if path[: len(self.path)] == tuple(self.path)})
        said = " ".join(("shoal", *self.path))
        if not self.path and word in INSTEAD:
            message = f"unknown verb {word!r}"
            raise UsageError(message, hint=f"did you mean: shoal {INSTEAD[word]}")
        guess = nearest(word, known)
        hint = f"did you mean: {said} {guess}" if guess else f"verbs are listed by: {said} --help"
        message = f"unknown verb {word!r} after {said!r}" if self.path else f"unknown verb {word!r}"
        raise UsageError(message, hint=hint)

    def _refuse_inside_program(self, token: str) -> None:
        """After the image and the first word of its command, an option can only be the program's: `--` must say so."""
        if self.verb is None or not self.verb.takes_program or len(self.operands) <= self.verb.program_begins:
            return
        said = " ".join(("shoal", *self.path, *self.operands[: self.verb.program_begins]))
        program = " ".join([*self.operands[self.verb.program_begins :], token])
        hint = f"{said} -- {program}"
        message = f"{token} stands inside the command: put -- before the command"
        raise UsageError(message, hint=hint)

    def _long(self, token: str) -> None:
        name, has_value, value = token.partition("=")
        if name == "--help":
            self.wants_help = True
        elif name in GLOBALS:
            self._global(name, value if has_value else None)
        else:
            self._option(name, value if has_value else None)

    def _global(self, name: str, value: str | None) -> None:
        if GLOBALS[name]:
            self.globals[name] = self._value(name, value)
            return
        word = (value if value is not None else "true").lower()
        if word not in TRUE + FALSE:
            message = f"{name}: found {value!r}, allowed: true, false"
            raise UsageError(message)
        self.globals[name] = "true" if word in TRUE else "false"

    def _short(self, token: str) -> None:
        """`-f`, `-f=false`, `-n5`, `-n 5`, and booleans together: `-ft`."""
        letters = token[1:]
        while letters:
            name, letters = f"-{letters[0]}", letters[1:]
            if name == "-h" and self._find(name) is None:
                self.wants_help = True
                return
            option = self._find(name)
            if isinstance(option, Optional):
                value = letters[1:] if letters.startswith("=") else None
                letters = "" if value is not None else letters
                self._option(name, value)
            else:
                self._option(name, letters.removeprefix("=") if letters else None)
                return

    def _option(self, name: str, value: str | None) -> None:
        option = self._find(name)
        if option is None:
            self._unknown_option(name)
        long = max(option.opts, key=len)
        if isinstance(option, Optional):
            self.options.append(f"{long}={option.bare if value is None else value}")
        else:
            self.options.append(f"{long}={self._value(name, value)}")

    def _value(self, name: str, value: str | None) -> str:
        if value is not None:
            return value
        if not self.rest:
            message = f"{name} needs a value"
            raise UsageError(message)
        return self.rest.pop(0)

    def _find(self, name: str) -> click.Option | None:
        if self.command is None:
            return None
        options = (param for param in self.command.params if isinstance(param, click.Option))
        return next((option for option in options if name in option.opts), None)

    def _unknown_option(self, name: str) -> NoReturn:
        if self.command is None:
            message = f"unknown option {name} before the verb"
            raise UsageError(message, hint="options of a verb follow it")
        known = [opt for param in self.command.params if isinstance(param, click.Option) for opt in param.opts]
        guess = nearest(name, [*known, *GLOBALS, "--help"]) if name.startswith("--") else ""
        said = " ".join(("shoal", *self.path))
        hint = f"did you mean {guess}" if guess else f"options are listed by: {said} --help"
        message = f"unknown option {name} of {said!r}"
        raise UsageError(message, hint=hint)
