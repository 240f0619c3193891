"""A log on its way to the orchestrator, when what it is read from goes away."""

from pathlib import Path

from node.shipping import RETRY_SECONDS, Shipper
from node.streams import Output
from node.uplink import Uplink
from orchestrator.contract.ids import ExecutionId, NodeId


async def test_a_log_whose_execution_was_forgotten_meanwhile_harms_nobody(tmp_path: Path) -> None:
    stdout, stderr = tmp_path / "stdout", tmp_path / "stderr"
    stdout.write_bytes(b"seen\n")
    stderr.touch()
    output = Output.at(stdout, stderr)
    output.look(1.0)
    stdout.unlink()
    await Shipper(Uplink("http://127.0.0.1:1", NodeId("n1"), "s1")).ship_running(ExecutionId("e-1"), output, 1.0)
    assert output.retry_at == 1.0 + RETRY_SECONDS
    assert not output.shipping.locked()
