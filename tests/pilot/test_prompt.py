"""The line to type in."""

from tests.helpers.server import Api
from tests.helpers.terminal import app_for, screen, shows


async def test_a_refusal_that_is_longer_than_the_line_is_cut_with_a_mark(api: Api) -> None:
    app = app_for(api.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "No nodes yet")
        await pilot.press("colon", *"nonsense", "enter")
        await shows(pilot, "no such command")
        line = next(line for line in screen(app).splitlines() if "no such command" in line)
        assert line.rstrip().endswith("…")
        assert ":" in line
        assert "nonsense" in line
