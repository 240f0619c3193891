"""What follows a failed or lost execution of a partition."""

import msgspec

from orchestrator.contract.execution import Cause, Payer
from orchestrator.contract.ids import Timestamp, after
from orchestrator.contract.job import Backoff, Retry

FINAL = frozenset({Cause.IMAGE})
"""Causes that no further attempt can mend."""
IMMEDIATE = frozenset({Cause.NODE_LOST, Cause.AGENT, Cause.WITHDRAWN, Cause.CANCELLED, Cause.SUPERSEDED})
"""Causes after which there is nothing to wait for: the next attempt is placed as soon as there is room."""
MIX = 0x9E3779B97F4A7C15


class RetryAt(msgspec.Struct, frozen=True):
    """Try again, not before `due`."""

    due: Timestamp


class GiveUp(msgspec.Struct, frozen=True):
    """The partition has failed for good; `why` is for people."""

    why: str


def next_attempt(
    policy: Retry, billed: int, lost: int, cause: Cause, failed_at: Timestamp, seed: int
) -> RetryAt | GiveUp:
    """Decide what follows a failed or lost execution of a partition.

    `billed` and `lost` are the failures of each payer, this one included. The wait is `min(max, initial * factor ** (n - 1))`
    seconds, times 0.5..1 with jitter (from `seed`), where `n` counts the failures of the same payer; `node_lost`, `agent` and
    `withdrawn` do not wait.
    """
    if cause in FINAL:
        return GiveUp(f"not retried: cause {cause}")
    if billed >= policy.max_attempts:
        return GiveUp(f"out of attempts: {billed} of {policy.max_attempts}")
    if lost > policy.max_lost:
        return GiveUp(f"lost too often: {lost} times, MaxLost is {policy.max_lost}")
    failures = billed if cause.payer is Payer.TASK else lost
    return RetryAt(next_due(policy.backoff, failures, cause, failed_at, seed))


def next_due(backoff: Backoff, failures: int, cause: Cause, failed_at: Timestamp, seed: int) -> Timestamp:
    """When a partition may be placed again after so many failures of one payer; the formula is that of `next_attempt`."""
    if cause in IMMEDIATE:
        return failed_at
    wait = min(backoff.max, backoff.initial * backoff.factor ** min(max(failures - 1, 0), 64))
    if backoff.jitter:
        wait *= 0.5 + fraction(seed) / 2
    return after(failed_at, wait)


def fraction(seed: int) -> float:
    """A number in 0..1 that depends on `seed` alone and differs much for seeds that differ little (splitmix64)."""
    mixed = (seed + MIX) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return ((mixed ^ (mixed >> 31)) & 0xFFFFFFFFFFFF) / 0xFFFFFFFFFFFF
