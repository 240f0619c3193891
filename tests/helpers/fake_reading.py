"""What is read of a partition from a fake orchestrator: the inputs of an attempt, the lines of all logs."""

from collections.abc import AsyncIterator

from orchestrator.client import OrchestratorClient
from orchestrator.client_stream import LogQuery
from orchestrator.contract.api import LogFrameValue
from orchestrator.contract.partitions import AttemptInputs, InputFile
from tests.helpers.fake_api import JOB_ID, execution_id


def had_inputs(name: str, number: int = 1) -> AttemptInputs:
    """What an attempt of `attempt` had: a file of that name, and three more."""
    files = (InputFile(name=f"/in/{name}", size=412_000_000),)
    return AttemptInputs(
        attempt=number, execution_id=execution_id(0, number), is_known=True, items=files, rest=3, rest_size=99
    )


async def lines_of_all(
    client: OrchestratorClient, job: str, wanted: LogQuery, *, text: str = ""
) -> AsyncIterator[LogFrameValue]:
    """What `client_stream.logs` gives, without a WebSocket: two lines of each of three partitions, `text` in them."""
    assert (client.has_partitions, job, wanted.follow) == (True, JOB_ID, True)
    for partition in (412, 430, 434):
        for line in (
            f"rows={254_976 + partition} ok {text}",
            f"WARN retrying the upload of part-{partition:04} {text}",
        ):
            yield LogFrameValue(type=1, line=line, partition=partition, attempt=1, time="2026-10-14T16:26:40.118Z")
