"""Two attempts compared: what they were given and had, not only what they wrote."""

import msgspec
import pytest

from orchestrator.contract.api import GetJobResponse, HistoryList
from orchestrator.contract.job import InputSource, JobStateType, ResourcesConfig, SpecConfig
from orchestrator.contract.partitions import AttemptInputs, InputFile, Override, PartitionInputs
from tests.helpers.fake_api import JOBS, FakeApi, attempt, detail, execution_id, job_of, ordinary
from tests.helpers.terminal import app_for, quiet, screen, shows
from tui.places import Focus
from tui.screens.compare import ComparePage
from tui.widgets.table import Table

ONE = f"{JOBS}/[^/]+"


def inputs(index: int, size: int) -> PartitionInputs:
    """What the only attempt of a partition had: two files that all have, one of its own."""
    items = (
        InputFile(name="/inputs/lookup.csv", size=1000),
        InputFile(name="/inputs/model.bin", size=size),
        InputFile(name=f"/inputs/part-{index}.csv", size=70),
    )
    one = AttemptInputs(attempt=1, execution_id=execution_id(index), is_known=True, items=items)
    return PartitionInputs(next_token="", items=(one,))


@pytest.fixture
def api() -> FakeApi:
    """Partition 1 failed with more memory than partition 0, which completed."""
    api = quiet(ordinary())
    job = job_of(5, JobStateType.FAILED)
    env = {"MODE": "strict", "TOKEN": "env:API_TOKEN", "EVIL": "[/y]\x1b[31m\nx"}
    sources = (InputSource(source=SpecConfig(type="local"), alias="", target="/inputs"),)
    resources = ResourcesConfig(cpu="1", memory="2gb")
    task = msgspec.structs.replace(job.task, env=env, resources=resources, input_sources=sources)
    job = msgspec.structs.replace(job, tasks=(task,))
    api.on("GET", ONE, GetJobResponse(job=job, history=HistoryList(next_token="", items=())))
    bad = msgspec.structs.replace(
        attempt(1, "failed", cause="exit", exit_code=1, message="boom"),
        override=Override(resources=ResourcesConfig(memory="4gb")),
    )
    api.on("GET", f"{ONE}/partitions/0", detail(0, attempt(1, "completed")))
    api.on("GET", f"{ONE}/partitions/1", detail(1, bad))
    api.on("GET", f"{ONE}/partitions/0/inputs", inputs(0, 5_000_000))
    api.on("GET", f"{ONE}/partitions/1/inputs", inputs(1, 5_000_001))
    return api


async def test_what_attempts_were_given_and_had_stands_before_what_they_wrote(api: FakeApi) -> None:
    app = app_for(api)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "1 of 1 jobs")
        app.open("compare", Focus(job_id="j-1", job_name="fish", partition=1))
        await shows(pilot, "A 0.1 completed   B 1.1 failed")
        lines = [line.strip() for line in screen(app).splitlines()]
        order = [next(at for at, line in enumerate(lines) if text in line) for text in (
            "node", "- 2gb", "+ 4gb", "── inputs", "lookup.csv", "- /inputs/model.bin", "+ /inputs/model.bin",
            "- /inputs/part-0.csv", "+ /inputs/part-1.csv", "── environment", "MODE=strict", "TOKEN=env:API_TOKEN", "── logs",
        )]  # fmt: skip
        assert order == sorted(order)
        assert "(5,000,001 bytes)" in lines[order[6]]
        assert "\x1b" not in screen(app)


def label(page: ComparePage, table: Table) -> str:
    """What stands at the begin of the line under the cursor."""
    (pieces, *_) = page.cells(table.cursor)
    assert isinstance(pieces, list)
    return str(pieces[0][0])


async def test_n_stops_at_each_difference_and_only_there(api: FakeApi) -> None:
    app = app_for(api)
    async with app.run_test(size=(200, 50)) as pilot:
        await shows(pilot, "1 of 1 jobs")
        app.open("compare", Focus(job_id="j-1", job_name="fish", partition=1))
        await shows(pilot, "B 1.1 failed")
        page = app.screen
        assert isinstance(page, ComparePage)
        table = page.query_one(Table)
        stops = []
        for _ in range(9):
            await pilot.press("n")
            stops.append(label(page, table))
        facts = ["state", "cause", "exit code", "message", "memory"]
        assert stops == [*facts, "≠", "-", "+", "partition"]
        await pilot.press("N")
        assert label(page, table) == "+", "from the first to the last"


async def test_an_orchestrator_that_does_not_know_inputs_compares_all_the_same(api: FakeApi) -> None:
    api.refuse("GET", f"{ONE}/partitions/\\d+/inputs", 404, "NotFound", "no such route", component="APIServer")
    app = app_for(api)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "1 of 1 jobs")
        app.open("compare", Focus(job_id="j-1", job_name="fish", partition=1))
        await shows(pilot, "not reported")
        assert "── inputs" not in screen(app)
        assert "── environment" in screen(app)
