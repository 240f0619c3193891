"""What an orchestrator is told at its start: a YAML file, then SHOAL_ORCHESTRATOR_* variables, then flags; the later wins."""

import argparse
import difflib
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import yaml

from orchestrator.contract.units import duration

PREFIX = "SHOAL_ORCHESTRATOR_"
STORES = ("sqlite", "memory")


class ConfigError(Exception):
    """The configuration cannot be used; the message names what was found and what is allowed."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an orchestrator can be told."""

    host: str = "127.0.0.1"
    """A loopback address: until there are tokens, nobody else may call."""
    port: int = 1234
    """0 = any that is free."""
    data_dir: Path = Path("~/.shoal/orchestrator").expanduser()
    lease: float = 30.0
    """Seconds that a node's word counts."""
    fence: float = 600.0
    """Seconds that a node works on without hearing anything; at least the lease."""
    store: str = "sqlite"
    """`sqlite`, or `memory`: nothing outlives the process."""
    max_result: int = 10 << 30
    """Bytes of one archive of results."""


NAMES = {
    "host": ("address to listen on (127.0.0.1)", "ADDRESS"),
    "port": ("port to listen on, 0 = any (1234)", "PORT"),
    "data_dir": ("where state, logs and results are kept (~/.shoal/orchestrator)", "DIR"),
    "lease": ("how long a node's word counts, 30s (30s)", "DURATION"),
    "fence": ("how long a node works on without hearing anything, 10m (10m)", "DURATION"),
    "store": ("sqlite, or memory: nothing outlives the process (sqlite)", "KIND"),
    "config": ("a YAML file with any of these", "FILE"),
}


def read_config(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """The configuration from flags, environment and the file that either names.

    Raises ConfigError for unknown names, with the nearest known one, and for values that are none. `--help` exits.
    """
    flags = {name: value for name, value in vars(_parser().parse_args(arguments)).items() if value is not None}
    variables: dict[str, Any] = {}
    for variable, value in environment.items():
        if variable.startswith(PREFIX):
            name = _known(variable.removeprefix(PREFIX).lower(), variable, lambda known: PREFIX + known.upper())
            variables[name] = value
    path = flags.pop("config", None) or variables.pop("config", None)
    said = (_read_file(Path(path)) if path else {}) | variables | flags
    return _convert(said)


class Parser(argparse.ArgumentParser):
    """Refuses unknown flags with the nearest known one."""

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError."""
        unknown = message.partition("unrecognized arguments: ")[2].split()
        if unknown and unknown[0].startswith("--"):
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            message = f"unknown flag {unknown[0]}{_nearest(unknown[0].partition('=')[0], flags)}"
        raise ConfigError(message)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m orchestrator", description="The orchestrator of a Shoal cluster.", allow_abbrev=False
    )
    for name, (meaning, shape) in NAMES.items():
        parser.add_argument("--" + name.replace("_", "-"), dest=name, metavar=shape, help=meaning)
    return parser


def _known(name: str, written: str, spell: Callable[[str], str]) -> str:
    if name in NAMES:
        return name
    message = f"unknown setting {written}{_nearest(spell(name), [spell(known) for known in NAMES])}"
    raise ConfigError(message)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are: {', '.join(known)}"


def _read_file(path: Path) -> dict[str, Any]:
    """The settings of a YAML file, their names as in flags, in any case, with - or _ or neither."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise ConfigError(message) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        message = f"{path}: no YAML: {error}"
        raise ConfigError(message) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        message = f"{path}: found {type(found).__name__}, allowed: settings like `port: 1234`"
        raise ConfigError(message)
    plain = {name.replace("_", ""): name for name in NAMES if name != "config"}
    settings: dict[str, Any] = {}
    for key, value in found.items():
        name = plain.get(str(key).lower().replace("-", "").replace("_", ""))
        if name is None:
            message = f"{path}: unknown setting {key}{_nearest(str(key), list(plain.values()))}"
            raise ConfigError(message)
        settings[name] = value
    return settings


def _convert(said: Mapping[str, Any]) -> Config:
    default = Config()
    lease = _seconds("lease", said.get("lease", default.lease), 1.0)
    fence = _seconds("fence", said.get("fence", max(default.fence, lease)), lease)
    store = str(said.get("store", default.store)).lower()
    if store not in STORES:
        message = f"store: found {store!r}, allowed: {', '.join(STORES)}"
        raise ConfigError(message)
    return Config(
        host=_host(str(said.get("host", default.host))),
        port=_port(str(said.get("port", default.port))),
        data_dir=Path(str(said.get("data_dir", default.data_dir))).expanduser().absolute(),
        lease=lease,
        fence=fence,
        store=store,
    )


def _host(text: str) -> str:
    """A loopback address."""
    host = "127.0.0.1" if text == "localhost" else text.strip("[]")
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        message = (
            f"host: found {text!r}, allowed: a loopback address such as 127.0.0.1. This version has no tokens yet, so "
            f"everyone who reaches it could run programs on the nodes; reach it from elsewhere through an SSH tunnel"
        )
        raise ConfigError(message)
    return host


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        message = f"port: found {text!r}, allowed: 0 to 65535"
        raise ConfigError(message)
    return int(text)


def _seconds(name: str, value: Any, least: float) -> float:
    try:
        seconds = duration(value)
    except ValueError as error:
        message = f"{name}: {error}"
        raise ConfigError(message) from error
    if not least <= seconds <= 86_400:
        message = f"{name}: found {value}, allowed: {least:g}s to 24h"
        raise ConfigError(message)
    return seconds
