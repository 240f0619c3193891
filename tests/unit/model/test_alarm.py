"""The bell rings for jobs that fail while somebody looks, once each."""

from orchestrator.contract.job import JobStateType
from tests.helpers.fake_api import job_of
from tui.model.jobs import Alarm, JobLine, line_of


def line(state: JobStateType) -> JobLine:
    return line_of(job_of(3, state), None)


def test_a_job_that_fails_while_somebody_looks_is_told_once() -> None:
    alarm = Alarm()
    assert alarm.failed([line(JobStateType.RUNNING)]) == []
    assert alarm.failed([line(JobStateType.FAILED)]) == ["fish"]
    assert alarm.failed([line(JobStateType.FAILED)]) == []


def test_what_had_failed_before_and_what_is_stopped_is_not_told() -> None:
    alarm = Alarm()
    assert alarm.failed([line(JobStateType.FAILED)]) == []
    assert alarm.failed([line(JobStateType.RUNNING)]) == []
    assert alarm.failed([line(JobStateType.STOPPED)]) == []
