"""What nodes say of executions: what is accepted, what is not, and that nonsense changes nothing."""

import pytest

from orchestrator.contract.agent import End, LogTail, Report, Stream
from orchestrator.contract.execution import Cause, DesiredState, ExecutionState, RunOutput
from orchestrator.contract.ids import ExecutionId, JobId, after
from orchestrator.contract.job import JobStateType, SpecConfig
from orchestrator.core.commands import Retry as RetryPartitions
from orchestrator.core.commands import Stop, Submit, Sync
from orchestrator.core.model import ExecutionRecord
from tests.helpers.harness import SimNode, World, a_job


class Running:
    """One partition that runs on one node."""

    def __init__(self, count: int = 1) -> None:
        self.world = World()
        self.node = SimNode(self.world, "n1", cpu=8)
        self.node.sync()
        self.job_id: JobId = self.world.submit(a_job("a", count=count))
        self.node.sync()
        self.node.sync()
        self.id: ExecutionId = self.node.running()[0]

    @property
    def execution(self) -> ExecutionRecord:
        return self.world.executions[self.id]

    def say(self, state: ExecutionState, **fields: object) -> None:
        self.node.reports[self.id] = Report(execution_id=self.id, state=state, **fields)  # type: ignore[arg-type]
        self.world.do(Sync(node_id=self.node.id, request=self.node.request()))


def test_an_end_is_kept_with_everything_that_came_with_it() -> None:
    it = Running()
    output = RunOutput(
        stdout="hello", stdout_truncated=False, stderr="", stderr_truncated=False, exit_code=0, error_msg=""
    )
    where = SpecConfig(type="urlDownload", params={"URL": "http://somewhere"})
    tail = LogTail(stream=Stream.OUT, offset=3, content=b"lo")
    end = End(
        exit_code=0,
        run_output=output,
        published_result=where,
        run_seconds=2,
        ended_ago=0.5,
        tails=(tail,),
        log_truncated=True,
    )
    it.say(ExecutionState.COMPLETED, end=end)
    ended = it.execution
    assert (ended.state, ended.desired, ended.desired_message) == (
        ExecutionState.COMPLETED,
        DesiredState.STOPPED,
        "execution completed",
    )
    assert (ended.exit_code, ended.run_output, ended.published, ended.cause) == (0, output, where, None)
    assert (ended.finished, ended.log_truncated) == (after(it.world.now, -0.5), True)
    assert [(kept.execution_id, kept.tail) for kept in it.world.last.tails] == [(it.id, tail)]


def test_a_program_that_ended_before_we_heard_of_its_start_has_a_start() -> None:
    world = World()
    node = SimNode(world, "n1")
    node.sync()
    world.submit(a_job(count=1))
    node.sync()
    world.pass_time(5)
    (execution_id,) = node.running()
    node.reports[execution_id] = Report(
        execution_id=execution_id,
        state=ExecutionState.COMPLETED,
        end=End(exit_code=0, run_seconds=2, ended_ago=1),
    )
    node.sync()
    ended = world.executions[execution_id]
    assert (ended.started, ended.finished) == (after(world.now, -3), after(world.now, -1))
    lines = [line.message for line in world.happenings if line.execution_id]
    assert lines == ["Requested execution on n1", "Running", "Completed successfully"]


def test_a_start_is_as_long_ago_as_the_node_says() -> None:
    world = World()
    node = SimNode(world, "n1")
    node.sync()
    job_id = world.submit(a_job(count=1))
    node.sync()
    (execution_id,) = node.running()
    report = Report(execution_id=execution_id, state=ExecutionState.RUNNING, running_ago=1.5)
    node.reports[execution_id] = report
    world.do(Sync(node_id=node.id, request=node.request()))
    assert world.executions[execution_id].started == after(world.now, -1.5)
    world.pass_time(3)
    node.reports[execution_id] = Report(execution_id=execution_id, state=ExecutionState.PUBLISHING)
    world.do(Sync(node_id=node.id, request=node.request()))
    assert world.executions[execution_id].started == after(world.now, -4.5)
    assert world.words(job_id) == "5"


@pytest.mark.parametrize("state", [ExecutionState.ASSIGNED, ExecutionState.BID_ACCEPTED, ExecutionState.UNDEFINED])
def test_a_report_that_goes_back_is_ignored_and_counted(state: ExecutionState) -> None:
    it = Running()
    before, commits = it.execution, it.world.commits
    it.say(state)
    assert (it.execution, it.world.commits) == (before, commits)
    assert it.world.cluster.ignored_reports == 1


def test_a_report_of_another_nodes_execution_is_ignored_and_counted() -> None:
    it = Running()
    other = SimNode(it.world, "n2")
    other.sync()
    other.reports[it.id] = Report(execution_id=it.id, state=ExecutionState.COMPLETED, end=End(exit_code=0))
    before = it.execution
    it.world.do(Sync(node_id=other.id, request=other.request()))
    assert it.execution is before
    assert it.world.cluster.ignored_reports == 1


