"""Which orchestrator, as whom: from the environment and the global flags. The flags win, then SHOAL_*, then BACALHAU_*."""

import uuid
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from tui.profiles import Profile

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = "1234"
ANY_ADDRESS = ("0.0.0.0", "::", "[::]")  # noqa: S104 - what a server listens on; a client means the loopback by it
MAX_PORT = 65_535


class SettingsError(Exception):
    """A setting makes no sense: which one, what was found, what is allowed."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests go, and with what."""

    url: str
    """`http://host:port`, without a slash at the end."""
    token: str = ""
    """Bearer token, or with a `user` its password; empty = none."""
    user: str = ""
    ca_file: Path | None = None
    """PEM: the authorities whose certificates are trusted; None = those that this machine knows."""
    home: Path
    """Where the client keeps its files: `~/.shoal`."""
    timeout: float = 0.0
    """Seconds that an answer may take; 0 = as long as the client finds right."""
    profile: str = ""
    """By which the orchestrator was named; empty = by none."""

    def instance_id(self) -> str:
        """The id of this installation, sent with every request; `@last` finds my jobs by it. Made on first use.

        Empty when the home directory cannot be written: then nothing is told apart.
        """
        path = self.home / "instance"
        try:
            found = path.read_text().strip()
            if found:
                return found
        except (OSError, UnicodeDecodeError):
            pass
        made = str(uuid.uuid4())
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            path.write_text(made + "\n")
        except OSError:
            return ""
        return made


KEYS = {
    "API.Host": "host, or whole address, of the orchestrator",
    "API.Port": "its port",
    "API.TLS.CAFile": "PEM: whose certificates to trust",
    "API.TLS.UseTLS": "whether it is called by https",
    "Profile": "the profile that is used where none is named",
}
"""What may be kept in `config.yaml`, and what each is."""
TRUE = ("1", "t", "true")
FALSE = ("0", "f", "false")
SERVERS = (
    (
        "API.Auth Compute DataDir Engines InputSources JobAdmissionControl JobDefaults Labels Logging NameProvider Orchestrator "
        "Publishers ResultDownloaders StrictVersionMatch UpdateConfig WebUI DisableAnalytics FeatureFlags"
    )
    .lower()
    .split()
)
"""How the names of Bacalhau's other settings begin."""


def known_key(name: str) -> str | None:
    """A key of `KEYS`, however its letters are written; None = there is none."""
    return next((key for key in KEYS if key.lower() == name.strip().lower()), None)


def unknown_key(name: str) -> str:
    """What is said of a name that is no key."""
    allowed = f"allowed: {', '.join(sorted(KEYS))}"
    if any(f"{name.lower()}.".startswith(f"{one}.") for one in SERVERS):
        return (
            f"{name!r} is no setting of a client, {allowed}; `shoal serve` and `shoal node run` take theirs as flags, SHOAL_* "
            f"variables or a file: see their --help"
        )
    guess = next(iter(get_close_matches(name.lower(), [key.lower() for key in KEYS], n=1)), "")
    return f"unknown setting {name!r}, {allowed}" + (f" (did you mean {known_key(guess)}?)" if guess else "")


def checked(key: str, text: str) -> None:
    """Whether a key may have a value. Raises SettingsError."""
    if key == "API.Host":
        url_of(key, text, key, "")
    elif key == "API.Port":
        url_of("", "", key, text)
    elif key == "API.TLS.CAFile":
        _ca_file(key, text)
    elif key == "API.TLS.UseTLS":
        _truth(key, text)


def kept(home: Path) -> dict[str, str]:
    """What is kept in `config.yaml` below `home`. Raises SettingsError."""
    path = home / "config.yaml"
    if not path.exists():
        return {}
    import yaml  # noqa: PLC0415 - few have such a file, and it takes long

    try:
        said = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"{path}: cannot be read: {error}"
        raise SettingsError(message) from error
    found = dict(flat(said)) if isinstance(said, dict) else {}
    for name in found:
        if known_key(name) is None:
            message = f"{path}: {unknown_key(name)}"
            raise SettingsError(message)
    return {known_key(name) or "": str(value) for name, value in found.items()}


