"""Logs on their way to the orchestrator: in pieces while they are written, the rest at the end."""

import asyncio

import structlog

from node.streams import TAIL_BYTES, Output, StreamLog
from node.uplink import CHUNK_BYTES, NotWantedError, UnreachableError, Uplink, UplinkError
from orchestrator.contract.ids import ExecutionId

log = structlog.get_logger()

SHIP_BYTES = 256 << 10
SHIP_SECONDS = 5.0
"""While nobody follows, a stream is shipped when so much of it, or something for so long, is not stored."""
RETRY_SECONDS = 2.0
AT_THE_END_SECONDS = 60.0
"""A log that is not stored so long after the end of its engine is reported as truncated."""


class Shipper:
    """Stores the output of executions; nothing is stored twice, and never from two sides at once."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink

    async def ship_running(self, execution_id: ExecutionId, output: Output, at: float) -> None:
        """Store all that was seen up to now, `at` seconds after the start. Trouble is left to the next time."""
        if output.shipping.locked():
            return
        async with output.shipping:
            try:
                for stream in output.streams:
                    await self._ship(execution_id, stream, stream.size)
            except (UplinkError, OSError) as error:  # OSError: it ended and was forgotten meanwhile, its files with it
                output.retry_at = at + RETRY_SECONDS
                log.info("log_not_stored_yet", execution_id=execution_id, reason=str(error))

    async def ship_rest(self, execution_id: ExecutionId, output: Output) -> None:
        """Store all but the last 16 KiB of each stream of an ended engine, within 60 seconds; what is not is truncated."""
        ends = {stream.stream: stream.size - TAIL_BYTES for stream in output.streams}
        if not output.has_rest and not output.shipping.locked():
            return
        try:
            async with asyncio.timeout(AT_THE_END_SECONDS), output.shipping:
                for stream in output.streams:
                    delay = 0.1
                    while not stream.is_refused and stream.acknowledged < ends[stream.stream]:
                        try:
                            await self._ship(execution_id, stream, ends[stream.stream])
                        except UplinkError as error:
                            log.info("log_not_stored_yet", execution_id=execution_id, reason=error.message)
                            await asyncio.sleep(delay)
                            delay = min(2 * delay, 5.0)
        except TimeoutError:
            log.warning("log_not_stored", execution_id=execution_id, seconds=AT_THE_END_SECONDS)
        finally:
            for stream in output.streams:
                if stream.acknowledged < ends[stream.stream]:
                    stream.is_truncated = True

    async def _ship(self, execution_id: ExecutionId, stream: StreamLog, end: int) -> None:
        """Store `stream` up to `end`; raises UplinkError and keeps what was stored. Refused: marked so, and no error."""
        while stream.acknowledged < end and not stream.is_refused:
            is_gap = stream.skip(end)
            begin = stream.acknowledged
            upto = min(end, begin + CHUNK_BYTES)
            content = await asyncio.to_thread(stream.piece, begin, upto)
            marks = stream.marks_of(begin, upto)
            try:
                stored = await self._uplink.put_log(execution_id, stream.stream, begin, content, marks, is_gap=is_gap)
            except NotWantedError as error:
                log.warning("log_refused", execution_id=execution_id, stream=stream.stream, reason=error.message)
                stream.is_refused = True
                stream.is_truncated = True
                return
            if stored == begin or stored > stream.size:
                message = (
                    f"the orchestrator has {stored} bytes of a stream of {stream.size}, {begin} of them acknowledged"
                )
                raise UnreachableError(message)
            stream.acknowledge(stored)
