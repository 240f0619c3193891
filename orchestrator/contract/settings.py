"""How a process is told its settings: a file, then variables, then flags; the later wins. One set of names for all three.

Orchestrator and agents read theirs alike. What is in a file is read by the caller: the contract knows no YAML.
"""

import argparse
import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn


class ConfigError(Exception):
    """The configuration cannot be used; the message names what was found and what is allowed."""


class Settings:
    """The settings of a program: for each name what it means, and the shape of its value; without a shape it is true or false.

    A file is named by the setting `config`, and holds a setting as `example` shows. Settings in `lists` may be given more than
    once; with any of those, names in a file may be plurals.
    """

    def __init__(
        self,
        program: str,
        description: str,
        prefix: str,
        names: Mapping[str, tuple[str, str]],
        *,
        lists: Sequence[str] = (),
        example: str,
    ) -> None:
        self._prefix = prefix
        self._names = names
        self._has_plurals = bool(lists)
        self._example = example
        self._parser = Parser(prog=program, description=description, allow_abbrev=False)
        for name, (meaning, shape) in names.items():
            flag = "--" + name.replace("_", "-")
            if shape:
                action = "append" if name in lists else "store"
                self._parser.add_argument(flag, dest=name, metavar=shape, help=meaning, action=action)
            else:
                self._parser.add_argument(flag, dest=name, nargs="?", const="true", metavar="true|false", help=meaning)

    def read(
        self, arguments: Sequence[str], environment: Mapping[str, str], load: Callable[[str], object]
    ) -> dict[str, Any]:
        """What was said, by name; `load` gives the plain data of a file's text, and raises ValueError.

        Raises ConfigError for unknown names, with the nearest known one. `--help` exits.
        """
        flags = {name: value for name, value in vars(self._parser.parse_args(arguments)).items() if value is not None}
        variables: dict[str, Any] = {}
        for variable, value in environment.items():
            if variable.startswith(self._prefix):
                variables[self._known(variable)] = value
        path = flags.pop("config", None) or variables.pop("config", None)
        return (self._file(Path(path), load) if path else {}) | variables | flags

    def _known(self, variable: str) -> str:
        name = variable.removeprefix(self._prefix).lower()
        if name in self._names:
            return name
        message = f"unknown setting {variable}{nearest(variable, [self._prefix + one.upper() for one in self._names])}"
        raise ConfigError(message)

    def _file(self, path: Path, load: Callable[[str], object]) -> dict[str, Any]:
        """The settings of a file, their names as in flags, in any case, with - or _ or neither."""
        try:
            found = load(path.read_text(encoding="utf-8"))
        except OSError as error:
            message = f"{path}: {error.strerror}"
            raise ConfigError(message) from error
        except ValueError as error:
            message = f"{path}: no YAML: {error}"
            raise ConfigError(message) from error
        if found is None:
            return {}
        if not isinstance(found, dict):
            message = f"{path}: found {type(found).__name__}, allowed: settings like `{self._example}`"
            raise ConfigError(message)
        plain = {name.replace("_", ""): name for name in self._names if name != "config"}
        settings: dict[str, Any] = {}
        for key, value in found.items():
            squeezed = str(key).lower().replace("-", "").replace("_", "")
            name = plain.get(squeezed) or (plain.get(squeezed.removesuffix("s")) if self._has_plurals else None)
            if name is None:
                message = f"{path}: unknown setting {key}{nearest(str(key), list(plain.values()))}"
                raise ConfigError(message)
            settings[name] = value
        return settings


class Parser(argparse.ArgumentParser):
    """Refuses unknown flags with the nearest known one."""

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError."""
        unknown = message.partition("unrecognized arguments: ")[2].split()
        if unknown and unknown[0].startswith("--"):
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            message = f"unknown flag {unknown[0]}{nearest(unknown[0].partition('=')[0], flags)}"
        raise ConfigError(message)


def nearest(name: str, known: Sequence[str]) -> str:
    """How a refusal ends: with the known name that was probably meant, else with all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are: {', '.join(known)}"
