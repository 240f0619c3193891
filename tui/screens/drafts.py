"""Drafts of jobs, kept per profile below the home directory, so that leaving never loses one."""

import re
import time
from pathlib import Path

import msgspec

from tui.model.moments import short_duration

MOST = 20
"""Drafts of a profile that are offered."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A text that was not submitted."""

    name: str
    age: str
    """`3m05s ago`."""
    text: str


class Drafts:
    """The drafts of one profile. Files that cannot be read are left out; `keep` raises OSError."""

    def __init__(self, home: Path, profile: str) -> None:
        self.directory = home / "drafts" / _safe(profile)

    def keep(self, name: str, text: str) -> None:
        """Write a draft, if it differs from what is there."""
        path = self.directory / f"{_safe(name)}.yaml"
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)

    def forget(self, name: str) -> None:
        """It was submitted."""
        (self.directory / f"{_safe(name)}.yaml").unlink(missing_ok=True)

    def free(self, name: str) -> str:
        """A name that no draft has: this one, or with `-2`, `-3`, ... behind it."""
        plain, number = _safe(name)[:60], 1
        found = plain
        while (self.directory / f"{found}.yaml").exists():
            number += 1
            found = f"{plain}-{number}"
        return found

    def newest(self, name: str) -> Draft | None:
        """The newest draft of that name, numbered or not."""
        ours = re.compile(rf"{re.escape(_safe(name))}(-\d+)?")
        return next((draft for draft in self.all() if ours.fullmatch(draft.name)), None)

    def all(self) -> list[Draft]:
        """All drafts, the newest first."""
        try:
            paths = sorted(self.directory.glob("*.yaml"), key=lambda path: -path.stat().st_mtime)
        except OSError:
            return []
        return [draft for path in paths[:MOST] if (draft := _read(path)) is not None]


def _read(path: Path) -> Draft | None:
    try:
        age = time.time() - path.stat().st_mtime
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return Draft(name=path.stem, age=f"{short_duration(max(0.0, age))} ago", text=text)


def _safe(name: str) -> str:
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    return plain[:80] or "unnamed"
