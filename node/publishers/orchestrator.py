"""Publisher `orchestrator`: results are kept by the orchestrator, so that they can be had also from a node behind NAT."""

import asyncio

import structlog

from node.publishers.archive import write_archive
from node.publishers.base import PublishError, Results
from node.uplink import NotWantedError, Uplink, UplinkError
from orchestrator.contract.job import SpecConfig

log = structlog.get_logger()

FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 10.0


class OrchestratorPublisher:
    """Uploads one tar.gz an execution."""

    names: tuple[str, ...] = ("orchestrator", "local")
    """Bacalhau's `local` serves results from the node itself; ours may be behind NAT, and gone before they are fetched."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink

    async def publish(self, results: Results, publisher: SpecConfig) -> SpecConfig:  # noqa: ARG002 - it has no parameters
        """Pack and upload, until it is stored or refused."""
        archive = results.directory / "results.tar.gz"
        try:
            await asyncio.to_thread(write_archive, results, archive)
        except OSError as error:
            message = f"the results cannot be packed: {error}"
            raise PublishError(message) from error
        delay = FIRST_BACKOFF
        while True:
            try:
                return await self._uplink.put_result(results.execution_id, archive)
            except NotWantedError as error:
                message = f"the orchestrator refused the results: {error.message}"
                raise PublishError(message) from error
            except UplinkError as error:
                log.info("results_not_stored_yet", execution_id=results.execution_id, reason=error.message)
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_BACKOFF)
