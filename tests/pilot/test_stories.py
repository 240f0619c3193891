"""What operators come for, and how many keys it takes them, against the real orchestrator. docs/tui.md tells the counts."""

from pathlib import Path

from orchestrator.contract.agent import InputObject, Inputs, LogTail, Stream
from orchestrator.contract.execution import Cause
from tests.helpers.keyboard import Keyboard
from tests.helpers.processes import free_port
from tests.helpers.server import JOBS, Agent, Api, orchestrator
from tests.helpers.terminal import app_for, screen, shows, wait_for
from tui.screens.job import JobPage
from tui.screens.log import LogPage
from tui.screens.partition import PartitionPage
from tui.widgets.retry_fields import doubled

NODES = "/api/v1/orchestrator/nodes"


async def ended(api: Api, job_id: str, state: str = "Failed") -> None:
    """Wait until the job has ended so."""
    await api.until(f"{JOBS}/{job_id}", lambda answer: answer["Job"]["State"]["StateType"] == state)


async def job_with_failures(api: Api, agent: Agent, *, count: int, bad: tuple[int, ...], cause: Cause) -> str:
    """A job of `count` partitions of which these failed, all in the same way; each has a log and an input."""
    job_id = await api.submit("etl", count=count, Retry={"MaxAttempts": 1})
    await agent.sync()
    for index in range(count):
        lines = f"begin {index}\nrows {index}00\n" + ("ValueError: bad date\n" if index in bad else "")
        tail = LogTail(stream=Stream.OUT, offset=0, content=lines.encode())
        inputs = Inputs(objects=(InputObject(name=f"/in/part-{index:04}.csv", size=12),))
        if index in bad:
            message = "out of memory" if cause is Cause.OOM else "ValueError: bad date"
            code = 137 if cause is Cause.OOM else 1
            agent.end(index, exit_code=code, cause=cause, message=message, tails=(tail,), inputs=inputs)
        else:
            agent.end(index, tails=(tail,), inputs=inputs)
    await agent.sync()
    await ended(api, job_id)
    return job_id


async def test_first_start_without_a_server_goes_on_by_itself_when_there_is_one(tmp_path: Path) -> None:
    port = free_port()
    app = app_for(f"http://127.0.0.1:{port}")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "connection refused")
        for text in (f"http://127.0.0.1:{port}", "shoal devstack", "shoal serve", "from the default", "again in"):
            assert text in screen(app)
        async with orchestrator(tmp_path / "data", port=port):
            await shows(pilot, "No nodes yet", within=30)
            assert "● live" in screen(app).splitlines()[0]
            app.exit()


async def test_from_an_empty_cluster_to_a_first_job_in_4_keys(api: Api, tmp_path: Path) -> None:
    app = app_for(api.url, home=tmp_path / "home")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        keys = Keyboard(pilot)
        await shows(pilot, f"shoal node run --orchestrator {api.url}")
        await Agent(api).sync()
        await shows(pilot, "No jobs yet")
        await keys.press("c")
        await shows(pilot, "hello")
        await keys.press("f4")
        await shows(pilot, "1 of 1 node matches")
        await wait_for(pilot, lambda: getattr(app.focused, "id", "") == "cancel", "Cancel has the focus")
        await keys.press("right", "enter")
        await wait_for(pilot, lambda: isinstance(app.screen, JobPage), "the job is open")
        assert keys.count == 4
    assert [job["Name"] for job in (await api.get(JOBS))["Items"]] == ["hello"]


async def test_why_a_job_is_stuck_at_4998_of_5000_in_2_keys(api: Api) -> None:
    agent = Agent(api, cpu=4998)
    job_id = await api.submit("etl", count=5000)
    await agent.sync()
    await api.put(f"{NODES}/{agent.name}", {"Action": "drain", "Reason": "disk"})
    assert len(agent.assigned) == 4998, "as many as have room"
    for index in range(4998):
        agent.end(index)
    await agent.sync()
    await api.until(f"{JOBS}/{job_id}/partitions", lambda grid: grid["Summary"] == {"Completed": 4998, "Waiting": 2})
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        keys = Keyboard(pilot)
        await shows(pilot, "4,998/5,000")
        await keys.press("enter")
        await shows(pilot, "waiting 2")
        await keys.press("W")
        await shows(pilot, "2 partitions")
        await shows(pilot, "4998-4999")
        assert "n1  " in screen(app)
        assert "drain" in screen(app)
        assert keys.count == 2


