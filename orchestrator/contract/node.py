"""Nodes as they are on the wire, and amounts of resources as numbers."""

import enum

from msgspec import field

from orchestrator.contract.ids import NodeId
from orchestrator.contract.spec import Spec

ZERO_TIME = "0001-01-01T00:00:00Z"
"""How the wire says "never"."""


class GPU(Spec, frozen=True, kw_only=True):
    """One GPU of a node."""

    index: int = 0
    name: str = ""
    vendor: str = ""
    """`NVIDIA`, `AMD/ATI` or `Intel`."""
    memory: int = 0
    """MiB."""
    pci_address: str = ""


class Resources(Spec, frozen=True, kw_only=True):
    """An amount of resources. Keys with zero are left out on the wire."""

    cpu: float = 0.0
    """Cores."""
    memory: int = 0
    """Bytes."""
    disk: int = 0
    """Bytes."""
    gpu: int = 0
    gpus: tuple[GPU, ...] = ()

    def plus(self, other: "Resources") -> "Resources":
        """The sum, without the list of GPUs. CPU is kept to a millicore, so that sums of floats do not drift."""
        return Resources(
            cpu=round(self.cpu + other.cpu, 3),
            memory=self.memory + other.memory,
            disk=self.disk + other.disk,
            gpu=self.gpu + other.gpu,
        )

    def minus(self, other: "Resources") -> "Resources":
        """What is left, each amount never below zero, without the list of GPUs."""
        return Resources(
            cpu=max(0.0, round(self.cpu - other.cpu, 3)),
            memory=max(0, self.memory - other.memory),
            disk=max(0, self.disk - other.disk),
            gpu=max(0, self.gpu - other.gpu),
        )

    def holds(self, need: "Resources") -> bool:
        """Whether `need` fits into this."""
        return self.cpu >= need.cpu and self.memory >= need.memory and self.disk >= need.disk and self.gpu >= need.gpu


class Membership(enum.StrEnum):
    """Whether a node may take part."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class Connection(enum.StrEnum):
    """Whether a node's lease holds."""

    CONNECTED = "CONNECTED"
    DISCONNECTED = "DISCONNECTED"


class BuildVersion(Spec, frozen=True, kw_only=True):
    """Which build a program is."""

    major: str = ""
    minor: str = ""
    git_version: str
    git_commit: str
    build_date: str
    goos: str = field(name="GOOS")
    goarch: str = field(name="GOARCH")


class ComputeNodeInfo(Spec, frozen=True, kw_only=True):
    """What a node offers."""

    execution_engines: tuple[str, ...] | None
    publishers: tuple[str, ...] | None
    storage_sources: tuple[str, ...] | None
    """Lower case."""
    max_capacity: Resources
    queue_capacity: Resources
    """Used by executions that wait on the node."""
    available_capacity: Resources
    max_job_requirements: Resources
    running_executions: int
    enqueued_executions: int
    address: str = field(name="address")


class NodeInfo(Spec, frozen=True, kw_only=True):
    """Who a node is."""

    node_id: NodeId
    node_type: str
    """`Compute` or `Requester`."""
    labels: dict[str, str]
    supported_protocols: tuple[str, ...]
    compute_node_info: ComputeNodeInfo
    bacalhau_version: BuildVersion


class ConnectionState(Spec, frozen=True, kw_only=True):
    """How a node's link stands. Times are RFC 3339; `0001-01-01T00:00:00Z` = never."""

    status: Connection
    last_heartbeat: str
    last_compute_seq_num: int = 0
    last_orchestrator_seq_num: int = 0
    connected_since: str
    disconnected_since: str
    last_error: str = ""


class Drain(Spec, frozen=True, kw_only=True):
    """Ours: a node takes nothing new. Times are RFC 3339."""

    reason: str
    since: str
    deadline: str = ""
    """When what still runs there is stopped and moved; empty = it may finish."""


MOST_SHOWN = 32
"""Partitions that `Work` tells of."""


class Work(Spec, frozen=True, kw_only=True, omit_defaults=False):
    """Ours: what a node has to do with partitions."""

    failed: int
    """Executions that failed there within the last hour, lost ones included."""
    partitions: bytes
    """A `PartitionState` each: those that are there now, then what became of the last that were, the newest first."""


class NodeState(Spec, frozen=True, kw_only=True):
    """A node as clients see it."""

    info: NodeInfo
    membership: Membership
    connection: Connection
    connection_state: ConnectionState
    drain: Drain | None = None
    work: Work | None = None
