"""Executions on a real agent with the process engine: what they get, how they end, what is reported and stored of them."""

import asyncio
import base64
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.agent import End, InputObject, Inputs, Stream
from orchestrator.contract.execution import Cause, ExecutionState
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import InputSource, ResultPath, SpecConfig
from tests.helpers.agents import agent, config_of, shell
from tests.helpers.fake_orchestrator import FakeOrchestrator


@pytest.fixture
async def orchestrator() -> AsyncIterator[FakeOrchestrator]:
    async with FakeOrchestrator() as one:
        yield one


async def run(orchestrator: FakeOrchestrator, directory: Path, job: Any, **fields: Any) -> tuple[ExecutionState, End]:
    """Run one execution of `job` as partition 1, second attempt; gives how it was reported."""
    limit = fields.pop("output_limit", 1 << 30)
    async with agent(config_of(orchestrator.url, directory, **fields), limit):
        orchestrator.assign(job, "e-1", index=1, attempt=2)
        await orchestrator.until(lambda: orchestrator.end("e-1"))
        report = next(r for sync in orchestrator.requests for r in sync.reports if r.end is not None)
        await orchestrator.until(lambda: not orchestrator.reports)
        await orchestrator.until(lambda: not list((directory / "executions").iterdir()))
    assert report.end is not None
    return report.state, report.end


