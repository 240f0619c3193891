"""Tables with the mouse and as files; jobs without a partition."""

import csv
import json
from pathlib import Path

import pytest
from textual.pilot import Pilot

from orchestrator.contract.partitions import Row
from tests.helpers.server import Agent, Api
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tests.pilot.test_tools import job_with_two_kinds_of_failure
from tui.places import Focus
from tui.screens.job import JobPage
from tui.screens.node import NodePage, Placed


async def click(pilot: Pilot[int], text: str) -> None:
    """Click on a text of the screen."""
    lines = screen(pilot.app).splitlines()  # type: ignore[arg-type]
    y = next(y for y, line in enumerate(lines) if text in line)
    assert await pilot.click(offset=(lines[y].index(text), y))


async def test_a_click_on_a_title_sorts_and_one_on_the_footer_is_its_key(api: Api) -> None:
    for name in ("beta", "alpha"):
        await api.submit(name)
    app = app_for(api.url)
    async with app.run_test(size=(120, 30)) as pilot:
        await shows(pilot, "beta")
        for title, word in (("JOB", "name"), ("AGE", "newest"), ("FAILED", "trouble"), ("STATE", "state")):
            await click(pilot, title)
            await shows(pilot, f"sort: {word}")
        await pilot.press("g", "n")
        await shows(pilot, "sort: node")
        await click(pilot, "FAIL/h")
        await shows(pilot, "sort: failed in an hour")
        await pilot.press("escape")
        await shows(pilot, "enter open")
        await click(pilot, "enter open")
        await wait_for(pilot, lambda: isinstance(app.screen, JobPage), "the key of the table itself, not of the page")
        await shows(pilot, "lens state")


def test_partitions_of_a_node_are_saved_as_they_are_and_sorted_trouble_first() -> None:
    page = NodePage(Focus(node_id="n1"))
    rows = [
        Placed(job_id="j-1", job_name="etl", row=Row(index=index, state=state, attempts=1))
        for index, state in ((12, "completed"), (7, "running"), (2, "completed"), (9, "failed"))
    ]
    assert [page.plain(row)["partition"] for row in rows] == [12, 7, 2, 9]
    assert [row.row.index for row in page.sorted(rows)] == [9, 7, 12, 2]
    page.order = "partition"
    assert [row.row.index for row in page.sorted(rows)] == [2, 7, 9, 12]


async def test_tables_are_saved_as_csv_and_as_json(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job_id = await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("ctrl+s")
        await shows(pilot, "1 job written")
        await pilot.press("colon", *"export xml", "enter")
        await shows(pilot, "export: found 'xml', allowed: csv, json")
        await pilot.press("escape", "enter")
        await shows(pilot, "6 partitions ")
        await pilot.press("t")
        await shows(pilot, "PARTITION ▾")
        await click(pilot, "STATE")
        await shows(pilot, "STATE ▾")
        for kind in ("csv", "json"):
            await pilot.press("colon", *f"export {kind}", "enter")
            await wait_for(pilot, (tmp_path / f"{job_id[:10]}-partitions.{kind}").exists, f"the {kind}")
        await pilot.press("slash", *"failed", "enter", "l")
        await shows(pilot, "attempt 1 of 1")
        await pilot.press("colon", *"export json", "enter")
        await shows(pilot, "this is no table")
    (job,) = json.loads((tmp_path / "shoal-jobs.json").read_text())
    assert (job["id"], job["count"], job["failed"], job["state"]) == (job_id, 6, 3, "Failed")
    assert job["created"].endswith("Z")
    rows = json.loads((tmp_path / f"{job_id[:10]}-partitions.json").read_text())
    assert [row["state"] for row in rows] == ["completed", "failed", "failed", "completed", "failed", "completed"]
    with (tmp_path / f"{job_id[:10]}-partitions.csv").open() as sheet:
        assert [{**row, "partition": int(row["partition"]), "attempts": 1} for row in csv.DictReader(sheet)] == rows


async def test_a_job_without_partitions_has_none_to_go_to(api: Api) -> None:
    job_id = await api.submit("none", count=0)
    app = app_for(api.url, job=job_id)
    async with app.run_test(size=(100, 30)) as pilot:
        await shows(pilot, "0 partitions")
        await pilot.press("enter", "l", "colon", "0", "enter")
        await shows(pilot, "partition 0: the job has none")
        assert isinstance(app.screen, JobPage)


async def test_a_dialog_on_a_terminal_that_is_too_small_for_it_scrolls_to_its_answers(api: Api) -> None:
    await job_with_two_kinds_of_failure(api, Agent(api))
    app = app_for(api.url)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "✗3")
        await pilot.press("r")
        await shows(pilot, "Retry 3 partitions")
        await pilot.resize_terminal(40, 10)
        await pilot.press("right")
        await shows(pilot, "▸ [ Retry 3 ]")
        assert max(map(len, screen(app).splitlines())) <= 40
        assert screen(app).count("│") > 10, "both sides of its frame are there"
        await pilot.resize_terminal(80, 24)
        await shows(pilot, "Retry 3 partitions of etl")
