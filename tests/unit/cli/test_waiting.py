import io
import json
from typing import Any

import httpx
import msgspec
import pytest

from orchestrator.contract.partitions import PartitionState as S
from tests.helpers.cli import Shoal
from tests.helpers.fake_api import JOBS, FakeApi, Held, attempt, detail, frame_of, grid_of
from tui.cli.display import InPlace
from tui.cli.output import Output
from tui.cli.progress import Rate, bar, counts, failed_attempts, why
from tui.feed import JobView

ONE = f"{JOBS}/[^/]+"
BOOM: dict[str, Any] = {"cause": "exit", "exit_code": 7, "message": "boom"}


def shown(out: str) -> list[str]:
    """What was shown before the end."""
    return out.partition("\n\n")[0].splitlines()


def test_every_change_of_a_partition_is_a_line(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING, S.WAITING]))
    api.watch(
        [
            frame_of("c1", {0: (S.ASSIGNED, 1)}, [S.ASSIGNED, S.WAITING]),
            frame_of("c2", {0: (S.RUNNING, 1)}, [S.RUNNING, S.WAITING]),
            frame_of("c3", {0: (S.RETRYING, 1)}, [S.RETRYING, S.WAITING]),
            frame_of("c4", {0: (S.RUNNING, 2), 1: (S.PUBLISHING, 1)}, [S.RUNNING, S.PUBLISHING]),
            frame_of("c5", {0: (S.COMPLETED, 2), 1: (S.COMPLETED, 1)}, [S.COMPLETED, S.COMPLETED], "Completed"),
        ]
    )
    api.on("GET", f"{ONE}/partitions/0", detail(0, attempt(1, "failed", **BOOM)))
    done = shoal("job", "wait", "x")
    assert done.code == 0
    assert shown(done.out) == [
        "Job with 2 partitions:",
        "Partition 0: · Waiting",
        "Partition 1: · Waiting",
        "Partition 0: ○ Assigned",
        "Partition 0: ▶ Running",
        "Partition 0: ✗ Failed -> Scheduled for retry (attempt 1 on n1: exit 7: boom)",
        "Partition 0: ▶ Running (attempt 2 on n1)",
        "Partition 1: ▶ Publishing",
        "Partition 0: ✓ Completed",
        "Partition 1: ✓ Completed",
    ]
    assert "Completed: 2 of 2 completed" in done.out


def test_a_retry_that_was_over_before_the_next_frame_is_told_all_the_same(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{ONE}/partitions", grid_of([S.RUNNING]))
    api.watch([frame_of("c1", {0: (S.COMPLETED, 3)}, [S.COMPLETED], "Completed")])
    attempts = (attempt(1, "failed", **BOOM), attempt(2, "lost", cause="node_lost"), attempt(3, "completed"))
    api.on("GET", f"{ONE}/partitions/0", detail(0, *attempts))
    assert shown(shoal("job", "wait", "x").out) == [
        "Job with 1 partition:",
        "Partition 0: ▶ Running",
        "Partition 0: ✗ Failed -> Scheduled for retry (attempt 1 on n1: exit 7: boom)",
        "Partition 0: ✗ Failed -> Scheduled for retry (attempt 2 on n1: node_lost)",
        "Partition 0: ✓ Completed",
    ]


def test_another_version_of_the_job_is_said_and_its_attempts_are_counted_anew(api: FakeApi, shoal: Shoal) -> None:
    second = msgspec.structs.replace(grid_of([S.WAITING], cursor="d0"), job_version=2)
    api.on("GET", f"{ONE}/partitions", grid_of([S.RUNNING], attempts=[3]), grid_of([S.RUNNING], attempts=[3]), second)
    frames = [
        frame_of("d1", {0: (S.RETRYING, 1)}, [S.RETRYING]),
        frame_of("d2", {0: (S.COMPLETED, 2)}, [S.COMPLETED], "Completed"),
    ]
    frames = [msgspec.structs.replace(frame, job_version=2) for frame in frames]
    api.watch([msgspec.structs.replace(frame_of("d0", {}, [S.WAITING]), job_version=2)], frames)
    api.on("GET", f"{ONE}/partitions/0", detail(0, attempt(1, "failed", **BOOM)))
    done = shoal("job", "wait", "x")
    assert shown(done.out) == [
        "Job with 1 partition:",
        "Partition 0: ▶ Running (attempt 3 on n1)",
        "The job has version 2 now",
        "Partition 0: · Waiting",
        "Partition 0: ✗ Failed -> Scheduled for retry (attempt 1 on n1: exit 7: boom)",
        "Partition 0: ✓ Completed",
    ]


def test_nothing_is_told_twice_when_the_connection_breaks(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING]))
    api.watch(
        [frame_of("c1", {0: (S.RUNNING, 1)}, [S.RUNNING])],
        [frame_of("c1", {0: (S.RUNNING, 1)}, [S.RUNNING]), frame_of("c2", {0: (S.STOPPED, 1)}, [S.STOPPED], "Stopped")],
    )
    done = shoal("job", "wait", "x")
    assert done.code == 1
    lines = [line for line in shown(done.out) if line.startswith("Partition")]
    assert lines == ["Partition 0: · Waiting", "Partition 0: ▶ Running", "Partition 0: □ Stopped"]
    assert [r.url.params["after"] for r in api.requests if r.url.path.endswith("/watch")] == ["c0", "c1"]


