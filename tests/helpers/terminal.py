"""The terminal UI in a test: against canned answers or a real orchestrator, its screen as text, waiting for what it shows."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from textual.pilot import Pilot
from textual.strip import Strip

from orchestrator.client import OrchestratorClient
from tests.helpers.fake_api import FakeApi, Held
from tui.app import ShoalApp
from tui.options import Options
from tui.overview import Overview
from tui.settings import Settings

NOW = 1_792_000_000.0


class Frozen(ShoalApp):
    """Its clocks stand still, so that a picture is always the same."""

    def __init__(self, options: Options, *, client: OrchestratorClient | None = None) -> None:
        super().__init__(options, client=client)
        self.overview = Overview(clock=lambda: 100.0)

    def wall(self) -> float:
        """Always the same moment."""
        return NOW

    def monotonic(self) -> float:
        """The same."""
        return 100.0


def quiet(api: FakeApi) -> FakeApi:
    """The same with watches that hold and say nothing."""
    api.on("GET", ".*/jobs/[^/]+/watch", lambda _: httpx.Response(200, stream=Held()))
    return api


def app_for(target: FakeApi | str, *, kind: type[ShoalApp] = ShoalApp, token: str = "", **options: Any) -> ShoalApp:
    """An app for canned answers, or the orchestrator at a URL; with a token or without."""
    url = target if isinstance(target, str) else "http://127.0.0.1:1234"
    transport = None if isinstance(target, str) else httpx.MockTransport(target)
    home = options.pop("home", Path(tempfile.gettempdir()) / "shoal-test-home")
    settings = Settings(url=url, home=home)
    client = OrchestratorClient(url, token=token, transport=transport)
    return kind(Options(settings=settings, **{"colours": "truecolor", **options}), client=client)


def strips(app: ShoalApp) -> list[Strip]:
    """The lines on the screen."""
    return [Strip(list(strip)) for strip in app.screen._compositor.render_strips()]


def screen(app: ShoalApp) -> str:
    """What is on the screen, as text."""
    return "\n".join(strip.text.rstrip() for strip in strips(app))


def with_styles(app: ShoalApp) -> str:
    """Text, then every run of a style: what a golden file holds."""
    lines = [*(strip.text.rstrip() for strip in strips(app)), ""]
    for y, strip in enumerate(strips(app)):
        runs, x = [], 0
        for segment in strip.simplify():
            style = segment.style
            if segment.text.strip() or (style is not None and (style.reverse or style.underline)):
                runs.append(f"{x}+{segment.cell_length} {style}")
            x += segment.cell_length
        if runs:
            lines.append(f"{y:>2}: " + " | ".join(runs))
    return "\n".join(lines) + "\n"


async def wait_for(pilot: Pilot[int], holds: Callable[[], object], what: str, within: float = 15.0) -> None:
    """Let the app work until something holds. After a moment in which the whole machine stood still it may work once more."""
    until = time.monotonic() + within
    while not holds():
        is_late = time.monotonic() >= until
        await asyncio.sleep(0.02)
        await pilot.pause()
        assert holds() or not is_late, f"never: {what}\n{screen(pilot.app)}"  # type: ignore[arg-type]


async def shows(pilot: Pilot[int], text: str, within: float = 15.0) -> None:
    """Wait until a text is on the screen."""
    app = pilot.app
    assert isinstance(app, ShoalApp)
    await wait_for(pilot, lambda: text in screen(app), f"{text!r} on the screen", within)
