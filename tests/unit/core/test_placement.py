"""Every reason that keeps a partition off a node has its sentence."""

import pytest
from msgspec.structs import replace

from orchestrator.contract.ids import JobId, NodeId
from orchestrator.contract.job import Constraint, InputSource, Job, SpecConfig
from orchestrator.contract.node import Connection, Membership, NodeInfo, Resources
from orchestrator.core.cluster import JobEntry, NodeEntry, NoRoom, Refusal
from orchestrator.core.model import JobRecord, NodeRecord
from orchestrator.core.placement import human, load, mismatch, refusal, slots, words_of
from tests.helpers.harness import START, a_job, a_node_info


def entry_of(job: Job) -> JobEntry:
    return JobEntry(JobRecord(job=replace(job, id=JobId("j-1")), began=START))


def node_of(info: NodeInfo | None = None, **fields: object) -> NodeEntry:
    record = NodeRecord(
        id=NodeId("n1"),
        membership=Membership.APPROVED,
        connection=Connection.CONNECTED,
        info=info or a_node_info("n1"),
        session="s1",
        last_sync=START,
    )
    return NodeEntry(record=replace(record, **fields))


def refused(job: Job, node: NodeEntry) -> Refusal | None:
    return refusal(entry_of(job), node, node.free())


def with_task(job: Job, **fields: object) -> Job:
    return replace(job, tasks=(replace(job.task, **fields),))


def test_a_node_that_fits_does_not_refuse() -> None:
    assert refused(a_job(), node_of()) is None


def test_a_disconnected_node_says_why() -> None:
    lost = node_of(connection=Connection.DISCONNECTED, last_error="heartbeat timeout")
    assert refused(a_job(), lost) == Refusal(NoRoom.DISCONNECTED, "is disconnected: heartbeat timeout")
    unheard = node_of(connection=Connection.DISCONNECTED)
    assert refused(a_job(), unheard) == Refusal(NoRoom.DISCONNECTED, "is disconnected: not heard of yet")


@pytest.mark.parametrize("membership", [Membership.PENDING, Membership.REJECTED])
def test_a_node_takes_part_only_when_approved(membership: Membership) -> None:
    why = refused(a_job(), node_of(membership=membership))
    assert why == Refusal(NoRoom.NOT_APPROVED, f"is {membership.lower()}, not approved")


def test_an_engine_that_is_not_there() -> None:
    node = node_of(a_node_info("n1", engines=("docker", "wasm")))
    assert refused(a_job(), node) == Refusal(NoRoom.ENGINE, "does not support process, only docker, wasm")
    nothing = node_of(a_node_info("n1", engines=()))
    assert refused(a_job(), nothing) == Refusal(NoRoom.ENGINE, "does not support process, only nothing")


def test_an_input_source_that_is_not_there() -> None:
    source = InputSource(source=SpecConfig(type="s3"), alias="", target="/in")
    why = refused(with_task(a_job(), input_sources=(source,)), node_of())
    assert why == Refusal(NoRoom.INPUT, "does not support s3 inputs, only local, inline")


def test_a_publisher_that_is_not_there() -> None:
    why = refused(with_task(a_job(), publisher=SpecConfig(type="S3")), node_of())
    assert why == Refusal(NoRoom.PUBLISHER, "does not support publisher S3, only orchestrator")


