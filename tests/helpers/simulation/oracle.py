"""What always holds. Asked at every commit, answer and start, and after every step."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from node.engines.base import Launch
from orchestrator.contract.agent import SyncRequest, SyncResponse
from orchestrator.contract.ids import SECOND, ExecutionId, NodeId
from orchestrator.contract.node import Connection, Resources
from orchestrator.core.cluster import NodeEntry
from orchestrator.core.model import ExecutionRecord
from orchestrator.core.put import Put
from orchestrator.core.restore import restore
from orchestrator.reactor import Reactor
from tests.helpers.simulation.ledger import Ledger, broken

if TYPE_CHECKING:
    from tests.helpers.simulation.machine import Machine
    from tests.helpers.simulation.world import World

T = TypeVar("T")

FENCE_SLACK = 9.0
"""Seconds from the end of a fence until all is stopped: a look a second, then the grace of a program."""


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    message = "it waits"
    raise AssertionError(message)


def total(needs: list[Resources]) -> tuple[float, int]:
    """CPU and memory of all of them, without the floor at zero that `Resources` has."""
    return round(sum(need.cpu for need in needs), 3), sum(need.memory for need in needs)


class Oracle:
    """Judges one history."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.ledger = Ledger(world)
        self._started: set[ExecutionId] = set()
        self._words: dict[tuple[NodeId, str, int], SyncRequest] = {}
        """What each sync said."""
        self._seqs: dict[NodeId, tuple[Reactor, str, int]] = {}
        self._silenced: set[ExecutionId] = set()
        """Executions that were ended because their node does not name them: it must not start them any more."""

    def broken(self, what: str) -> None:
        """A promise is not kept."""
        broken(what)

    def restored(self) -> None:
        """An older store is in place: what only the newer one knew means nothing now."""
        self._silenced.clear()
        self.ledger.restored()

    # What agents do.

    def sent(self, machine: "Machine", request: SyncRequest) -> None:
        """An agent tells what it sees."""
        ids = [report.execution_id for report in request.reports]
        if len(ids) != len(set(ids)):
            self.broken(f"{machine.name} names an execution twice")

    def applies(self, machine: "Machine", response: SyncResponse) -> None:
        """An agent takes an answer: it is newer than the last one, and not older than a lease."""
        if response.seq <= machine.applied:
            self.broken(f"{machine.name} takes answer {response.seq} after {machine.applied}")
        machine.applied = response.seq
        age = self._world.time.now - machine.sent[response.seq]
        if age > response.lease_seconds:
            self.broken(f"{machine.name} takes an answer {age} s after it asked")

    def finished(self, execution_id: ExecutionId, exit_code: int) -> None:
        """A program ended by itself."""
        self.ledger.finished[execution_id] = exit_code

    def started(self, machine: "Machine", launch: Launch) -> None:
        """A program is started."""
        if launch.execution_id in self._started:
            self.broken(f"{launch.execution_id} is started a second time, on {machine.name}")
        if launch.execution_id in self._silenced:
            self.broken(f"{launch.execution_id} is started on {machine.name} after its silence was taken for an end")
        self._started.add(launch.execution_id)

    def holds_capacity(self, machine: "Machine") -> None:
        """All that runs on a machine fits it, whenever something was started there."""
        is_clean = self._world.time.now > machine.cleans_by
        held = machine.agent._held if machine.agent is not None else {}
        running = [program.launch for program in machine.running()]
        cpu, memory = total([launch.need for launch in running if is_clean or launch.execution_id in held])
        if cpu > machine.capacity.cpu or memory > machine.capacity.memory:
            self.broken(f"{machine.name} runs {cpu} CPU, {memory} bytes of {machine.capacity}")

    # What the orchestrator does.

    def arrives(self, node: NodeId, request: SyncRequest) -> None:
        """A sync reaches the orchestrator."""
        self._words[node, request.session, request.seq] = request

    def observed(self, node: NodeId, request: SyncRequest, reactor: Reactor) -> None:
        """A sync was carried out."""
        entry = reactor.cluster.nodes.get(node)
        if entry is not None and (entry.record.session, entry.seq) == (request.session, request.seq):
            self.ledger.heard[node] = (reactor, entry.record.last_sync)

    def answers(self, node: NodeId, response: SyncResponse) -> None:
        """A node is told what should run there: only what is durable."""
        store = self._world.orchestrator.durable
        if response.commit > store._commit:
            self.broken(f"{node} is told of commit {response.commit}, durable is {store._commit}")
        for assignment in response.assignments:
            record = store._executions.get(assignment.execution_id)
            if record is None:
                self.broken(f"{node} is asked to run {assignment.execution_id}, which is not durable")
            elif record.node_id != node:
                self.broken(f"{node} is asked to run {record.id} of {record.node_id}")

    # After every step.

    def step(self) -> None:
        """Look at everything that has no moment of its own."""
        world = self._world
        if world.time.problems:
            self.broken(world.time.problems[0])
        self._fences()

    def put(self, reactor: Reactor, put: Put) -> None:
        """What was committed is visible now."""
        cluster = reactor.cluster
        cluster.check()
        for node_id in put.nodes:
            node = cluster.nodes[node_id]
            session = node.record.session
            known = self._seqs.get(node_id)
            if known is not None and known[:2] == (reactor, session) and node.seq < known[2]:
                self.broken(f"{node_id}: sync {node.seq} was observed after {known[2]}")
            if known is not None and known[0] is reactor and known[1] != session:
                self._judge_handover(node, known[1])
            self._seqs[node_id] = (reactor, session, node.seq)
            word = self._words.get((node_id, session, node.seq))
            if word is not None and node.record.connection is Connection.CONNECTED:
                used = total([report.need for report in word.reports if report.need is not None])
                if used != (node.used.cpu, node.used.memory):
                    self.broken(f"{node_id} said {used} and is taken to use {node.used}")
        for execution in put.executions:
            node = cluster.nodes[execution.node_id]
            if execution.state.is_terminal and self._is_silent(node, execution):
                self._silenced.add(execution.id)
            if execution.revision == 1:
                self._judge_room(cluster.nodes[execution.node_id], execution.id)

    def _is_silent(self, node: NodeEntry, execution: ExecutionRecord) -> bool:
        """Whether an execution ended because the last sync of the session that it was given to did not name it."""
        if node.record.connection is not Connection.CONNECTED or node.record.session != execution.session:
            return False
        word = self._words.get((node.id, execution.session, node.seq))
        return word is not None and all(report.execution_id != execution.id for report in word.reports)

    def _judge_handover(self, node: NodeEntry, before: str) -> None:
        """A session got a node from another one: it is its successor, or the lease of that one was over."""
        word = self._words.get((node.id, node.record.session, node.seq))
        known = self.ledger.heard.get(node.id)
        if word is None or word.previous == before or known is None or known[0] is not self._world.orchestrator.reactor:
            return
        silence = (node.record.last_sync - known[1]) / SECOND
        if silence < self._world.orchestrator.lease:
            self.broken(f"{node.id} was taken from session {before} after {silence} s of silence")

    def _judge_room(self, node: NodeEntry, execution: ExecutionId) -> None:
        """What was just placed into room fits beside what the node says it uses and what it was asked for before."""
        if execution in node.backlog:
            return
        unnamed = [need for e, need in node.live.items() if e not in node.named and e not in node.backlog]
        cpu, memory = total([node.used, *unnamed])
        if cpu > node.capacity.cpu or memory > node.capacity.memory:
            self.broken(f"{node.id} is asked to run {cpu} CPU of {node.capacity.cpu} with {execution}: {node}")

    def outlives(self, reactor: Reactor) -> None:
        """What is in memory is what a restart would find, unless a commit is on its way."""
        store, cluster = self._world.orchestrator.durable, reactor.cluster
        if store._commit != reactor.commit:
            return
        now = reactor.clock.now()
        snapshot = at_once(store.load())
        again = restore(snapshot, NodeId("orch"), lease=cluster.lease, fence=cluster.fence, now=now)
        if again.executions != cluster.executions:
            self.broken(f"executions in memory and in the store differ: {again.executions} {cluster.executions}")
        for job_id, entry in again.jobs.items():
            ours = cluster.jobs[job_id]
            for name in ("record", "states", "has_record", "attempts", "billed", "lost", "live", "counts", "next_seq"):
                kept, known = getattr(entry, name), getattr(ours, name)
                if kept != known:
                    self.broken(f"{job_id}: {name} is {known} in memory, {kept} in the store")
            kept, known = ({i: due for i, due in one.due.items() if due > now} for one in (entry, ours))
            if kept != known:
                self.broken(f"{job_id}: due is {known} in memory, {kept} in the store")
        live = {e for node in cluster.nodes.values() for e in node.live}
        if live != cluster.executions.keys() or again.hungry != cluster.hungry:
            self.broken("the indices in memory are not those of a restart")

    def _fences(self) -> None:
        world = self._world
        for machine in world.machines:
            if not machine.is_alive or machine.is_engine_away or machine.agent is None:
                continue
            if not any(program.launch.execution_id in machine.agent._held for program in machine.running()):
                continue
            silence = world.time.now - max(machine.heard, machine.woken)
            if silence > world.orchestrator.fence + FENCE_SLACK:
                self.broken(f"{machine.name} lets work run {silence} s after it last heard the orchestrator")
