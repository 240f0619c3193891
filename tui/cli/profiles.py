"""What the CLI does with `profiles.yaml` beyond reading it; which one is in use is a setting that is kept."""

from pathlib import Path
from typing import Any

import yaml

from tui.profiles import NAME, Profile, add, read
from tui.settings import SettingsError, keep, kept, url_of


class Profiles:
    """The profiles below one home (`~/.shoal`). All methods raise SettingsError."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def all(self) -> list[Profile]:
        """Those that can be used, by name."""
        return sorted(read(self.home)[0], key=lambda one: one.name)

    def current(self) -> str:
        """The one that is used where none is named; empty = none."""
        return kept(self.home).get("Profile", "")

    def load(self, name: str) -> Profile:
        """One of them."""
        found = next((one for one in self.all() if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in self.all()) or "none yet"
            message = (
                f"profile: found {name!r}, allowed: {known}; make one with: shoal profile save {name} --endpoint URL"
            )
            raise SettingsError(message)
        return found

    def save(self, name: str, given: dict[str, str | None]) -> None:
        """Make one, or change what is given of it, by the keys of the file; an empty text takes it away."""
        url = given["url"] and url_of("--endpoint", given["url"].strip(), "", "")
        try:
            if name not in (one.name for one in self.all()):
                if not url:
                    message = f"--endpoint is missing: shoal profile save {name} --endpoint http://host:1234"
                    raise SettingsError(message)
                add(self.home, name, url)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        self._change(name, {key: text for key, text in {**given, "url": url}.items() if text is not None})

    def select(self, name: str) -> None:
        """Use it from now on where none is named."""
        keep(self.home, "Profile", self.load(name).name)

    def delete(self, name: str) -> None:
        """Forget it."""
        self.load(name)
        if self.current() == name:
            keep(self.home, "Profile", "")
        self._change(name, None)

    def _change(self, name: str, fields: dict[str, str] | None) -> None:
        """Write the file anew, readable by its owner alone; None = without this profile."""
        path = self.home / NAME
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if fields is None:
            del content[name]
        else:
            content[name] = {key: text for key, text in {**content[name], **fields}.items() if text != ""}
        made = path.with_suffix(".new")
        made.touch(mode=0o600)
        made.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        made.replace(path)
