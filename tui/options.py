"""What the terminal UI was started with."""

from pathlib import Path

import msgspec

from tui.settings import Settings

RATE = 10.0
THEMES = ("dark", "light", "high-contrast", "monochrome")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Flags of `shoal tui`, and where the orchestrator is."""

    settings: Settings
    source: str = "the default"
    """Where the address came from: a flag, a variable, a profile."""
    profile: str = "local"
    """Its name in line 1."""
    job: str = ""
    """The job to open at once."""
    read_only: bool = False
    is_ascii: bool = False
    theme: str = "dark"
    colours: str = ""
    """What the terminal can show: `truecolor`, `256`, `standard`; empty = as it says."""
    fps: float = RATE
    """Pictures a second at most."""
    mouse: bool = True
    bell: bool = False
    """Whether a job that fails rings the terminal's bell and changes its title."""
    keymap: Path | None = None
    """A YAML file of binding ids and keys; None = `~/.shoal/keymap.yaml` if it is there."""
    record: Path | None = None
    """Where `job`, or else the first one that is opened, is recorded meanwhile."""
    replay: Path | None = None
    """A recording to show instead of an orchestrator."""
    is_read_only_asked: bool = False
    """Whether `--read-only` was given: then no profile is any other."""
    is_protected: bool = False
    """Whether acting always asks for the job's name: a profile says so."""