async def test_37_failed_of_the_same_error_are_retried_with_more_memory_in_3_keys(api: Api) -> None:
    bad = tuple(range(3, 40))
    agent = Agent(api, cpu=64)
    job_id = await job_with_failures(api, agent, count=50, bad=bad, cause=Cause.OOM)
    own = (await api.get(f"{JOBS}/{job_id}"))["Job"]["Tasks"][0]["Resources"]["Memory"]
    app = app_for(api.url)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        keys = Keyboard(pilot)
        await shows(pilot, "✗37")
        await keys.press("E")
        await shows(pilot, "1 failure group")
        assert " 37 oom exit 137 out of memory" in screen(app)
        await keys.press("r")
        await shows(pilot, "Retry 37 partitions of etl")
        await shows(pilot, doubled(own))
        await keys.press("y")
        await shows(pilot, "retry: 37 partitions")
        assert keys.count == 3
    await agent.sync()
    given = {one.index: one.resources for one in agent.assigned.values()}
    assert tuple(sorted(given)) == bad
    assert {one.memory for one in given.values() if one is not None} == {doubled(own)}


async def test_a_bad_attempt_is_compared_with_a_good_one_in_3_keys(api: Api) -> None:
    await job_with_failures(api, Agent(api), count=6, bad=(1,), cause=Cause.EXIT)
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        keys = Keyboard(pilot)
        await shows(pilot, "✗1")
        await keys.press("enter")
        await shows(pilot, "last error")
        await keys.press("l")
        await shows(pilot, "begin 1")
        await keys.press("d")
        await shows(pilot, "A 0.1 completed   B 1.1 failed")
        text = screen(app)
        assert "- completed" in text
        assert "+ failed" in text
        assert "ValueError: bad date" in text
        assert "- begin" not in text, "numbers do not make lines differ"
        assert keys.count == 3


async def test_the_partition_that_handled_a_file_is_found_by_its_name_and_3_keys(api: Api) -> None:
    await job_with_failures(api, Agent(api, cpu=64), count=40, bad=(1,), cause=Cause.EXIT)
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        keys = Keyboard(pilot)
        await shows(pilot, "✗1")
        line = "find part-0029.csv"
        await keys.press("colon", *("space" if letter == " " else letter for letter in line), "enter")
        await shows(pilot, "1 hit")
        await shows(pilot, "logs searched")
        await keys.press("enter")
        await wait_for(
            pilot, lambda: isinstance(app.screen, PartitionPage) and app.screen.at.partition == 29, "the partition"
        )
        await shows(pilot, "/in/part-0029.csv")
        assert keys.count - len(line) == 3


async def test_a_bad_node_is_drained_in_4_keys_and_the_same_take_it_in_again(api: Api) -> None:
    agent = Agent(api)
    await api.submit("etl", count=2)
    await agent.sync()
    app = app_for(api.url)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        keys = Keyboard(pilot)
        await shows(pilot, "etl")
        await keys.press("g", "n")
        await shows(pilot, "Connected")
        await keys.press("D")
        await shows(pilot, "2 of etl")
        await shows(pilot, "none: all would wait")
        await keys.press("y")
        await shows(pilot, "Draining")
        assert keys.count == 4
        await keys.press("D")
        await shows(pilot, "in again")
        await keys.press("y")
        await wait_for(pilot, lambda: "Draining" not in screen(app), "taken in again")
        await keys.press("enter")
        await shows(pilot, "2 partitions")


async def test_the_last_job_with_one_change_is_planned_and_submitted_in_7_keys(api: Api, tmp_path: Path) -> None:
    await job_with_failures(api, Agent(api), count=6, bad=(1,), cause=Cause.EXIT)
    app = app_for(api.url, home=tmp_path / "home")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        keys = Keyboard(pilot)
        await shows(pilot, "✗1")
        await keys.press("C")
        await shows(pilot, "etl-2")
        await keys.press("down", "backspace", "7")
        await shows(pilot, "new")
        await keys.press("f4")
        await shows(pilot, "NEW job etl-2")
        await shows(pilot, "7 partitions")
        await wait_for(pilot, lambda: getattr(app.focused, "id", "") == "cancel", "Cancel has the focus")
        await keys.press("right", "enter")
        await wait_for(pilot, lambda: isinstance(app.screen, JobPage), "the job is open")
        await shows(pilot, "7 partitions")
        assert keys.count == 7


async def test_the_log_of_what_failed_is_2_keys_from_the_list_and_the_next_one_1_more(api: Api) -> None:
    await job_with_failures(api, Agent(api), count=6, bad=(1, 4), cause=Cause.EXIT)
    app = app_for(api.url)
    async with app.run_test(size=(120, 40)) as pilot:
        keys = Keyboard(pilot)
        await shows(pilot, "✗2")
        await keys.press("enter")
        await shows(pilot, "last error  ValueError: bad date")
        await keys.press("l")
        await wait_for(pilot, lambda: isinstance(app.screen, LogPage) and app.screen.text.count == 3, "the log is read")
        page = app.screen
        assert isinstance(page, LogPage)
        await wait_for(pilot, lambda: page.log_view.cursor == 2, "the cursor is on the trouble")
        assert keys.count == 2
        for text in ("begin 4", "begin 1"):
            await keys.press("right_square_bracket")
            await shows(pilot, text)
        assert keys.count == 4
