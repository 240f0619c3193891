"""Make the pictures and the table of keys of docs/tui.md: python docs/screens.py [NAME ...].

The pictures are the real app, over the canned cluster that its golden tests use, so that they never differ by chance.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.helpers.terminal import Frozen, app_for, shows  # noqa: E402 - found only now
from tests.snapshot.tui import test_screens, test_tool_screens  # noqa: E402
from tui.bindings import KEYS, SHOWN  # noqa: E402

SIZE = (120, 34)
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
    keys, sign = (test_screens.KEYS | test_tool_screens.KEYS)[name]
    with tempfile.TemporaryDirectory() as home:
        app = app_for(test_tool_screens.rich_cluster(), kind=Frozen, home=Path(home))
        async with app.run_test(size=SIZE) as pilot:
            await shows(pilot, "fish")
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.3)
            await shows(pilot, sign)
            await pilot.pause(0.6)
            svg = app.export_screenshot(simplify=True)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    await asyncio.to_thread((HERE / "tui" / f"{name}.svg").write_text, svg)


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
    for name in sys.argv[1:] or [*test_screens.KEYS, *test_tool_screens.KEYS]:
        await picture(name)
    page = HERE / "tui.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{keys_table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