def test_a_repeated_end_changes_nothing() -> None:
    it = Running()
    it.say(ExecutionState.COMPLETED, end=End(exit_code=0))
    before, commits = it.execution, it.world.commits
    it.say(ExecutionState.COMPLETED, end=End(exit_code=0))
    it.say(ExecutionState.FAILED, end=End(exit_code=1, cause=Cause.EXIT))
    assert (it.execution, it.world.commits) == (before, commits)


def test_a_success_that_comes_after_the_stop_is_accepted_and_the_job_stays_stopped() -> None:
    it = Running()
    it.world.do(Stop(job_id=it.job_id, reason="enough"))
    assert (it.world.state(it.job_id), it.world.words(it.job_id)) == (JobStateType.STOPPED, "8")
    it.say(ExecutionState.COMPLETED, end=End(exit_code=0))
    assert (it.world.state(it.job_id), it.world.words(it.job_id)) == (JobStateType.STOPPED, "6")
    assert it.world.partitions[it.job_id, 1, 0].accepted == it.id
    assert it.execution.state is ExecutionState.COMPLETED


def test_a_success_that_comes_after_a_retry_was_asked_for_settles_the_partition() -> None:
    it = Running()
    it.world.do(Stop(job_id=it.job_id, reason=""))
    it.world.do(RetryPartitions(job_id=it.job_id, partitions=(range(1),)))
    assert it.world.words(it.job_id) == "2"
    it.say(ExecutionState.COMPLETED, end=End(exit_code=0))
    assert (it.world.state(it.job_id), it.world.words(it.job_id)) == (JobStateType.COMPLETED, "6")
    assert len(it.world.attempts(it.job_id, 0)) == 1


def test_a_success_that_comes_after_the_loss_is_not_accepted() -> None:
    it = Running()
    it.world.pass_time(31)
    lost = it.execution
    it.say(ExecutionState.COMPLETED, end=End(exit_code=0))
    assert it.execution is lost
    assert it.world.words(it.job_id) != "6"


def test_a_success_of_an_older_version_is_superseded() -> None:
    it = Running()
    it.world.do(Submit(job=a_job("a", count=1), is_forced=True))
    it.say(ExecutionState.COMPLETED, end=End(exit_code=0))
    ended = it.execution
    assert (ended.state, ended.cause, ended.published) == (ExecutionState.CANCELLED, Cause.SUPERSEDED, None)
    assert it.world.words(it.job_id) == "3"


def test_the_lines_of_an_older_versions_execution_belong_to_that_version() -> None:
    it = Running()
    it.world.do(Submit(job=a_job("a", count=1), is_forced=True))
    it.say(ExecutionState.COMPLETED, end=End(exit_code=0))
    lines = [line for line in it.world.happenings if line.execution_id == it.id]
    assert [line.job_version for line in lines] == [1] * len(lines)
    assert lines[-1].message == "its partition needs no further success"


def test_a_program_that_was_asked_to_stop_ends_cancelled_however_it_ended() -> None:
    it = Running()
    it.world.do(Stop(job_id=it.job_id, reason="enough"))
    it.say(ExecutionState.FAILED, end=End(exit_code=137, cause=Cause.SIGNAL, message="killed"))
    ended = it.execution
    assert (ended.state, ended.cause, ended.exit_code) == (ExecutionState.CANCELLED, Cause.CANCELLED, 137)
    assert ended.message == "Execution stop requested because job has been stopped"
    row = it.world.cluster.jobs[it.job_id].row(0)
    assert (it.world.words(it.job_id), row.billed) == ("8", 0)


def test_completed_with_a_cause_is_a_failure() -> None:
    it = Running()
    it.say(ExecutionState.COMPLETED, end=End(exit_code=3, cause=Cause.EXIT))
    assert (it.execution.state, it.world.words(it.job_id)) == (ExecutionState.FAILED, "2")


def test_two_syncs_in_one_batch_are_both_observed() -> None:
    it = Running(count=2)
    first, second = it.node.running()
    it.node.succeed(first)
    one = it.node.request()
    it.node.succeed(second)
    two = it.node.request()
    it.world.do(Sync(node_id=it.node.id, request=one), Sync(node_id=it.node.id, request=two))
    assert (it.world.words(it.job_id), it.world.state(it.job_id)) == ("66", JobStateType.COMPLETED)


def test_run_times_make_a_moving_average() -> None:
    it = Running(count=2)
    for execution_id, seconds in zip(it.node.running(), (10, 20), strict=True):
        it.node.succeed(execution_id, seconds=seconds)
        it.node.sync()
    assert it.world.cluster.jobs[it.job_id].mean_run == pytest.approx(12)
