"""Where an execution can go, and why it cannot go elsewhere.

Every reason that keeps a node from taking a partition is made here, for scheduling and for people who ask.
"""

from orchestrator.contract.job import Constraint, Job
from orchestrator.contract.node import Connection, Membership, NodeInfo, Resources
from orchestrator.contract.selectors import constraint_matches, is_preference
from orchestrator.core.cluster import JobEntry, NodeEntry, NoRoom, Refusal


def refusal(entry: JobEntry, node: NodeEntry, free: Resources, need: Resources | None = None) -> Refusal | None:
    """Why `node`, with `free` left, does not take a partition of the job now; None = it does.

    `need` is that of a partition with an override, None = the job's.
    """
    record = node.record
    if record.membership is not Membership.APPROVED:
        return Refusal(NoRoom.NOT_APPROVED, f"is {record.membership.lower()}, not approved")
    lasting = mismatch(entry, node) if need is None else judge(entry.record.job, need, record.info)
    need = need or entry.need
    if record.connection is not Connection.CONNECTED:
        return lasting or Refusal(NoRoom.DISCONNECTED, f"is disconnected: {record.last_error or 'not heard of yet'}")
    if lasting:
        return lasting
    if record.draining is not None:
        why = f": {record.draining.reason}" if record.draining.reason else ""
        return Refusal(NoRoom.DRAINING, f"is being drained{why}")
    if node.reserved_for not in ("", entry.id):
        return Refusal(NoRoom.RESERVED, f"is kept free for job {node.reserved_for}, which has waited longer")
    if not free.holds(need):
        return Refusal(NoRoom.BUSY, shortage(need, free, "free"))
    return None


def mismatch(entry: JobEntry, node: NodeEntry) -> Refusal | None:
    """Why the node could not take the job even if it were idle; kept until its info or the job changes."""
    info = node.record.info
    known = entry.matches.get(node.id)
    if known is None or known[0] is not info:
        known = info, judge(entry.record.job, entry.need, info)
        entry.matches[node.id] = known
    return known[1]


def judge(job: Job, need: Resources, info: NodeInfo) -> Refusal | None:
    """Compare what a job asks with what a node offers."""
    task, offer = job.task, info.compute_node_info
    engines = offer.execution_engines or ()
    if task.engine.type.lower() not in engines:
        return Refusal(NoRoom.ENGINE, f"does not support {task.engine.type}, only {', '.join(engines) or 'nothing'}")
    sources = offer.storage_sources or ()
    for source in task.input_sources:
        if source.source.type.lower() not in sources:
            have = ", ".join(sources) or "nothing"
            return Refusal(NoRoom.INPUT, f"does not support {source.source.type} inputs, only {have}")
    publisher = task.publisher.type.lower()
    if publisher and publisher not in (offer.publishers or ()):
        have = ", ".join(offer.publishers or ()) or "nothing"
        return Refusal(NoRoom.PUBLISHER, f"does not support publisher {task.publisher.type}, only {have}")
    for constraint in job.constraints:
        if not is_preference(constraint) and not constraint_matches(constraint, info.labels):
            found = info.labels.get(constraint.key)
            has = f"has {constraint.key}={found}" if found is not None else f"has no label {constraint.key}"
            return Refusal(NoRoom.CONSTRAINT, f"{has}, needs {words_of(constraint)}")
    for limit, what in ((offer.max_capacity, "in all"), (offer.max_job_requirements, "for one job")):
        if not limit.holds(need):
            return Refusal(NoRoom.TOO_LARGE, shortage(need, limit, what))
    return None


def words_of(constraint: Constraint) -> str:
    """A constraint as people write it: `region = mars`, `zone in (a, b)`, `!gpu`."""
    key, operator, values = constraint.key, constraint.operator.lower(), constraint.values
    match operator:
        case "exists":
            return key
        case "!" | "doesnotexist":
            return f"!{key}"
        case "in" | "notin":
            return f"{key} {operator} ({', '.join(values)})"
        case _:
            return f"{key} {operator} {', '.join(values)}"


def shortage(need: Resources, have: Resources, what: str) -> str:
    """Which resources are missing: `has 3.1 GB memory free, needs 16 GB`."""
    lacks: list[str] = []
    if have.cpu < need.cpu:
        lacks.append(f"{have.cpu:g} CPU {what}, needs {need.cpu:g}")
    if have.memory < need.memory:
        lacks.append(f"{human(have.memory)} memory {what}, needs {human(need.memory)}")
    if have.disk < need.disk:
        lacks.append(f"{human(have.disk)} disk {what}, needs {human(need.disk)}")
    if have.gpu < need.gpu:
        lacks.append(f"{have.gpu} GPU {what}, needs {need.gpu}")
    return f"has {', and '.join(lacks)}"


def human(size: int) -> str:
    """Bytes with an SI unit, one decimal below ten: `512 MB`, `1.5 GB`."""
    amount, units = float(size), ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    for unit in units:
        if amount < 1000 or unit == units[-1]:
            break
        amount /= 1000
    text = f"{amount:.1f}" if amount < 10 and unit != "B" else f"{amount:.0f}"
    return f"{text.removesuffix('.0')} {unit}"


def slots(capacity: Resources, need: Resources) -> int:
    """How many executions of that need a capacity holds."""
    limits: list[float] = []
    if need.cpu:
        limits.append(capacity.cpu / need.cpu)
    if need.memory:
        limits.append(capacity.memory / need.memory)
    if need.disk:
        limits.append(capacity.disk / need.disk)
    if need.gpu:
        limits.append(capacity.gpu / need.gpu)
    return int(min(limits, default=0) + 1e-9)


def load(capacity: Resources, free: Resources) -> float:
    """How full a node is: the share in use of its scarcest resource, 0..1."""
    shares = [
        1 - left / all_
        for left, all_ in ((free.cpu, capacity.cpu), (free.memory, capacity.memory), (free.disk, capacity.disk))
        if all_
    ]
    return max(shares, default=1.0)
