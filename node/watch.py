"""Every 200 ms a look at each running execution: how long its output is, whether it is over a limit, what to ship now."""

import asyncio
from collections.abc import Callable

from node.clock import boot_seconds
from node.held import Held, Stop
from node.shipping import SHIP_BYTES, SHIP_SECONDS, Shipper
from node.streams import Output
from orchestrator.contract.execution import Cause
from orchestrator.contract.units import format_duration

LOOK_SECONDS = 0.2
OUTPUT_LIMIT = 1 << 30
"""Bytes of stdout, and of stderr."""


class Watch:
    """Looks at what runs, all of it in one task; costs nothing for executions that end before the next look."""

    def __init__(self, shipper: Shipper, stop: Callable[[Held, Stop], None], output_limit: int = OUTPUT_LIMIT) -> None:
        self._shipper = shipper
        self._stop = stop
        self._output_limit = output_limit
        self._running: set[Held] = set()
        self._wake = asyncio.Event()

    def add(self, held: Held) -> None:
        """Look at it from now on."""
        self._running.add(held)
        self._wake.set()

    def remove(self, held: Held) -> None:
        """Look at it no more."""
        self._running.discard(held)

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as shipments:
            while True:
                await self._wake.wait()
                await asyncio.sleep(LOOK_SECONDS)
                if not self._running:
                    self._wake.clear()
                now = boot_seconds()
                for held in list(self._running):
                    self._look(held, now, shipments)

    def _look(self, held: Held, now: float, shipments: asyncio.TaskGroup) -> None:
        assert held.output is not None
        assert held.started is not None
        at = now - held.started
        held.output.look(at)
        excess = over_limit(held, at, self._output_limit)
        if excess is not None:
            self._stop(held, excess)
        elif at >= held.output.retry_at and is_due(held.output, at, is_followed=held.assignment.is_followed):
            shipments.create_task(self._shipper.ship_running(held.id, held.output, at))


def over_limit(held: Held, at: float, output_limit: int) -> Stop | None:
    """Why an execution has to end `at` seconds after its start, if it has to."""
    limit = held.assignment.execution_timeout
    if limit is None:
        limit = held.job.task.timeouts.execution_timeout
    if limit and at >= limit:
        return Stop(cause=Cause.TIMEOUT, message=f"Execution timed out after {format_duration(limit)}")
    return too_much_output(held, output_limit)


def too_much_output(held: Held, output_limit: int) -> Stop | None:
    """Why an execution failed by the length of its output, if it did."""
    for stream in held.output.streams if held.output is not None else ():
        if stream.size > output_limit:
            message = f"wrote more than {output_limit} bytes to std{stream.stream}"
            return Stop(cause=Cause.OUTPUT_LIMIT, message=message)
    return None


def is_due(output: Output, at: float, *, is_followed: bool) -> bool:
    """Whether something should be shipped now."""
    if output.shipping.locked():
        return False
    for stream in output.streams:
        if stream.waiting and not stream.is_refused:
            if is_followed or stream.waiting >= SHIP_BYTES:
                return True
            if stream.waiting_since is not None and at - stream.waiting_since >= SHIP_SECONDS:
                return True
    return False
