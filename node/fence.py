"""Lease long over, nothing heard: the node stops its work itself, by its own clock."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from node.clock import boot_seconds

log = structlog.get_logger()


class Heard(Protocol):
    """What the session knows."""

    heard: float
    """`boot_seconds` of the last sync whose answer was taken."""
    fence_seconds: float


async def watch_fence(session: Heard, stop_work: Callable[[str], None]) -> None:
    """Call `stop_work` with the reason whenever `fence_seconds` passed without an answer, until cancelled.

    Looks at least once a second, because a machine that slept wakes without its timers knowing.
    """
    is_over = False
    while True:
        silence = boot_seconds() - session.heard
        if silence >= session.fence_seconds:
            if not is_over:
                log.error("fence_over", seconds=round(silence, 1))
            stop_work(f"nothing was heard from the orchestrator for {session.fence_seconds:.0f} s")
        is_over = silence >= session.fence_seconds
        await asyncio.sleep(1.0 if is_over else min(1.0, max(0.01, session.fence_seconds - silence)))
