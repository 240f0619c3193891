"""What an agent is told at its start: a YAML file, then SHOAL_NODE_* variables, then flags; the later wins."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from node.capacity import Overrides
from node.inputs.base import InputError
from node.inputs.local import parse_allowed
from orchestrator.contract.settings import ConfigError, Settings, nearest
from orchestrator.contract.units import parse_cpu, parse_gpu, parse_size

PREFIX = "SHOAL_NODE_"
ENGINES = ("docker", "process", "wasm")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an agent can be told."""

    orchestrator: str = "http://127.0.0.1:1234"
    ca_file: Path | None = None
    """PEM: the only authorities whose certificates are trusted; None = those that this machine knows."""
    join_token: str = ""
    """With it a node that the orchestrator does not know gets a token of its own."""
    name: str = ""
    """Empty = `n-` and a UUID, kept in the data directory."""
    data_dir: Path | None = None
    """None = `~/.shoal/node-NAME`, without a name `~/.shoal/node`."""
    engines: tuple[str, ...] | None = None
    """None = those that are present here, but `process`: host programs run only where that was said."""
    capacity: Overrides = Overrides()
    labels: dict[str, str] = {}
    allow_paths: tuple[str, ...] = ()
    """`GLOB[:rw]`: what `local` inputs may mount. None of them = no local inputs."""
    allow_env: tuple[str, ...] = ()
    """Regular expressions for whole names: variables of the node that `env:NAME` may stand for."""

    @property
    def directory(self) -> Path:
        """The data directory in force."""
        if self.data_dir is not None:
            return self.data_dir
        return Path.home() / ".shoal" / (f"node-{self.name}" if self.name else "node")


def read_config(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """The configuration from flags, environment and the file that either names.

    Raises ConfigError for unknown names, with the nearest known one, and for values that are none. `--help` exits.
    """
    return _convert(SETTINGS.read(arguments, environment, _plain))


NAMES = {
    "orchestrator": ("address of the orchestrator (http://127.0.0.1:1234)", "URL"),
    "ca_file": (
        "PEM file of the authority that made the orchestrator's certificate (those that this machine knows)",
        "FILE",
    ),
    "join_token": (
        "token to join with; better by SHOAL_NODE_JOIN_TOKEN or in a file: others see flags",
        "TOKEN",
    ),
    "join_token_file": ("file with the token to join with", "FILE"),
    "name": ("name of the node (n-<uuid>, kept in the data directory)", "NAME"),
    "data_dir": ("where the node keeps its journal and the work directories (~/.shoal/node-NAME)", "DIR"),
    "engines": ("engines to offer, separated by commas (those present, but process)", "LIST"),
    "cpu": ("cores to offer (all)", "CORES"),
    "memory": ("memory to offer, 4GB (all)", "SIZE"),
    "disk": ("disk to offer, 20GB (what is free)", "SIZE"),
    "gpu": ("GPUs to offer (all)", "NUMBER"),
    "label": ("a label of the node; may be repeated", "KEY=VALUE"),
    "allow_path": ("a path that `local` inputs may mount; may be repeated", "GLOB[:rw]"),
    "allow_env": ("names of the node's variables that tasks may get by `env:NAME`; may be repeated", "REGEX"),
    "config": ("a YAML file with any of these", "FILE"),
}
LISTS = ("label", "allow_path", "allow_env")


SETTINGS = Settings("shoal node run", "The agent of one Shoal node.", PREFIX, NAMES, lists=LISTS, example="name: n1")


def _plain(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _convert(said: Mapping[str, Any]) -> Config:
    amounts = {
        name: _amount(name, said.get(name), parse)
        for name, parse in (("cpu", parse_cpu), ("memory", parse_size), ("disk", parse_size), ("gpu", parse_gpu))
    }
    name = str(said.get("name", ""))
    if name and (len(name) > 253 or not all(c.isalnum() or c in "-_." for c in name)):
        message = f"name: found {name!r}, allowed: at most 253 letters, digits, - _ and ."
        raise ConfigError(message)
    config = Config(
        orchestrator=_url(str(said.get("orchestrator", Config().orchestrator))),
        ca_file=Path(said["ca_file"]).expanduser().absolute() if said.get("ca_file") else None,
        join_token=_join_token(said),
        name=name,
        data_dir=Path(said["data_dir"]).expanduser().absolute() if said.get("data_dir") else None,
        engines=_engines(said.get("engines")),
        capacity=Overrides(**amounts),
        labels=_labels(said.get("label")),
        allow_paths=_texts("allow_path", said.get("allow_path")),
        allow_env=_texts("allow_env", said.get("allow_env")),
    )
    try:
        for entry in config.allow_paths:
            parse_allowed(entry)
    except InputError as error:
        raise ConfigError(error.message) from error
    for pattern in config.allow_env:
        try:
            re.compile(pattern)
        except re.error as error:
            message = f"allow_env: {pattern!r} is no regular expression: {error}"
            raise ConfigError(message) from error
    return config


def _amount(name: str, value: Any, parse: Callable[[str], Any]) -> Any:
    if value is None:
        return None
    try:
        return parse(str(value))
    except ValueError as error:
        message = f"{name}: {error}"
        raise ConfigError(message) from error


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        message = f"orchestrator: found {text!r}, allowed: a URL like http://127.0.0.1:1234"
        raise ConfigError(message)
    return text


def _join_token(said: Mapping[str, Any]) -> str:
    token, file = str(said.get("join_token", "")).strip(), said.get("join_token_file")
    if token and file:
        message = "join_token and join_token_file: found both, allowed: one of them"
        raise ConfigError(message)
    if not file:
        return token
    path = Path(str(file)).expanduser()
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        message = f"join_token_file: {path}: {reason}"
        raise ConfigError(message) from error
    if not token:
        message = f"join_token_file: {path}: it is empty"
        raise ConfigError(message)
    return token


def _engines(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    engines = tuple(dict.fromkeys(one.lower() for one in _texts("engines", value)))
    for engine in engines:
        if engine not in ENGINES:
            message = f"engines: found {engine!r}{nearest(engine, ENGINES)}"
            raise ConfigError(message)
    return engines


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """A list, or a text with commas between its items. Commas within braces do not count."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in items):
        message = f"{name}: found {value!r}, allowed: text, or a list of texts"
        raise ConfigError(message)
    if name == "engines" or not isinstance(value, list):
        items = [part.strip() for one in items for part in _split(one)]
    return tuple(one for one in items if one)


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += (char == "{") - (char == "}")
        if char == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _labels(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(key): str(one) for key, one in value.items()}
    labels = {}
    for text in _texts("label", value):
        key, equals, one = text.partition("=")
        if not equals or not key:
            message = f"label: found {text!r}, allowed: KEY=VALUE"
            raise ConfigError(message)
        labels[key] = one
    return labels