def test_a_big_job_tells_failures_and_not_each_partition(api: FakeApi, shoal: Shoal) -> None:
    before, after = [S.RUNNING] * 30, [S.FAILED] * 25 + [S.COMPLETED] * 5
    api.on("GET", f"{ONE}/partitions", grid_of(before))
    api.watch([frame_of("c1", {i: (state, 1) for i, state in enumerate(after)}, after, "Failed")])
    api.on("GET", f"{ONE}/partitions/\\d+", detail(0, attempt(1, "failed", **BOOM)))
    lines = shown(shoal("job", "wait", "x").out)
    assert lines[0] == "Job with 30 partitions:"
    assert lines[1:21] == [f"Partition {i}: ✗ Failed (exit 7: boom)" for i in range(20)]
    assert lines[21:] == ["... and 5 more partitions failed an attempt"]


def test_why_a_job_waits_stands_in_the_same_place(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING], "Queued", message="no node has region=mars"))
    api.on("GET", f"{ONE}/watch", lambda _: httpx.Response(200, stream=Held()))
    done = shoal("job", "wait", "x", "--wait-timeout-secs", "2")
    assert "Queued: no node has region=mars" in shown(done.out)


def test_under_json_there_are_a_first_line_summaries_and_a_last_line(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{ONE}/partitions", grid_of([S.WAITING]))
    api.watch([frame_of("c2", {0: (S.COMPLETED, 1)}, [S.COMPLETED], "Completed")])
    done = shoal("process", "run", "--json", "--", "true")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert done.err == ""
    assert set(lines[0]) == {"JobID", "Warnings"}
    assert set(lines[1]) == {"Time", "Summary"}
    assert lines[1]["Summary"] == {"Waiting": 1}
    assert lines[-1] == {"JobID": lines[0]["JobID"], "State": "Completed", "Summary": {"Completed": 1}, "ExitCode": 0}


def test_with_id_only_progress_goes_to_stderr(shoal: Shoal) -> None:
    done = shoal("process", "run", "--id-only", "--", "true")
    assert done.out.splitlines() == ["j-11111111-2222-4333-8444-555555555555"]
    assert "Partition 3: ✗ Failed" in done.err


def test_without_waiting_only_the_id_is_printed(shoal: Shoal) -> None:
    done = shoal("process", "run", "--wait=false", "--", "true")
    assert (done.code, done.out) == (0, "j-11111111-2222-4333-8444-555555555555\n")


def test_the_end_counts_only_what_is_failed_now(api: FakeApi, shoal: Shoal) -> None:
    group = {"Group": "g", "Cause": "exit", "ExitCode": 7, "Message": "boom", "Count": 4, "Partitions": "0-3"}
    recovered = {**group, "Group": "r", "Message": "other", "Partitions": "0-1"}
    sample = {"Index": 0, "State": "completed", "Attempts": 2}
    items = [{**one, "Sample": {**sample, "Message": one["Message"]}} for one in (group, recovered)]
    api.on("GET", f"{ONE}/failures", {"NextToken": "", "Items": items})
    out = shoal("job", "wait", "x").out
    assert "  1 partition (3): exit 7: boom\n" in out
    assert "other" not in out


def view_of(states: list[S], state: str = "Running") -> JobView:
    view = JobView()
    view.load(grid_of(states, state))
    return view


def test_on_a_terminal_lines_are_drawn_over() -> None:
    stream = io.StringIO()
    display = InPlace(Output(stream, is_terminal=True, width=60))
    display.update(view_of([S.WAITING, S.RUNNING]), ())
    first = stream.getvalue()
    assert first.count("\n") == 3
    display.tick(view_of([S.RUNNING, S.COMPLETED]))
    second = stream.getvalue()[len(first) :]
    assert second.startswith("\x1b[3A\r")
    assert "Partition 1: ✓ Completed" in second


def test_a_big_job_is_a_bar_on_a_terminal() -> None:
    stream = io.StringIO()
    display = InPlace(Output(stream, is_terminal=True, width=120))
    display.update(view_of([S.COMPLETED] * 50 + [S.FAILED] * 10 + [S.RUNNING] * 40), ())
    assert "[" + "#" * 10 + "xx" + "." * 8 + "]" in stream.getvalue()
    assert "50 of 100 completed, 10 failed, 40 running; time left unknown" in stream.getvalue()


def test_the_time_left_promises_nothing_it_does_not_know() -> None:
    rate = Rate()
    rate.add(0, view_of([S.RUNNING] * 100))
    now = view_of([S.COMPLETED] * 20 + [S.RUNNING] * 80)
    rate.add(2, now)
    assert rate.left(2, now) == "time left unknown"
    assert rate.left(10, now) == "about 40s left"
    assert rate.left(10, view_of([S.COMPLETED] * 4 + [S.RUNNING] * 96)) == "time left unknown"


def test_a_failure_that_is_small_is_still_seen_in_the_bar() -> None:
    assert bar(view_of([S.COMPLETED] * 99 + [S.FAILED]), 20) == "[" + "#" * 19 + "x]"
    assert counts(view_of([])) == "0 of 0 completed"


@pytest.mark.parametrize(
    ("cause", "code", "message", "text"),
    [
        ("exit", 7, "boom\n", "exit 7: boom"),
        ("exit", 127, "", "exit 127"),
        ("exit", 3, "exit code 3", "exit 3"),
        ("signal", 137, "Killed", "signal, exit 137: Killed"),
        ("oom", 137, "memory limit exceeded", "oom: memory limit exceeded"),
        ("node_lost", None, "", "node_lost"),
        ("input", None, "a\x1b[2Jb", "input: a\\x1b[2Jb"),
    ],
)
def test_why_an_attempt_failed_is_the_cause_and_the_tasks_own_words(
    cause: str, code: int | None, message: str, text: str
) -> None:
    assert why(cause, code, message) == text


def test_withdrawn_and_cancelled_attempts_are_no_failures() -> None:
    attempts = (
        attempt(1, "cancelled", cause="withdrawn"),
        attempt(2, "lost", cause="agent"),
        attempt(3, "failed", **BOOM),
    )
    found = failed_attempts(4, attempts, 0, is_failed=True)
    assert [(one.attempt, one.is_last) for one in found] == [(2, False), (3, True)]
    assert failed_attempts(4, attempts, 3, is_failed=True) == []
