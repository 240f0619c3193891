"""What an orchestrator is told at its start: a YAML file, then SHOAL_ORCHESTRATOR_* variables, then flags; the later wins."""

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from orchestrator.contract.settings import ConfigError, Settings
from orchestrator.contract.units import duration

PREFIX = "SHOAL_ORCHESTRATOR_"
STORES = ("sqlite", "memory")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an orchestrator can be told."""

    host: str = "127.0.0.1"
    """Outside loopback only with tokens, and with a certificate unless `no_tls` says otherwise."""
    port: int = 1234
    """0 = any that is free."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """PEM files: the certificate with what leads to its authority, and its key; None = no TLS."""
    no_tls: bool = False
    """Said on purpose: a proxy in front of us speaks TLS."""
    data_dir: Path = Path("~/.shoal/orchestrator").expanduser()
    lease: float = 30.0
    """Seconds that a node's word counts."""
    fence: float = 600.0
    """Seconds that a node works on without hearing anything; at least the lease."""
    store: str = "sqlite"
    """`sqlite`, or `memory`: nothing outlives the process."""
    manual_approval: bool = False
    """Whether a node that joins waits until somebody approves it: `shoal node approve`."""
    max_result: int = 10 << 30
    """Bytes of one archive of results."""


NAMES = {
    "host": ("address to listen on (127.0.0.1)", "ADDRESS"),
    "port": ("port to listen on, 0 = any (1234)", "PORT"),
    "tls_cert": ("certificate to show, PEM, with those that lead to its authority", "FILE"),
    "tls_key": ("its key, PEM", "FILE"),
    "no_tls": ("listen outside loopback without TLS: behind a proxy that speaks it", ""),
    "data_dir": ("where state, logs and results are kept (~/.shoal/orchestrator)", "DIR"),
    "lease": ("how long a node's word counts, 30s (30s)", "DURATION"),
    "fence": ("how long a node works on without hearing anything, 10m (10m)", "DURATION"),
    "store": ("sqlite, or memory: nothing outlives the process (sqlite)", "KIND"),
    "manual_approval": ("nodes that join wait until somebody approves them", ""),
    "config": ("a YAML file with any of these", "FILE"),
}


SETTINGS = Settings("shoal serve", "The orchestrator of a Shoal cluster.", PREFIX, NAMES, example="port: 1234")


def read_config(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """The configuration from flags, environment and the file that either names.

    Raises ConfigError for unknown names, with the nearest known one, and for values that are none. `--help` exits.
    """
    return _convert(SETTINGS.read(arguments, environment, _plain))


def _plain(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _convert(said: Mapping[str, Any]) -> Config:
    default = Config()
    lease = _seconds("lease", said.get("lease", default.lease), 1.0)
    fence = _seconds("fence", said.get("fence", max(default.fence, lease)), lease)
    store = str(said.get("store", default.store)).lower()
    if store not in STORES:
        message = f"store: found {store!r}, allowed: {', '.join(STORES)}"
        raise ConfigError(message)
    cert, key = (Path(str(said[name])).expanduser() if said.get(name) else None for name in ("tls_cert", "tls_key"))
    if (cert is None) != (key is None):
        lacking = "tls_key" if key is None else "tls_cert"
        message = f"{lacking}: found nothing, allowed: a file: tls_cert and tls_key go together"
        raise ConfigError(message)
    no_tls = _truth("no_tls", said)
    if no_tls and cert is not None:
        message = "no_tls: found true, allowed: false, as there is a tls_cert"
        raise ConfigError(message)
    return Config(
        tls_cert=cert,
        tls_key=key,
        no_tls=no_tls,
        manual_approval=_truth("manual_approval", said),
        host=_host(str(said.get("host", default.host))),
        port=_port(str(said.get("port", default.port))),
        data_dir=Path(str(said.get("data_dir", default.data_dir))).expanduser().absolute(),
        lease=lease,
        fence=fence,
        store=store,
    )


def _truth(name: str, said: Mapping[str, Any]) -> bool:
    """A setting that is true or false."""
    word = str(said.get(name, False)).lower()
    if word not in ("true", "false"):
        message = f"{name}: found {word!r}, allowed: true, false"
        raise ConfigError(message)
    return word == "true"


def _host(text: str) -> str:
    """An address of this machine."""
    host = "127.0.0.1" if text == "localhost" else text.strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError as error:
        message = f"host: found {text!r}, allowed: a loopback address such as 127.0.0.1, another one of this machine, or 0.0.0.0"
        raise ConfigError(message) from error


def is_loopback(host: str) -> bool:
    """Whether nobody can call but programs of this machine."""
    return ipaddress.ip_address(host).is_loopback


def refuse_exposure(config: Config, *, has_tokens: bool) -> None:
    """Raises ConfigError where an orchestrator would be open to all who reach it, or its tokens to all who listen."""
    if is_loopback(config.host):
        return
    if not has_tokens:
        message = (
            f"host: found {config.host!r}, allowed: a loopback address such as 127.0.0.1, as there are no tokens: everyone who "
            f"reaches it could run programs on the nodes. Make one first: shoal token create NAME --role admin "
            f"--data-dir {config.data_dir}"
        )
        raise ConfigError(message)
    if config.tls_cert is None and not config.no_tls:
        message = (
            f"host: found {config.host!r} without TLS, so that tokens could be read on the way. Give --tls-cert and --tls-key, "
            f"or --no-tls where a proxy in front speaks TLS"
        )
        raise ConfigError(message)


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
