"""Legal changes of state: the tables are whole, ends are ends, a repetition changes nothing."""

import pytest

from orchestrator.contract.execution import ExecutionState as E
from orchestrator.contract.job import JobStateType as J
from orchestrator.core.lifecycle import NEXT_OF_EXECUTION, NEXT_OF_JOB, IllegalTransitionError, advance, turn
from tests.helpers.records import NOW, execution_record, job_record

OURS = (E.ASSIGNED, E.RUNNING, E.PUBLISHING, E.COMPLETED, E.FAILED, E.CANCELLED)


def test_the_tables_know_every_state() -> None:
    assert NEXT_OF_EXECUTION.keys() == set(E)
    assert NEXT_OF_JOB.keys() == set(J)


def test_an_execution_goes_forward_only() -> None:
    legal = {(a, b) for a in E for b in E if b in NEXT_OF_EXECUTION[a]}
    assert legal == {
        (E.ASSIGNED, E.RUNNING), (E.ASSIGNED, E.PUBLISHING), (E.ASSIGNED, E.COMPLETED), (E.ASSIGNED, E.FAILED),
        (E.ASSIGNED, E.CANCELLED), (E.RUNNING, E.PUBLISHING), (E.RUNNING, E.COMPLETED), (E.RUNNING, E.FAILED),
        (E.RUNNING, E.CANCELLED), (E.PUBLISHING, E.COMPLETED), (E.PUBLISHING, E.FAILED), (E.PUBLISHING, E.CANCELLED),
    }  # fmt: skip


@pytest.mark.parametrize("state", OURS)
@pytest.mark.parametrize("to", OURS)
def test_advance_keeps_to_the_table(state: E, to: E) -> None:
    record = execution_record(state=state, revision=4)
    if to is state:
        assert advance(record, to, NOW) is record
    elif to in NEXT_OF_EXECUTION[state]:
        moved = advance(record, to, NOW)
        assert (moved.state, moved.revision, moved.modified, moved.id) == (to, 5, NOW, record.id)
    else:
        with pytest.raises(IllegalTransitionError, match=f"{record.id} is {state.name} and cannot become {to.name}"):
            advance(record, to, NOW)
        assert record.state is state


@pytest.mark.parametrize("state", [J.COMPLETED, J.FAILED, J.STOPPED])
def test_a_job_that_ended_begins_again_only_as_pending(state: J) -> None:
    record = job_record(state=state)
    for to in J:
        if to in (state, J.PENDING):
            continue
        with pytest.raises(IllegalTransitionError):
            turn(record, to, NOW)
    assert turn(record, J.PENDING, NOW).job.state.state_type is J.PENDING


def test_a_change_of_state_is_a_revision_and_a_change_of_message_is_none() -> None:
    record = job_record(state=J.RUNNING, revision=3)
    assert turn(record, J.RUNNING, NOW) is record
    said = turn(record, J.RUNNING, NOW, "slowly").job
    assert (said.state.message, said.revision) == ("slowly", 3)
    failed = turn(record, J.FAILED, NOW, "1 of 10 partitions failed").job
    assert (failed.state.state_type, failed.state.message, failed.revision) == (
        J.FAILED,
        "1 of 10 partitions failed",
        4,
    )
