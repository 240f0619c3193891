"""Every screen at three sizes, without colour and in ASCII, as text with its styles. UPDATE_GOLDEN=1 writes the golden files."""

import os
from pathlib import Path

import pytest

from orchestrator.contract.api import JobList
from orchestrator.contract.job import JobStateType
from orchestrator.contract.partitions import PartitionInputs
from orchestrator.contract.partitions import PartitionState as S
from tests.helpers.fake_api import JOBS, FakeApi, attempt, detail, grid_of, job_of, ordinary
from tests.helpers.fake_reading import had_inputs
from tests.helpers.terminal import Frozen, app_for, quiet, screen, shows, wait_for, with_styles
from tui.screens.log import LogPage

GOLDEN = Path(__file__).parent / "golden"
STATES = [S.COMPLETED] * 430 + [S.FAILED, S.FAILED, S.RETRYING, S.STOPPED] + [S.RUNNING, S.COMPLETED, S.PUBLISHING] * 20
STATES += [S.ASSIGNED] * 30 + [S.WAITING] * 276
ATTEMPTS = [3 if index % 97 == 5 else 1 for index in range(len(STATES))]
KEYS: dict[str, tuple[tuple[str, ...], str]] = {
    "jobs": ((), " map "),
    "job": (("enter",), "last error"),
    "table": (("enter", "t"), "PARTITION"),
    "partition": (("enter", "plus", "plus", "plus", "enter"), "WHY"),
    "log": (("enter", "l"), "2 lines"),
    "help": (("enter", "question_mark"), "active now"),
    "retry": (("enter", "r"), "include completed"),
}
SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x50": (200, 50)}
LOOKS = {"colour": {}, "nocolor": {"NO_COLOR": "1"}, "ascii": {}}


def cluster() -> FakeApi:
    """A job of 800 partitions in the middle of its life."""
    api = quiet(ordinary())
    api.on("GET", JOBS, JobList(next_token="", items=(job_of(800, JobStateType.RUNNING, name="fish"),)))
    api.on("GET", f"{JOBS}/[^/]+/partitions", grid_of(STATES, attempts=ATTEMPTS))
    tries = (
        attempt(1, "failed", cause="oom", exit_code=137, message="out of memory"),
        attempt(2, "failed", cause="exit", exit_code=1, message="ValueError: bad date '2026-02-30' at row 17,204"),
    )
    api.on("GET", f"{JOBS}/[^/]+/partitions/\\d+", detail(430, *tries))
    had = PartitionInputs(next_token="", items=(had_inputs("part-0430.csv", 2),))
    api.on("GET", f"{JOBS}/[^/]+/partitions/\\d+/inputs", had)
    return api


VARIANTS = [*((size, "colour") for size in SIZES), ("80x24", "nocolor"), ("120x40", "ascii")]


@pytest.mark.parametrize(("size", "look"), VARIANTS)
@pytest.mark.parametrize("name", KEYS)
async def test_screen_is_as_agreed(
    name: str, size: str, look: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable, value in LOOKS[look].items():
        monkeypatch.setenv(variable, value)
    keys, sign = KEYS[name]
    app = app_for(cluster(), kind=Frozen, is_ascii=look == "ascii", home=tmp_path)
    async with app.run_test(size=SIZES[size]) as pilot:
        await shows(pilot, "fish")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.2)
        await shows(pilot, sign)
        if isinstance(app.screen, LogPage):
            await wait_for(pilot, lambda: "reading" not in screen(app), "it is read")
        await pilot.pause(0.4)
        found = with_styles(app)
    if look == "ascii":
        assert found.isascii()
    golden = GOLDEN / f"{name}-{size}-{look}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text()
