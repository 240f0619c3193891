"""The command bar and the palette: going somewhere by name."""

import re
import subprocess
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual.app import SuspendNotSupported, SystemCommand
from textual.screen import Screen

from tui.bindings import BY_ID, shown
from tui.model.text import clean, clip
from tui.places import PLACES, Focus, is_open_to
from tui.recording import load, recordings
from tui.screens.export import KINDS
from tui.styles.themes import NAMES

if TYPE_CHECKING:
    from tui.app import ShoalApp


def run(app: "ShoalApp", text: str, focus: Focus) -> None:
    """Carry out a line: `job NAME`, `48213`, `theme light`, the name of a screen. Raises ValueError."""
    word, _, rest = text.strip().removeprefix(":").partition(" ")
    rest = rest.strip()
    if word.isascii() and word.isdigit():
        jump = getattr(app.screen, "jump", None)
        if jump is None:
            message = "a number jumps to a partition; open a job first"
            raise ValueError(message)
        jump(int(word))
    elif word in ("job", "j"):
        app.open_job(_job(app, rest))
    elif word in ("jobs", ""):
        app.go_home()
    elif word == "theme":
        if rest not in NAMES:
            message = f"theme: found {rest!r}, allowed: {', '.join(NAMES)}"
            raise ValueError(message)
        app.theme = rest
    elif word == "export":
        _export(app.screen, rest.lower())
    elif word == "replay":
        _replay(app, rest)
    elif word in ("q", "quit"):
        app.go_back()
    elif word in ("help", "h"):
        app.call_later(app.action_help)
    else:
        _open(app, word, rest, focus)


def _export(screen: Screen[object], kind: str) -> None:
    action = "save_json" if kind == "json" else "save"
    save = getattr(screen, f"action_{action}", None)
    if kind not in ("", *KINDS) or (kind and not hasattr(screen, "action_save_json")):
        allowed = "csv, json" if hasattr(screen, "action_save_json") else "nothing behind it: this is no table"
        message = f"export: found {clip(kind, 40)!r}, allowed: {allowed}"
        raise ValueError(message)
    if save is None or not screen.check_action(action, ()):
        message = "export: there is nothing to save on this screen"
        raise ValueError(message)
    save()


def _open(app: "ShoalApp", word: str, rest: str, focus: Focus) -> None:
    place = next((place for place in PLACES.values() if word in place.commands), None)
    if place is None:
        known = names()
        near = get_close_matches(word, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        message = f"{clean(word)!r}: no such command; {hint}"
        raise ValueError(message)
    here = replace(Focus() if place.id == "events" else focus, argument=rest)
    attempt = re.fullmatch(r"([0-9]{1,7})\.([0-9]{1,4})", rest)
    if place.id == "logs" and here.job_id and attempt:
        app.open(
            "log", Focus(job_id=here.job_id, job_name=here.job_name, partition=int(attempt[1]), attempt=int(attempt[2]))
        )
        return
    if not is_open_to(place.id, here):
        message = f"{place.commands[0]}: open a {place.needs} first"
        raise ValueError(message)
    app.open(place.id, here)


def _replay(app: "ShoalApp", name: str) -> None:
    """A replay in this terminal, until it is left; then all is as before."""
    if not name:
        message = "replay: which recording? shoal tui --record FILE makes one"
        raise ValueError(message)
    path = Path(name).expanduser()
    load(path)
    looks = [*(["--ascii"] if app.options.is_ascii else []), *([] if app.options.mouse else ["--no-mouse"])]
    words = [sys.executable, "-m", "tui", "tui", "--replay", str(path), "--theme", app.theme, *looks]

    def play() -> None:
        try:
            with app.suspend():
                subprocess.run(words, check=False)
        except SuspendNotSupported:
            app.tell(f"there is no terminal to hand over here: shoal tui --replay {path}", severity="warning")

    app.call_after_refresh(play)


def _job(app: "ShoalApp", name: str) -> Focus:
    if not name:
        message = "job: which one? give a name or an id"
        raise ValueError(message)
    for line in app.overview.lines.values():
        if name in (line.name, line.id) or line.id.startswith(name):
            return Focus(job_id=line.id, job_name=line.name)
    near = get_close_matches(name, [line.name for line in app.overview.lines.values()], n=1)
    if near:
        message = f"job: no {clip(name, 40)!r}; did you mean {clip(near[0], 40)}?"
        raise ValueError(message)
    return Focus(job_id=name, job_name=name)


def names() -> list[str]:
    """What the command bar knows."""
    return [
        "job",
        "jobs",
        "theme",
        "export",
        "replay",
        "help",
        "quit",
        *(name for place in PLACES.values() for name in place.commands[:1]),
    ]


def suggestions(app: "ShoalApp") -> list[str]:
    """Whole lines that may be meant."""
    jobs = [f"job {clean(line.name)}" for line in app.overview.lines.values()]
    replays = [f"replay {name}" for name in recordings(Path.cwd())]
    return [*names(), *(f"theme {name}" for name in NAMES), *replays, *jobs]


def palette(app: "ShoalApp", screen: Screen[object]) -> Iterable[SystemCommand]:
    """Commands of the palette: the actions that are active here, the jobs, the themes. Nothing of it is markup."""
    seen = set()
    for active in screen.active_bindings.values():
        key = BY_ID.get(active.binding.id or "")
        if key is None or key.id in seen or not active.enabled or key.context in ("move", "text"):
            continue
        seen.add(key.id)
        yield SystemCommand(
            _plain(app, key.label[:1].upper() + key.label[1:]),
            _plain(app, f"{key.tooltip}  ({shown(active.binding.key)})"),
            _runner(screen, active.binding.action),
        )
    for line in app.overview.lines.values():
        focus = Focus(job_id=line.id, job_name=line.name)
        yield SystemCommand(
            _plain(app, f"Job {clip(line.name, 60)}"),
            _plain(app, f"{line.state.value}, {line.count:,} partitions"),
            _opener(app, focus),
        )
    for name in NAMES:
        yield SystemCommand(f"Theme {name}", "Change how shoal looks", _themer(app, name))


def _plain(app: "ShoalApp", text: str) -> str:
    """Text that the palette's markup leaves alone."""
    return app.palette.text(clean(text)).replace("[", "(").replace("]", ")")


def _runner(screen: Screen[object], action: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    async def go() -> None:
        await screen.run_action(action)

    return go


def _opener(app: "ShoalApp", focus: Focus):  # type: ignore[no-untyped-def]  # noqa: ANN202
    def go() -> None:
        app.open_job(focus)

    return go


def _themer(app: "ShoalApp", name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    def go() -> None:
        app.theme = name

    return go
