"""The simulated network between agents and the orchestrator: it loses, repeats, delays and reorders syncs and answers."""

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from node import uplink
from orchestrator.contract.agent import SyncRequest, SyncResponse
from orchestrator.errors import NodeRefusedError, OrchestratorError, SessionConflictError, WrongClusterError
from tests.helpers.simulation.timeline import Process

if TYPE_CHECKING:
    from tests.helpers.simulation.machine import Machine
    from tests.helpers.simulation.world import World

Reply = SyncResponse | uplink.UplinkError


class Network:
    """Carries syncs. `trouble` is the share of messages that something happens to; machines in `cut` reach nobody."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.trouble = 0.1
        self.cut: set[str] = set()

    async def call(self, machine: "Machine", process: Process, request: SyncRequest, patience: float) -> SyncResponse:
        """Send a sync and wait for its answer. Raises the UplinkError that the answer means, or that there is none."""
        world = self._world
        if process.is_dead:
            raise asyncio.CancelledError
        sent = world.time.now
        machine.sent[request.seq] = sent
        world.oracle.sent(machine, request)
        future: asyncio.Future[Reply] = process.create_future()
        self._send(machine, process, request, future)
        try:
            async with asyncio.timeout(patience):
                reply = await future
        except TimeoutError:
            message = "no answer in time"
            raise uplink.UnreachableError(message) from None
        if isinstance(reply, SyncResponse):
            if world.time.now - sent <= reply.lease_seconds:
                machine.heard = max(machine.heard, sent)
            return reply
        raise reply

    def _send(
        self, machine: "Machine", process: Process, request: SyncRequest, future: "asyncio.Future[Reply]"
    ) -> None:
        rng, time = self._world.rng, self._world.time
        if machine.name in self.cut:
            return
        chance = rng.random() / self.trouble if self.trouble else 1.0
        if chance < 0.3:
            return  # lost
        if chance < 0.5:
            time.later(self._long_delay(), self._arrive, machine, process, request, future)  # repeated, late
        delay = self._long_delay() if chance < 0.3 + 0.4 else rng.uniform(0.001, 0.02)
        time.later(delay, self._arrive, machine, process, request, future)

    def _long_delay(self) -> float:
        return self._world.rng.choice([0.05, 0.5, 2.0, 8.0, 20.0, 60.0]) * self._world.rng.uniform(0.5, 1.0)

    def _arrive(
        self, machine: "Machine", process: Process, request: SyncRequest, future: "asyncio.Future[Reply]"
    ) -> None:
        """A sync reaches the machine of the orchestrator."""

        def answer(response: SyncResponse | OrchestratorError | None) -> None:
            self._answer(process, future, meaning_of(response))

        copy = replace(request, reports=tuple(request.reports))
        if not self._world.orchestrator.receive(machine.name, copy, answer):
            answer(None)

    def _answer(self, process: Process, future: "asyncio.Future[Reply]", reply: Reply) -> None:
        rng, time = self._world.rng, self._world.time
        chance = rng.random() / self.trouble if self.trouble else 1.0
        if chance < 0.3:
            return
        delay = self._long_delay() if chance < 0.6 else rng.uniform(0.001, 0.02)
        time.later(delay, self._deliver, process, future, reply)

    def _deliver(self, process: Process, future: "asyncio.Future[Reply]", reply: Reply) -> None:
        """An answer reaches the agent, if that still waits for it."""
        if process.is_dead or future.done() or process.name in self.cut:
            return
        future.set_result(reply)
        process.drain()


def meaning_of(response: SyncResponse | OrchestratorError | None) -> Reply:
    """What the agent's uplink makes of an answer; None = the connection was refused or closed."""
    match response:
        case SyncResponse():
            return response
        case SessionConflictError():
            return uplink.SessionConflictError(response.message)
        case WrongClusterError():
            return uplink.WrongClusterError(response.message)
        case NodeRefusedError():
            return uplink.NodeRefusedError(response.message)
        case OrchestratorError() | None:
            return uplink.UnreachableError("refused")
