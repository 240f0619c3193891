"""What follows a failure: how long a partition waits, and when it is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.execution import Cause, Payer
from orchestrator.contract.ids import SECOND, Timestamp
from orchestrator.contract.job import Backoff, Retry
from orchestrator.core.retry import GiveUp, RetryAt, fraction, next_attempt

NOW = Timestamp(1_800_000_000 * SECOND)
STEADY = Retry(max_attempts=100, max_lost=1000, backoff=Backoff(initial=1, factor=2, max=300, jitter=False))


def wait(policy: Retry, billed: int, lost: int, cause: Cause, seed: int = 0) -> float:
    answer = next_attempt(policy, billed, lost, cause, NOW, seed)
    assert isinstance(answer, RetryAt), answer
    return (answer.due - NOW) / SECOND


def test_each_failure_of_the_task_doubles_the_wait_up_to_the_maximum() -> None:
    waits = [wait(STEADY, n, 0, Cause.EXIT) for n in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_wait_counts_the_failures_of_its_own_payer_only() -> None:
    assert wait(STEADY, billed=5, lost=1, cause=Cause.PUBLISH) == 1
    assert wait(STEADY, billed=5, lost=3, cause=Cause.IMAGE_PULL) == 4
    assert wait(STEADY, billed=1, lost=9, cause=Cause.OOM) == 1


@pytest.mark.parametrize("cause", [Cause.NODE_LOST, Cause.AGENT, Cause.WITHDRAWN, Cause.CANCELLED, Cause.SUPERSEDED])
def test_what_was_not_the_tasks_doing_waits_for_nothing(cause: Cause) -> None:
    assert wait(STEADY, billed=9, lost=9, cause=cause) == 0


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.payer is Payer.TASK and cause is not Cause.IMAGE])
def test_a_task_may_fail_as_often_as_max_attempts_says(cause: Cause) -> None:
    policy = Retry(max_attempts=3)
    assert isinstance(next_attempt(policy, 2, 0, cause, NOW, 1), RetryAt)
    assert next_attempt(policy, 3, 0, cause, NOW, 1) == GiveUp("out of attempts: 3 of 3")


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.payer is Payer.OURS])
def test_max_lost_counts_further_executions(cause: Cause) -> None:
    policy = Retry(max_attempts=1, max_lost=10)
    assert isinstance(next_attempt(policy, 0, 10, cause, NOW, 1), RetryAt)
    assert next_attempt(policy, 0, 11, cause, NOW, 1) == GiveUp("lost too often: 11 times, MaxLost is 10")
    assert isinstance(next_attempt(Retry(max_lost=0), 0, 1, cause, NOW, 1), GiveUp)


def test_an_image_that_does_not_exist_is_not_tried_again() -> None:
    assert next_attempt(STEADY, 1, 0, Cause.IMAGE, NOW, 1) == GiveUp("not retried: cause image")


@given(
    initial=st.floats(0, 86_400),
    factor=st.floats(1, 10),
    most=st.floats(0, 604_800),
    failures=st.integers(1, 99),
    seed=st.integers(0, 2**64),
)
def test_jitter_keeps_a_wait_between_half_and_all_of_it(
    initial: float, factor: float, most: float, failures: int, seed: int
) -> None:
    backoff = Backoff(initial=initial, factor=factor, max=most, jitter=True)
    whole = min(most, initial * factor ** min(failures - 1, 64))
    waited = wait(Retry(max_attempts=100, backoff=backoff), failures, 0, Cause.EXIT, seed)
    assert whole / 2 - 1e-6 <= waited <= whole + 1e-6


def test_partitions_that_failed_together_do_not_return_together() -> None:
    waits = [wait(Retry(max_attempts=5), 1, 0, Cause.EXIT, seed) for seed in range(100)]
    assert len(set(waits)) == 100
    assert max(waits) - min(waits) > 0.4
    assert waits == [wait(Retry(max_attempts=5), 1, 0, Cause.EXIT, seed) for seed in range(100)], "not repeatable"


@given(st.integers(0, 2**70))
def test_a_fraction_lies_between_0_and_1(seed: int) -> None:
    assert 0 <= fraction(seed) <= 1
