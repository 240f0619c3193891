"""What a report says an execution holds: something only from its preparation to the end of its engine."""

import pytest

from node.held import Held, Phase
from orchestrator.contract.agent import Assignment, End
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.node import Resources
from tests.helpers.records import job_record

NEED = Resources(cpu=2, memory=1000)


def held(phase: Phase) -> Held:
    job = job_record().job
    assignment = Assignment(execution_id=ExecutionId("e-1"), job_id=job.id, job_version=1, index=0, attempt=1)
    return Held(assignment=assignment, job=job, need=NEED, phase=phase)


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.RUNNING])
def test_what_is_started_holds_its_need(phase: Phase) -> None:
    assert held(phase).report(1, 0.0, with_end=False).need == NEED


@pytest.mark.parametrize("phase", [Phase.BACKLOG, Phase.PUBLISHING, Phase.ENDED])
def test_what_waits_publishes_or_has_ended_holds_nothing(phase: Phase) -> None:
    ended = held(phase)
    ended.end = End(exit_code=0) if phase is Phase.ENDED else None
    assert ended.report(1, 0.0, with_end=False).need is None
    assert ended.report(1, 0.0, with_end=True).need is None
