"""What a node says it is."""

import json
from pathlib import Path

import msgspec
import pytest

from node.capacity import Load, Offer, Overrides, find_capacity, find_gpus, labels_of, node_info
from orchestrator.contract.ids import NodeId
from orchestrator.contract.node import GPU, Resources

GOLDEN = Path(__file__).resolve().parents[3].parent / "shared/contract/golden/http/node-get.json"


def test_what_is_said_counts_instead_of_what_is_found(tmp_path: Path) -> None:
    overrides = Overrides(cpu=0.5, memory=7, disk=8, gpu=0)
    assert find_capacity(tmp_path, overrides) == Resources(cpu=0.5, memory=7, disk=8)


def test_what_is_found_is_something(tmp_path: Path) -> None:
    found = find_capacity(tmp_path, Overrides())
    assert found.cpu >= 1
    assert found.memory > 1 << 28
    assert found.disk > 1 << 20


def test_gpus_are_those_that_nvidia_smi_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, Tesla T4, 15360, 00000000:00:1E.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    gpu = GPU(index=0, name="Tesla T4", vendor="NVIDIA", memory=15360, pci_address="00000000:00:1E.0")
    assert find_gpus() == (gpu,)
    labels = labels_of(NodeId("n1"), {"zone": "a", "name": "x"}, (gpu,))
    assert labels["name"] == "n1"
    assert labels["zone"] == "a"
    assert labels["GPU-0"] == "Tesla-T4"
    assert labels["GPU-0-Memory"] == "15360-MiB"
    program.write_text("#!/bin/sh\nexit 9\n")
    assert find_gpus() == ()


@pytest.mark.skipif(not GOLDEN.exists(), reason="the recordings of Bacalhau are not here")
def test_a_node_has_the_keys_of_bacalhaus() -> None:
    golden = json.loads(GOLDEN.read_text())["response"]["json"]["Node"]["Info"]
    offer = Offer(engines=("docker",), publishers=("orchestrator",), sources=("inline",), capacity=Resources(cpu=2))
    load = Load(used=Resources(), running=0, queued=Resources(), enqueued=0)
    info = json.loads(msgspec.json.encode(node_info(NodeId("n1"), labels_of(NodeId("n1"), {}, ()), offer, load)))
    assert info.keys() == golden.keys()
    assert info["ComputeNodeInfo"].keys() == golden["ComputeNodeInfo"].keys()
    assert info["Labels"].keys() == golden["Labels"].keys()
    assert info["BacalhauVersion"].keys() == golden["BacalhauVersion"].keys()
    assert info["NodeType"] == golden["NodeType"]


def test_what_runs_is_not_available() -> None:
    offer = Offer(engines=(), publishers=(), sources=(), capacity=Resources(cpu=2, memory=10))
    load = Load(used=Resources(cpu=0.5, memory=4), running=1, queued=Resources(cpu=3), enqueued=6)
    compute = node_info(NodeId("n1"), labels_of(NodeId("n1"), {}, ()), offer, load).compute_node_info
    assert compute.available_capacity == Resources(cpu=1.5, memory=6)
    assert (compute.queue_capacity, compute.running_executions, compute.enqueued_executions) == (Resources(cpu=3), 1, 6)
