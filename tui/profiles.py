"""Profiles: orchestrators by name, in `profiles.yaml` of the home directory.

production:
  url: https://shoal.example.org
  token: ...          # or token-file: /path
  read-only: true
  protected: true     # acting asks for the job's name
  timeout: 30s        # that an answer may take
  description: ...
"""

from pathlib import Path

import msgspec
import yaml

from orchestrator.contract.units import duration
from tui.options import THEMES
from tui.settings import Settings, SettingsError, url_of

NAME = "profiles.yaml"
KEYS = ("url", "token", "token-file", "read-only", "protected", "theme", "timeout", "description")


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One orchestrator."""

    name: str
    url: str
    token: str = ""
    read_only: bool = False
    protected: bool = False
    theme: str = ""
    timeout: float = 0.0
    """Seconds that an answer may take; 0 = as elsewhere."""
    description: str = ""


def read(home: Path) -> tuple[list[Profile], list[str]]:
    """The profiles that can be used, and a line for each that cannot."""
    path = home / NAME
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return [], [f"profiles: {path}: {' '.join(str(error).split())}"]
    if content is None:
        return [], []
    if not isinstance(content, dict):
        return [], [f"profiles: {path}: allowed: names, each with url and the like"]
    profiles, problems = [], []
    for name, given in content.items():
        try:
            profiles.append(_profile(str(name), given))
        except (ValueError, SettingsError, OSError) as error:
            problems.append(f"profiles: {name}: {error}")
    return profiles, problems


def _profile(name: str, given: object) -> Profile:
    if not isinstance(given, dict) or not isinstance(given.get("url"), str):
        message = f"found {given!r:.60}, allowed: url: http://host:port, and {', '.join(KEYS[1:])}"
        raise ValueError(message)  # noqa: TRY004 - told as a line, like any other wrong value
    unknown = [str(key) for key in given if key not in KEYS]
    if unknown:
        message = f"found {unknown[0]!r}, allowed: {', '.join(KEYS)}"
        raise ValueError(message)
    for key in ("read-only", "protected"):
        if not isinstance(given.get(key, False), bool):
            message = f"{key}: found {given[key]!r}, allowed: true or false"
            raise ValueError(message)  # noqa: TRY004 - the same
    if (given.get("theme") or THEMES[0]) not in THEMES:
        message = f"theme: found {given['theme']!r}, allowed: {', '.join(THEMES)}"
        raise ValueError(message)
    token = str(given.get("token", ""))
    if given.get("token-file"):
        token = Path(str(given["token-file"])).expanduser().read_text(encoding="utf-8").strip()
    return Profile(
        name=name,
        url=url_of("url", given["url"].strip(), "", ""),
        token=token,
        read_only=given.get("read-only", False),
        protected=given.get("protected", False),
        theme=str(given.get("theme", "")),
        timeout=seconds("timeout", given["timeout"]) if given.get("timeout") else 0.0,
        description=str(given.get("description", "")),
    )


def seconds(name: str, given: object) -> float:
    """A timeout. Raises SettingsError."""
    try:
        found = duration(given)
    except ValueError:
        found = 0.0
    if found <= 0:
        message = f"{name}: found {given!r}, allowed: a duration above 0, like 30s"
        raise SettingsError(message)
    return found


def add(home: Path, name: str, url: str) -> None:
    """Write a further profile. Raises SettingsError for an address that makes no sense, ValueError for a name, OSError."""
    if not name.replace("-", "").replace("_", "").isalnum():
        message = f"profile: found {name!r}, allowed: letters, digits, - and _"
        raise ValueError(message)
    checked = url_of("url", url.strip(), "", "")
    path = home / NAME
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if name in (yaml.safe_load(before) or {}):
        message = f"profile: {name!r} is there already"
        raise ValueError(message)
    home.mkdir(parents=True, exist_ok=True)
    glue = "" if not before or before.endswith("\n") else "\n"
    path.write_text(f"{before}{glue}{name}:\n  url: {checked}\n", encoding="utf-8")
    path.chmod(0o600)


def settings_of(profile: Profile, settings: Settings) -> Settings:
    """The settings with another orchestrator."""
    return msgspec.structs.replace(settings, url=profile.url, token=profile.token, user="", timeout=profile.timeout)