def flat(said: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their whole names, however they are nested."""
    for name, value in said.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def keep(home: Path, key: str, text: str) -> Path:
    """Keep a setting in `config.yaml`; an empty text forgets it. Gives the file. Raises SettingsError."""
    import yaml  # noqa: PLC0415 - as above

    path = home / "config.yaml"
    said = {known: one for known, one in kept(home).items() if known != key} | ({key: text} if text else {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(said))
    except OSError as error:
        message = f"{path}: {(error.strerror or str(error)).lower()}"
        raise SettingsError(message) from error
    return path


ADDRESS = ("SHOAL_API_HOST", "SHOAL_API_PORT", "BACALHAU_API_HOST", "BACALHAU_API_PORT")
"""What of the environment says where the orchestrator is."""


def load(
    environ: Mapping[str, str], *, host: str = "", port: str = "", ca_file: str = "", profile: str = ""
) -> Settings:
    """The settings in force. `host` may be a full URL.

    What is said nearer wins: flags (an address before a profile), environment (likewise), the selected profile,
    `config.yaml`. A token of the environment goes before a profile's, as with Bacalhau. Raises SettingsError.
    """
    home = _home(environ)
    said = kept(home)
    if profile and not (host.strip() or port.strip()):  # a flag, and it is an address: one of the environment is none
        environ = {name: text for name, text in environ.items() if name not in ADDRESS}
    profile = (
        profile or environ.get("SHOAL_PROFILE", "") or environ.get("BACALHAU_PROFILE", "") or said.get("Profile", "")
    )
    is_named = any(one.strip() for one in (host, port, *(environ.get(name, "") for name in ADDRESS)))
    chosen = _profile(home, profile) if profile and not is_named else None
    named = {
        "--api-host": host,
        "SHOAL_API_HOST": environ.get("SHOAL_API_HOST", ""),
        "BACALHAU_API_HOST": environ.get("BACALHAU_API_HOST", ""),
        "the profile's endpoint": chosen.url if chosen else "",
        "API.Host": said.get("API.Host", ""),
    }
    ports = {
        "--api-port": port,
        "SHOAL_API_PORT": environ.get("SHOAL_API_PORT", ""),
        "BACALHAU_API_PORT": environ.get("BACALHAU_API_PORT", ""),
        "API.Port": "" if chosen else said.get("API.Port", ""),
    }
    wants_tls = {
        "BACALHAU_API_TLS_USETLS": environ.get("BACALHAU_API_TLS_USETLS", ""),
        "API.TLS.UseTLS": said.get("API.TLS.UseTLS", ""),
    }
    _refuse_insecure(environ)
    user, token = _credential(environ)
    url = url_of(*_first(named), *_first(ports))
    if "://" not in _first(named)[1] and _truth(*_first(wants_tls)):
        url = url.replace("http:", "https:", 1)
    files = {
        "--ca-file": ca_file,
        "SHOAL_API_CA_FILE": environ.get("SHOAL_API_CA_FILE", ""),
        "BACALHAU_API_TLS_CAFILE": environ.get("BACALHAU_API_TLS_CAFILE", ""),
        "API.TLS.CAFile": said.get("API.TLS.CAFile", ""),
    }
    return Settings(
        url=url,
        token=token or (chosen.token if chosen else ""),
        user=user,
        ca_file=_ca_file(*_first(files)),
        home=home,
        timeout=chosen.timeout if chosen else 0.0,
        profile=profile if chosen else "",
    )


def _truth(name: str, text: str) -> bool:
    """Whether a setting is on. Raises SettingsError."""
    word = text.lower()
    if word not in ("", *TRUE, *FALSE):
        message = f"{name}: found {text!r}, allowed: true, false"
        raise SettingsError(message)
    return word in TRUE


def _refuse_insecure(environ: Mapping[str, str]) -> None:
    name = "BACALHAU_API_TLS_INSECURE"
    if _truth(name, environ.get(name, "")):
        message = (
            f"{name}: found 'true', allowed: false: certificates are always checked; --ca-file names who made yours"
        )
        raise SettingsError(message)


def _credential(environ: Mapping[str, str]) -> tuple[str, str]:
    """User (empty with a bearer token) and secret that the environment names, if any."""
    key, user, password = (environ.get(f"BACALHAU_API_{name}", "") for name in ("KEY", "USERNAME", "PASSWORD"))
    own = environ.get("SHOAL_API_KEY", "")
    if own or not (user or password):
        return "", own or key
    if key:
        message = "can't use both BACALHAU_API_KEY and BACALHAU_API_USERNAME/BACALHAU_API_PASSWORD simultaneously"
        raise SettingsError(message)
    if not (user and password):
        given, lacking = ("USERNAME", "PASSWORD") if user else ("PASSWORD", "USERNAME")
        message = f"authentication error: BACALHAU_API_{given} provided but not BACALHAU_API_{lacking}"
        raise SettingsError(message)
    return user, password


def _profile(home: Path, name: str) -> "Profile":
    """A profile. Raises SettingsError."""
    from tui.profiles import read  # noqa: PLC0415 - few have profiles, and YAML takes long

    profiles, problems = read(home)
    found = next((one for one in profiles if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in profiles) or "none yet"
        message = "; ".join([f"profile: found {name!r}, allowed: {known}", *problems])
        raise SettingsError(message)
    return found


def _ca_file(name: str, text: str) -> Path | None:
    """A file with certificates; what is in it is read with the first request."""
    if not text:
        return None
    path = Path(text).expanduser()
    try:
        is_pem = b"-----BEGIN CERTIFICATE-----" in path.read_bytes()
    except OSError as error:
        message = f"{name}: {path}: {(error.strerror or str(error)).lower()}"
        raise SettingsError(message) from error
    if not is_pem:
        message = f"{name}: {path}: no PEM certificate is in it"
        raise SettingsError(message)
    return path


def _first(named: Mapping[str, str]) -> tuple[str, str]:
    return next(((name, value.strip()) for name, value in named.items() if value.strip()), ("", ""))


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME", "")
    return (Path(home) if home else Path.home()) / ".shoal"


def url_of(host_name: str, host: str, port_name: str, port: str) -> str:
    """The address that a host and a port make, each with what it is called. Raises SettingsError."""
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
        message = f"{port_name}: found {port!r}, allowed: a port number, 1 to {MAX_PORT}"
        raise SettingsError(message)
    if "://" in host:
        return _full_url(host_name, host, port)
    host = DEFAULT_HOST if not host or host in ANY_ADDRESS else host
    if any(c in host for c in "/?#@ ") or not host.isprintable():
        message = f"{host_name}: found {host!r}, allowed: a host name, an address, or http://host:port"
        raise SettingsError(message)
    if ":" in host and not host.startswith("["):
        name, _, own_port = host.rpartition(":")
        if ":" in name:  # an IPv6 address
            host = f"[{host}]"
        else:
            return url_of(host_name, name, host_name if own_port else port_name, own_port or port)
    return f"http://{host}:{port or DEFAULT_PORT}"


def _full_url(name: str, text: str, port: str) -> str:
    allowed = "http://host:port or https://host:port, without a path"
    try:
        parts = urlsplit(text)
        own_port = parts.port
    except ValueError as error:
        message = f"{name}: found {text!r} ({error}), allowed: {allowed}"
        raise SettingsError(message) from error
    is_bare = parts.path in ("", "/") and not parts.query and not parts.fragment and not parts.username
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_bare:
        message = f"{name}: found {text!r}, allowed: {allowed}"
        raise SettingsError(message)
    host = DEFAULT_HOST if parts.hostname in ANY_ADDRESS else parts.hostname
    host = f"[{host}]" if ":" in host else host
    shown = own_port or port or ("" if parts.scheme == "https" else DEFAULT_PORT)
    return f"{parts.scheme}://{host}" + (f":{shown}" if shown else "")