async def test_success_is_reported_with_its_output_and_leaves_nothing(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    state, end = await run(orchestrator, tmp_path, shell("echo out; echo err >&2"))
    assert state is ExecutionState.COMPLETED
    assert (end.exit_code, end.cause, end.message, end.log_truncated) == (0, None, "", False)
    assert end.run_output is not None
    assert (end.run_output.stdout, end.run_output.stderr) == ("out\n", "err\n")
    assert [(tail.stream, tail.offset, tail.content) for tail in end.tails] == [
        (Stream.OUT, 0, b"out\n"),
        (Stream.ERR, 0, b"err\n"),
    ]
    assert end.tails[0].marks[-1].offset == 4
    assert end.run_seconds is not None
    assert 0 < end.run_seconds < 5


async def test_a_program_is_told_who_it_is(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    job = shell('env | grep -E "^(BACALHAU|MINE)" | grep -v PUTS | sort', env={"MINE": "1 $x"})
    _, end = await run(orchestrator, tmp_path, job)
    assert end.run_output is not None
    assert end.run_output.stdout.splitlines() == [
        "BACALHAU_ATTEMPT=2",
        "BACALHAU_EXECUTION_ID=e-1",
        "BACALHAU_JOB_ID=j-1",
        "BACALHAU_JOB_NAME=job-1",
        "BACALHAU_JOB_TYPE=batch",
        "BACALHAU_NODE_ID=n1",
        "BACALHAU_PARTITION_COUNT=3",
        "BACALHAU_PARTITION_INDEX=1",
        "MINE=1 $x",
    ]


async def test_a_failure_tells_its_code_and_its_own_last_words(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    state, end = await run(orchestrator, tmp_path, shell("echo first >&2; printf 'no \\033[31mfile\\n\\n' >&2; exit 7"))
    assert state is ExecutionState.FAILED
    assert (end.exit_code, end.cause, end.message) == (7, Cause.EXIT, "no \\x1b[31mfile")
    assert end.run_output is not None
    assert (end.run_output.exit_code, end.run_output.error_msg) == (7, "no \\x1b[31mfile")


async def test_a_silent_failure_is_described_by_us(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    _, end = await run(orchestrator, tmp_path, shell("exit 7"))
    assert end.message == "exit code 7"


async def test_a_signal_is_a_cause_of_its_own(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    _, end = await run(orchestrator, tmp_path, shell("kill -9 $$"))
    assert (end.exit_code, end.cause) == (137, Cause.SIGNAL)


async def test_a_program_that_does_not_exist_is_named(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    job = shell("", engine=SpecConfig(type="process", params={"Command": "nosuchprogram"}))
    state, end = await run(orchestrator, tmp_path, job)
    assert (state, end.cause, end.exit_code) == (ExecutionState.FAILED, Cause.EXIT, 127)
    assert "nosuchprogram" in end.message


async def test_a_timeout_stops_it(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    state, end = await run(orchestrator, tmp_path, shell("echo begun; sleep 60", timeout=1))
    assert (state, end.cause, end.message) == (ExecutionState.FAILED, Cause.TIMEOUT, "Execution timed out after 1s")
    assert end.run_output is not None
    assert end.run_output.stdout == "begun\n"
    assert end.run_seconds is not None
    assert end.run_seconds < 4


async def test_the_first_reason_to_stop_counts_and_the_stubborn_are_killed(
    orchestrator: FakeOrchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.runner.GRACE_SECONDS", 0.7)
    async with agent(config_of(orchestrator.url, tmp_path)):
        orchestrator.assign(shell("trap '' TERM; echo begun; while :; do sleep 0.1; done", timeout=1), "e-1")
        await orchestrator.until(lambda: has_output(tmp_path, "e-1"))
        await asyncio.sleep(1.4)
        orchestrator.stop("e-1")
        await orchestrator.until(lambda: orchestrator.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert end.cause is Cause.TIMEOUT
    assert end.run_seconds is not None
    assert end.run_seconds > 1.6


async def test_too_much_output_stops_it(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    job = shell("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
    state, end = await run(orchestrator, tmp_path, job, output_limit=10_000)
    assert (state, end.cause) == (ExecutionState.FAILED, Cause.OUTPUT_LIMIT)
    assert end.message == "wrote more than 10000 bytes to stdout"


async def test_too_much_output_of_a_short_program_is_too_much(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    _, end = await run(orchestrator, tmp_path, shell("head -c 20000 /dev/zero"), output_limit=10_000)
    assert end.cause is Cause.OUTPUT_LIMIT


async def test_a_long_log_is_stored_but_for_its_tail_before_the_end_is_told(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    job = shell("i=0; while [ $i -lt 12000 ]; do echo line $i; i=$((i+1)); done")
    _, end = await run(orchestrator, tmp_path, job)
    whole = "".join(f"line {i}\n" for i in range(12000)).encode()
    stored = orchestrator.logs["e-1", "out"]
    assert len(end.tails) == 1
    assert len(end.tails[0].content) == 16384
    assert end.tails[0].offset == len(stored)
    assert bytes(stored) + end.tails[0].content == whole
    assert end.run_output is not None
    assert (end.run_output.stdout, end.run_output.stdout_truncated) == (whole[:2048].decode(), True)
    assert not end.log_truncated


async def test_a_followed_log_is_shipped_while_it_is_written(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    async with agent(config_of(orchestrator.url, tmp_path)):
        orchestrator.assign(shell("echo one; sleep 0.5; echo two; sleep 60"), "e-1", is_followed=True)
        await orchestrator.until(lambda: orchestrator.logs.get(("e-1", "out"), bytearray()) == b"one\ntwo\n", 5)
    marks = orchestrator.marks["e-1", "out"]
    assert [mark.offset for mark in marks] == [4, 8]
    assert marks[0].at < 0.5 < marks[1].at
    assert [offset for _, _, offset in orchestrator.puts] == [0, 4]


async def test_a_log_that_is_followed_later_is_shipped_from_then_on(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    job = shell("echo one; sleep 60")
    async with agent(config_of(orchestrator.url, tmp_path)):
        orchestrator.assign(job, "e-1")
        await orchestrator.until(lambda: "e-1" in orchestrator.reports)
        assert not orchestrator.logs
        orchestrator.assign(job, "e-1", is_followed=True)
        await orchestrator.until(lambda: orchestrator.logs.get(("e-1", "out"), bytearray()) == b"one\n", 3)


async def test_a_log_that_nobody_takes_is_reported_as_truncated(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    orchestrator.log_status = 410
    state, end = await run(orchestrator, tmp_path, shell("head -c 50000 /dev/zero"))
    assert (state, end.log_truncated) == (ExecutionState.COMPLETED, True)
    assert len(end.tails[0].content) == 16384


async def test_a_log_that_is_not_stored_in_time_is_reported_as_truncated(
    orchestrator: FakeOrchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.shipping.AT_THE_END_SECONDS", 0.5)
    orchestrator.log_status = 503
    state, end = await run(orchestrator, tmp_path, shell("head -c 50000 /dev/zero"))
    assert (state, end.log_truncated) == (ExecutionState.COMPLETED, True)


async def test_a_log_waits_for_an_orchestrator_in_trouble(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    orchestrator.log_status = 503
    async with agent(config_of(orchestrator.url, tmp_path)):
        orchestrator.assign(shell("head -c 50000 /dev/zero"), "e-1")
        await orchestrator.until(lambda: state_of(orchestrator, "e-1") is ExecutionState.PUBLISHING)
        orchestrator.log_status = 200
        await orchestrator.until(lambda: orchestrator.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert not end.log_truncated
    assert len(orchestrator.logs["e-1", "out"]) == 50_000 - 16_384


async def test_only_the_end_of_a_very_long_log_is_stored(
    orchestrator: FakeOrchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.streams.KEPT_BYTES", 10_000)
    _, end = await run(orchestrator, tmp_path, shell("head -c 50000 /dev/zero | tr '\\0' x"))
    assert end.log_truncated
    log = orchestrator.logs["e-1", "out"]
    begin = 50_000 - 16_384 - 10_000
    assert bytes(log) == b"\0" * begin + b"x" * 10_000


async def test_ends_with_much_log_are_told_over_several_syncs(
    orchestrator: FakeOrchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.agent.MOST_TAIL_BYTES", 1)
    async with agent(config_of(orchestrator.url, tmp_path, cpu=8)):
        for number in range(8):
            orchestrator.assign(shell("echo out"), f"e-{number}")
        await orchestrator.until(lambda: len(orchestrator.ends) == 8)
    assert max(sum(report.end is not None for report in sync.reports) for sync in orchestrator.requests) == 1


async def test_stop_ends_it_and_is_reported_as_cancelled(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    async with agent(config_of(orchestrator.url, tmp_path)):
        orchestrator.assign(shell("echo begun; sleep 60"), "e-1")
        await orchestrator.until(lambda: has_output(tmp_path, "e-1"))
        orchestrator.stop("e-1")
        await orchestrator.until(lambda: orchestrator.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert end.cause is Cause.CANCELLED
    assert [tail.content for tail in end.tails] == [b"begun\n"]


async def test_what_does_not_fit_waits_in_order_and_can_be_withdrawn(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    async with agent(config_of(orchestrator.url, tmp_path, cpu=1)):
        orchestrator.assign(shell("sleep 0.7"), "e-1")
        orchestrator.assign(shell("date +%s%N", 2), "e-2")
        orchestrator.assign(shell("date +%s%N", 2), "e-3")
        orchestrator.assign(shell("date +%s%N", 2), "e-4")
        await orchestrator.until(lambda: len(orchestrator.reports) == 4)
        reports = {key: report.is_backlog for key, report in orchestrator.reports.items()}
        assert reports == {"e-1": False, "e-2": True, "e-3": True, "e-4": True}
        orchestrator.stop("e-3")
        await orchestrator.until(lambda: orchestrator.end("e-2") and orchestrator.end("e-4"))
    second, third, fourth = (orchestrator.end(one) for one in ("e-2", "e-3", "e-4"))
    assert second is not None
    assert third is not None
    assert fourth is not None
    assert (third.cause, third.run_output) == (Cause.WITHDRAWN, None)
    assert second.run_output is not None
    assert fourth.run_output is not None
    assert int(second.run_output.stdout) < int(fourth.run_output.stdout)


async def test_inputs_are_read_and_results_published(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "numbers").write_text("3\n4\n")
    carried = "data:;base64," + base64.b64encode(b"carried").decode()
    job = shell(
        "cat $BACALHAU_INPUTS/numbers > $BACALHAU_OUTPUTS/copy; ln -s /etc/passwd $BACALHAU_OUTPUTS/out;"
        " ln -s copy $BACALHAU_OUTPUTS/link;"
        " mkfifo $BACALHAU_OUTPUTS/pipe; mkdir -p $BACALHAU_OUTPUTS/a/b; echo deep > $BACALHAU_OUTPUTS/a/b/c; echo done",
        publisher="orchestrator",
        inputs=(
            InputSource(source=SpecConfig(type="local", params={"SourcePath": str(data)}), alias="", target="/in"),
            InputSource(source=SpecConfig(type="inline", params={"URL": carried}), alias="", target="/carried"),
        ),
        results=(ResultPath(name="made", path="/out"),),
    )
    state, end = await run(orchestrator, tmp_path / "n", job, allow_paths=(f"{data}/**",))
    assert (state, end.message) == (ExecutionState.COMPLETED, "")
    objects = (InputObject(name="/in/numbers", size=4), InputObject(name="/carried", size=7))
    assert end.inputs == Inputs(objects=objects)
    assert end.published_result == SpecConfig(
        type="urlDownload", params={"URL": f"{orchestrator.url}/results/e-1.tar.gz"}
    )
    with tarfile.open(fileobj=io.BytesIO(orchestrator.results["e-1"])) as archive:
        names = {member.name: member for member in archive}
        read = {name: archive.extractfile(one).read() for name, one in names.items() if one.isreg()}  # type: ignore[union-attr]
    assert read == {
        "partition-1/stdout": b"done\n",
        "partition-1/stderr": b"",
        "partition-1/exitCode": b"0",
        "partition-1/made/copy": b"3\n4\n",
        "partition-1/made/a/b/c": b"deep\n",
    }
    assert names["partition-1/made/link"].issym()
    assert names["partition-1/made/link"].linkname == "copy"
    assert "partition-1/made/out" not in names
    assert "partition-1/made/pipe" not in names


async def test_refused_results_fail_the_attempt_on_our_side(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    orchestrator.result_status = 409
    job = shell("true", publisher="orchestrator")
    state, end = await run(orchestrator, tmp_path, job)
    assert (state, end.cause) == (ExecutionState.FAILED, Cause.PUBLISH)
    assert end.message == "failed to publish result: the orchestrator refused the results: no results today"


async def test_publishing_holds_no_capacity_and_is_tried_again(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    orchestrator.result_status = 503
    async with agent(config_of(orchestrator.url, tmp_path, cpu=1)):
        orchestrator.assign(shell("true", publisher="orchestrator"), "e-1")
        await orchestrator.until(lambda: state_of(orchestrator, "e-1") is ExecutionState.PUBLISHING)
        orchestrator.assign(shell("true", 2), "e-2")
        await orchestrator.until(lambda: orchestrator.end("e-2"))
        assert orchestrator.end("e-1") is None
        orchestrator.result_status = 200
        await orchestrator.until(lambda: orchestrator.end("e-1"))
    end = orchestrator.end("e-1")
    assert end is not None
    assert end.cause is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"env": {"KEY": "env:SECRET"}}, "environment variable 'SECRET' is not in allowed patterns"),
        (
            {"inputs": (InputSource(source=SpecConfig(type="s3", params={}), alias="", target="/in"),)},
            "input /in: this node has no input source s3",
        ),
    ],
)
async def test_what_cannot_be_had_fails_before_anything_runs(
    orchestrator: FakeOrchestrator, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    state, end = await run(orchestrator, tmp_path, shell("true", **fields))
    assert (state, end.cause, end.run_output, end.run_seconds) == (ExecutionState.FAILED, Cause.INPUT, None, None)
    assert message in end.message


async def test_an_allowed_variable_of_the_node_is_forwarded(
    orchestrator: FakeOrchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "abc")
    _, end = await run(orchestrator, tmp_path, shell("echo $KEY", env={"KEY": "env:SECRET"}), allow_env=("SEC.*",))
    assert end.run_output is not None
    assert end.run_output.stdout == "abc\n"


async def test_a_job_that_needs_more_than_the_node_has_ends_as_lost(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    state, end = await run(orchestrator, tmp_path, shell("true", cpu="64"))
    assert (state, end.cause, end.message) == (ExecutionState.FAILED, Cause.AGENT, "this node is too small for it")


async def test_an_execution_that_ended_here_is_not_started_again(
    orchestrator: FakeOrchestrator, tmp_path: Path
) -> None:
    async with agent(config_of(orchestrator.url, tmp_path)):
        orchestrator.assign(shell("echo hi"), "e-1")
        await orchestrator.until(lambda: orchestrator.end("e-1"))
        await orchestrator.until(lambda: not orchestrator.reports)
        orchestrator.assign(shell("echo hi"), "e-1")  # as a restored store would
        await orchestrator.until(lambda: orchestrator.ends[ExecutionId("e-1")][-1].cause is Cause.AGENT)
    end = orchestrator.end("e-1")
    assert end is not None
    assert end.message == "this execution was run here before"


async def test_many_at_once_all_end_and_few_syncs_tell_it(orchestrator: FakeOrchestrator, tmp_path: Path) -> None:
    job = shell("true", cpu="100m")
    async with agent(config_of(orchestrator.url, tmp_path, cpu=2)):
        for number in range(100):
            orchestrator.assign(job, f"e-{number}", index=number)
        await orchestrator.until(lambda: len(orchestrator.ends) == 100, 30)
        await orchestrator.until(lambda: not orchestrator.reports)
    assert all(orchestrator.end(f"e-{number}").cause is None for number in range(100))  # type: ignore[union-attr]
    assert len(orchestrator.requests) < 400


def has_output(directory: Path, execution: str) -> bool:
    """Whether the execution `e-1-...` has written something."""
    return any(path.stat().st_size > 0 for path in (directory / "executions").glob(f"{execution}-*/stdout"))


def state_of(orchestrator: FakeOrchestrator, execution: str) -> ExecutionState | None:
    report = orchestrator.reports.get(ExecutionId(execution))
    return report.state if report is not None else None
