"""Make the pictures and the table of keys of docs/tui.md: python docs/screens.py [NAME ...].

The pictures are the real app, over the canned cluster that its golden tests use, so that they never differ by chance.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path

import httpx
import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from orchestrator.client import OrchestratorClient  # noqa: E402 - found only now
from orchestrator.contract.job import JobStateType  # noqa: E402
from tests.helpers.fake_api import JOBS, FakeApi, job_of  # noqa: E402
from tests.helpers.fake_reading import lines_of_all  # noqa: E402
from tests.helpers.terminal import NOW, Frozen, app_for, shows  # noqa: E402
from tests.snapshot.tui import test_screens, test_tool_screens  # noqa: E402
from tui.bindings import KEYS, SHOWN  # noqa: E402
from tui.options import Options  # noqa: E402
from tui.overview import Overview  # noqa: E402
from tui.recording import Recorder  # noqa: E402
from tui.replay import ReplayApp, open_recording  # noqa: E402
from tui.screens import logs_all  # noqa: E402
from tui.settings import Settings  # noqa: E402

SIZE = (120, 34)
SCREENS = test_screens.KEYS | test_tool_screens.KEYS
BEGIN, END = "<!-- keys: made by docs/screens.py -->", "<!-- end of keys -->"
TITLES = {
    "app": "everywhere",
    "page": "every screen",
    "go": "behind `g`",
    "move": "tables and the grid",
    "text": "text of a log",
    "list": "errors, nodes, events, profiles",
    "logs": "logs of all",
}


async def picture(name: str) -> None:
    """One screen as docs/tui/NAME.svg."""
    keys: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory() as home:
        if name == "first-start":
            nobody = FakeApi()
            nobody.on("GET", ".*", httpx.ConnectError("All connection attempts failed"))
            app, begin, sign = app_for(nobody, kind=Frozen, home=Path(home)), "refused", "shoal serve"
        elif name == "replay":
            app, begin, sign = await replayed(Path(home)), "REPLAY", "430 ✗ Failed"
        else:
            app = app_for(test_tool_screens.rich_cluster(), kind=Frozen, home=Path(home))
            (keys, sign), begin = SCREENS[name], "fish"
        async with app.run_test(size=SIZE) as pilot:
            await shows(pilot, begin)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.3)
            await shows(pilot, sign)
            await pilot.pause(0.6)
            svg = app.export_screenshot(simplify=True)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    await asyncio.to_thread((HERE / "tui" / f"{name}.svg").write_text, svg)


async def replayed(home: Path) -> ReplayApp:
    """A recording of that cluster's job, and the app that shows it."""
    path = home / "fish.rec"
    cluster = test_tool_screens.rich_cluster()
    cluster.on("GET", f"{JOBS}/[^/]+", {"Job": msgspec.to_builtins(job_of(800, JobStateType.RUNNING))})
    transport = httpx.MockTransport(cluster)
    async with OrchestratorClient("http://127.0.0.1:1234", transport=transport) as client:
        recorder = asyncio.ensure_future(Recorder(client, "fish", path, wall=lambda: NOW).run())
        for word in (b'"Grid"', b'"Failures"', b'"Nodes"'):
            while not path.exists() or word not in path.read_bytes():  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.05)
        recorder.cancel()
        await asyncio.gather(recorder, return_exceptions=True)
    app = open_recording(Options(settings=Settings(url="http://x", home=home), replay=path, colours="truecolor"))
    app.player.is_playing = False
    app.overview = Overview(clock=lambda: 100.0)
    return app


def keys_table() -> str:
    """All keys, by where they count."""
    lines = ["| key | id | what it does |", "|---|---|---|"]
    context = ""
    for key in KEYS:
        if key.context != context:
            context = key.context
            lines.append(f"| **{TITLES.get(context, context)}** | | |")
        shown = " ".join(f"`{SHOWN.get(one, one)}`" for one in key.keys.split(","))
        lines.append(f"| {shown.replace('|', chr(92) + '|')} | {key.id} | {key.tooltip} |")
    return "\n".join(lines)


async def main() -> None:
    """All pictures, or those that are named; then the table."""
    (HERE / "tui").mkdir(exist_ok=True)
    setattr(logs_all, "logs", lines_of_all)  # noqa: B010 - the module imports it for itself
    for name in sys.argv[1:] or [*SCREENS, "first-start", "replay"]:
        await picture(name)
    page = HERE / "tui.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{keys_table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