def test_a_constraint_that_is_not_met_tells_what_the_node_has() -> None:
    mars = a_job(constraints=(Constraint(key="region", operator="=", values=("mars",)),))
    assert refused(mars, node_of()) == Refusal(NoRoom.CONSTRAINT, "has no label region, needs region = mars")
    earth = node_of(a_node_info("n1", region="earth"))
    assert refused(mars, earth) == Refusal(NoRoom.CONSTRAINT, "has region=earth, needs region = mars")


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        (Constraint(key="zone", operator="in", values=("a", "b")), "zone in (a, b)"),
        (Constraint(key="zone", operator="notin", values=("a",)), "zone notin (a)"),
        (Constraint(key="gpu", operator="exists"), "gpu"),
        (Constraint(key="gpu", operator="!"), "!gpu"),
        (Constraint(key="cores", operator="gt", values=("4",)), "cores gt 4"),
    ],
)
def test_constraints_are_told_as_people_write_them(constraint: Constraint, words: str) -> None:
    assert words_of(constraint) == words


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (a_job(cpu="4"), "has 2 CPU in all, needs 4"),
        (a_job(memory="16gb"), "has 1 GB memory in all, needs 16 GB"),
        (a_job(disk="2tb"), "has 1 TB disk in all, needs 2 TB"),
        (a_job(gpu="1"), "has 0 GPU in all, needs 1"),
        (a_job(cpu="3", gpu="2"), "has 2 CPU in all, needs 3, and 0 GPU in all, needs 2"),
    ],
)
def test_too_large_names_what_is_missing(job: Job, words: str) -> None:
    assert refused(job, node_of()) == Refusal(NoRoom.TOO_LARGE, words)


def test_more_than_a_node_gives_to_one_job_is_told_too() -> None:
    info = a_node_info("n1", cpu=8)
    offer = replace(info.compute_node_info, max_job_requirements=Resources(cpu=2, memory=10**9, disk=10**12))
    why = refused(a_job(cpu="4"), node_of(replace(info, compute_node_info=offer)))
    assert why == Refusal(NoRoom.TOO_LARGE, "has 2 CPU for one job, needs 4")


def test_a_busy_node_tells_what_is_free() -> None:
    node = node_of()
    node.used = Resources(cpu=1.5, memory=900_000_000)
    assert refused(a_job(), node) == Refusal(NoRoom.BUSY, "has 0.5 CPU free, needs 1")
    why = refused(a_job(cpu="0.1", memory="200mb"), node)
    assert why == Refusal(NoRoom.BUSY, "has 100 MB memory free, needs 200 MB")


def test_a_node_that_is_kept_free_for_another_job() -> None:
    node = node_of()
    node.reserved_for = JobId("j-2")
    why = refused(a_job(), node)
    assert why == Refusal(NoRoom.RESERVED, "is kept free for job j-2, which has waited longer")
    node.reserved_for = JobId("j-1")
    assert refused(a_job(), node) is None


def test_what_lasts_is_told_before_what_passes() -> None:
    lost = node_of(a_node_info("n1", engines=("wasm",)), connection=Connection.DISCONNECTED)
    why = refused(a_job(), lost)
    assert why is not None
    assert why.why is NoRoom.ENGINE


def test_only_reasons_that_idleness_does_not_mend_are_lasting() -> None:
    lasting = {why for why in NoRoom if Refusal(why, "").is_lasting}
    assert lasting == {NoRoom.ENGINE, NoRoom.INPUT, NoRoom.PUBLISHER, NoRoom.CONSTRAINT, NoRoom.TOO_LARGE}


def test_a_node_that_changed_is_judged_anew() -> None:
    entry, node = entry_of(a_job(engine="docker")), node_of()
    assert mismatch(entry, node) is not None
    node.record = replace(node.record, info=a_node_info("n1", engines=("process", "docker")))
    assert mismatch(entry, node) is None


@pytest.mark.parametrize(
    ("need", "number"),
    [
        (Resources(cpu=1), 8),
        (Resources(cpu=0.1), 80),
        (Resources(cpu=1, memory=3), 5),
        (Resources(cpu=1, memory=1, disk=50), 2),
        (Resources(cpu=1, gpu=2), 0),
        (Resources(), 0),
    ],
)
def test_slots_are_those_of_the_scarcest_resource(need: Resources, number: int) -> None:
    assert slots(Resources(cpu=8, memory=16, disk=100, gpu=1), need) == number


def test_a_node_is_as_full_as_its_scarcest_resource() -> None:
    capacity = Resources(cpu=4, memory=100, disk=1000)
    assert load(capacity, capacity) == 0
    assert load(capacity, Resources(cpu=3, memory=10, disk=1000)) == 0.9
    assert load(Resources(), Resources()) == 1


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000, "2 MB"), (512_000_000, "512 MB"), (10**21, "1000 EB")],
)
def test_sizes_are_told_with_one_decimal_below_ten(size: int, text: str) -> None:
    assert human(size) == text
