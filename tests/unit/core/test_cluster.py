"""The arrays of a job agree with a naive recount, however its partitions change."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.contract.ids import ExecutionId, JobId, NodeId, Timestamp
from orchestrator.contract.node import Resources
from orchestrator.contract.partitions import PartitionState
from orchestrator.core.cluster import HUNGRY, MOST, JobEntry, NodeEntry
from orchestrator.core.model import JobRecord, PartitionRecord
from tests.helpers.harness import START, SimNode, World, a_job, a_node_info

COUNT = 12
STATES = st.sampled_from(list(PartitionState))
ROWS = st.tuples(st.integers(0, COUNT - 1), STATES, st.integers(0, 3))


def an_entry(count: int = COUNT) -> JobEntry:
    return JobEntry(JobRecord(job=replace(a_job(count=count), id=JobId("j-1"), version=1), began=START))


def a_row(index: int, state: PartitionState = PartitionState.RUNNING, **fields: object) -> PartitionRecord:
    row = PartitionRecord(job_id=JobId("j-1"), job_version=1, index=index, state=state)
    return replace(row, **fields)


@settings(max_examples=300)
@given(
    rows=st.lists(ROWS, max_size=40),
    untouched=st.lists(st.tuples(st.integers(0, 40), STATES), max_size=2),
    live=st.sets(st.integers(0, COUNT - 1)),
    start=st.integers(0, COUNT),
    now=st.integers(0, 3),
)
def test_what_waits_equals_a_naive_recount(
    rows: list[tuple[int, PartitionState, int]],
    untouched: list[tuple[int, PartitionState]],
    live: set[int],
    start: int,
    now: int,
) -> None:
    entry = an_entry()
    entry.live = {index: ExecutionId("e") for index in live}
    for index in live:
        entry.refresh(index)
    states, due, known = [PartitionState.WAITING] * COUNT, [0] * COUNT, set[int]()
    for step, (index, state, at) in enumerate(rows):
        for when, moved in untouched:
            if when == step:
                entry.put_untouched(moved)
                states = [old if index in known else moved for index, old in enumerate(states)]
        entry.put(a_row(index, state, retry_due=Timestamp(at)))
        states[index], due[index] = state, at
        known.add(index)
    naive = [i for i in range(start, COUNT) if states[i] in HUNGRY and i not in live and due[i] <= now]
    for index in [index for index, at in entry.due.items() if at <= now]:
        entry.ripen(index)
    assert list(entry.waiting(start)) == naive
    assert list(entry.states) == states
    assert entry.counts == [states.count(state) for state in PartitionState]
    assert entry.untouched_count == COUNT - len(known)


def test_a_row_comes_back_as_it_was_put() -> None:
    entry = an_entry()
    fields = {"attempts": 7, "billed": 2, "lost": 3, "retry_due": START, "last_node": NodeId("n2")}
    row = a_row(3, PartitionState.RETRYING, **fields)
    entry.put(a_row(5, last_node=NodeId("n1")))
    entry.put(row)
    assert entry.row(3) == row
    assert entry.row(4) == a_row(4, PartitionState.WAITING)


def test_numbers_saturate_and_never_wrap() -> None:
    entry = an_entry()
    entry.put(a_row(0, attempts=10**6, billed=1000, lost=10**6))
    assert (entry.attempts[0], entry.billed[0], entry.lost[0]) == (MOST, 255, MOST)


def test_a_state_byte_has_the_stopping_bit_only_where_something_is_to_stop() -> None:
    entry = an_entry(count=3)
    entry.put(a_row(1, PartitionState.STOPPED))
    assert entry.packed_states([1]) == bytes([1, 128 + 8, 1])
    assert entry.packed_states([]) == bytes([1, 8, 1])


def test_free_counts_each_execution_once() -> None:
    world = World()
    node = SimNode(world, "n1", cpu=8)
    node.sync()
    record = world.cluster.nodes[node.id].record
    need = Resources(cpu=1)
    entry = NodeEntry(record=record, used=Resources(cpu=2))
    entry.live = {ExecutionId(name): need for name in ("named", "backlog", "assigned")}
    entry.named = frozenset({ExecutionId("named"), ExecutionId("unknown to us")})
    entry.backlog = frozenset({ExecutionId("backlog")})
    assert entry.free().cpu == 8 - 2 - 1


def test_free_is_never_below_nothing() -> None:
    world = World()
    node = SimNode(world, "n1", info=a_node_info("n1", cpu=1))
    node.sync()
    entry = world.cluster.nodes[node.id].copy()
    entry.used = Resources(cpu=5, memory=10**12)
    assert (entry.free().cpu, entry.free().memory) == (0, 0)


def test_a_copy_of_a_node_shares_nothing_that_changes() -> None:
    world = World()
    node = SimNode(world, "n1")
    node.sync()
    entry = world.cluster.nodes[node.id]
    copied = entry.copy()
    copied.live[ExecutionId("e")] = Resources()
    copied.silent_stops[ExecutionId("e")] = 1
    copied.turn += 1
    assert (dict(entry.live), dict(entry.silent_stops), entry.turn + 1) == ({}, {}, copied.turn)


def test_a_dropped_job_leaves_no_name_behind() -> None:
    world = World()
    job_id = world.submit(a_job("a", count=0))
    world.cluster.drop_job(job_id)
    assert (world.cluster.jobs, world.cluster.names, world.cluster.hungry) == ({}, {}, set())


def test_a_hundred_thousand_partitions_are_searched_quickly() -> None:
    entry = an_entry(count=100_000)
    entry.put_untouched(PartitionState.COMPLETED)
    entry.put(a_row(99_999, PartitionState.WAITING))
    began = time.perf_counter()
    for _ in range(100):
        assert list(entry.waiting()) == [99_999]
    assert time.perf_counter() - began < 1
