"""What this machine has: cores, memory, disk, GPUs; and how a node introduces itself with it."""

import contextlib
import csv
import functools
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import psutil
import structlog

from orchestrator.contract.ids import NodeId
from orchestrator.contract.node import GPU, BuildVersion, ComputeNodeInfo, NodeInfo, Resources

log = structlog.get_logger()

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv7l": "arm"}
"""Names of machines as Go has them."""
COMPATIBLE_VERSION = "v1.9.3"
"""Bacalhau's version whose clients work with us."""
NVIDIA_QUERY = ("--query-gpu=index,name,memory.total,pci.bus_id", "--format=csv,noheader,nounits")


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts that count instead of what was found; None = as found."""

    cpu: float | None = None
    memory: int | None = None
    disk: int | None = None
    gpu: int | None = None


def find_capacity(directory: Path, overrides: Overrides) -> Resources:
    """What executions here may use in all. Blocks: `nvidia-smi` is asked where it is installed.

    Without an override: the cores and memory that this process may use, what is free on the disk of `directory`, all GPUs.
    """
    gpus = find_gpus() if overrides.gpu is None or overrides.gpu > 0 else ()
    if overrides.gpu is not None:
        gpus = gpus[: overrides.gpu]
    return Resources(
        cpu=overrides.cpu if overrides.cpu is not None else float(len(os.sched_getaffinity(0))),
        memory=overrides.memory if overrides.memory is not None else find_memory(),
        disk=overrides.disk if overrides.disk is not None else shutil.disk_usage(directory).free,
        gpu=overrides.gpu if overrides.gpu is not None else len(gpus),
        gpus=gpus,
    )


def find_memory() -> int:
    """Bytes: the machine's, or the limit of the control group that the agent is in, if that is less."""
    total = psutil.virtual_memory().total
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path(path).read_text(encoding="ascii")))
    return total


def find_gpus() -> tuple[GPU, ...]:
    """NVIDIA's GPUs, as `nvidia-smi` tells them; none where it is not installed or does not work."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        told = subprocess.run([program, *NVIDIA_QUERY], capture_output=True, text=True, timeout=10, check=True).stdout
        return tuple(
            GPU(index=int(index), name=name, vendor="NVIDIA", memory=int(float(memory)), pci_address=address)
            for index, name, memory, address in csv.reader(told.splitlines(), skipinitialspace=True)
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("nvidia_smi_failed", reason=str(error))
        return ()


def labels_of(node_id: NodeId, configured: Mapping[str, str], gpus: tuple[GPU, ...]) -> dict[str, str]:
    """The node's labels: those configured, then those that every node has."""
    labels = dict(configured)
    machine = platform.machine()
    labels |= {
        "os_type": platform.system().lower(),
        "os_arch": ARCHITECTURES.get(machine, machine),
        "name": node_id,
    }
    for gpu in gpus:
        labels[f"GPU-{gpu.index}"] = gpu.name.replace(" ", "-")
        labels[f"GPU-{gpu.index}-Memory"] = f"{gpu.memory}-MiB"
    return labels


def build_version(labels: Mapping[str, str]) -> BuildVersion:
    """Which build this is, in Bacalhau's words."""
    major, minor, _ = COMPATIBLE_VERSION.removeprefix("v").split(".")
    return BuildVersion(
        major=major,
        minor=minor,
        git_version=COMPATIBLE_VERSION,
        git_commit=f"shoal-{own_version()}",
        build_date="1970-01-01T00:00:00Z",
        goos=labels["os_type"],
        goarch=labels["os_arch"],
    )


@functools.cache
def own_version() -> str:
    """The version of Shoal that is installed."""
    try:
        return version("shoal")
    except PackageNotFoundError:
        return "unknown"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How busy a node is."""

    used: Resources
    running: int
    queued: Resources
    enqueued: int


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a node offers, whatever it is doing."""

    engines: tuple[str, ...]
    publishers: tuple[str, ...]
    sources: tuple[str, ...]
    capacity: Resources


def node_info(node_id: NodeId, labels: Mapping[str, str], offer: Offer, load: Load) -> NodeInfo:
    """How a node introduces itself."""
    return NodeInfo(
        node_id=node_id,
        node_type="Compute",
        labels=dict(labels),
        supported_protocols=("bprotocol/v2", "ncl/v1"),
        compute_node_info=ComputeNodeInfo(
            execution_engines=offer.engines,
            publishers=offer.publishers,
            storage_sources=offer.sources,
            max_capacity=offer.capacity,
            queue_capacity=load.queued,
            available_capacity=offer.capacity.minus(load.used),
            max_job_requirements=offer.capacity,
            running_executions=load.running,
            enqueued_executions=load.enqueued,
            address="",
        ),
        bacalhau_version=build_version(labels),
    )
