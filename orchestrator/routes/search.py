"""Looking for a text in the logs of many partitions, for a few seconds at most."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta, field

from orchestrator.contract.agent import Stream
from orchestrator.contract.partitions import LogMatch, LogMatches
from orchestrator.core.cluster import JobEntry
from orchestrator.core.model import ExecutionRecord
from orchestrator.errors import ExecutionNotFoundError, InvalidRequestError
from orchestrator.logbook import BOTH
from orchestrator.routes.backend import Backend
from orchestrator.routes.wire import HttpRequest, answer, query
from orchestrator.selection import parse, select

PAGE = 200
MOST = 1000
"""Lines of an answer: unless asked for, and at most."""
SECONDS = 5.0
"""After which a search ends and says where it was."""
BLOCK = 1 << 20
"""Bytes read at a time."""
LONGEST = 500
"""Characters of a line that are shown."""


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which text, in the last attempts of which partitions."""

    namespace: str = ""
    q: str = ""
    """In any case of letters."""
    select: str = ""
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 0
    first: Annotated[int, Meta(ge=0)] = field(default=0, name="from")
    """The first partition that is looked at."""


@get("/api/v1/orchestrator/jobs/{job_id:str}/logs/search", query=SearchQuery, answer=LogMatches)
async def search_logs(
    request: HttpRequest, job_id: FromPath[str], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """Lines with a text in the log of each partition's last attempt, by partition; says when it did not look at all."""
    asked = query(request.query_params, SearchQuery)
    if not asked.q:
        message = "q: found nothing, allowed: the text to look for"
        raise InvalidRequestError(message)
    entry = await backend.reactor.entry(job_id, asked.namespace)
    selection = parse(asked.select)
    indices = await select(backend.reactor.store, entry, backend.stopping(entry), selection, backend.now())
    wanted = [index for index in indices if index >= asked.first]
    return await answer(request, await search(backend, entry, asked.q, wanted, asked.limit or PAGE))


async def search(backend: Backend, entry: JobEntry, text: str, indices: list[int], limit: int) -> LogMatches:
    """Look at these partitions in their order, for five seconds and `limit` lines at most."""
    pattern = re.compile(re.escape(text.encode()), re.IGNORECASE)
    found: list[LogMatch] = []
    searched, current, cut = 0, 0, ""
    job = entry.record.job
    try:
        async with asyncio.timeout(SECONDS):
            for begin in range(0, len(indices), PAGE):
                page = indices[begin : begin + PAGE]
                last = await backend.reactor.store.last_executions(job.id, job.version, page)
                records = {record.index: record for record in last}
                for current in page:
                    if current in records:
                        async for match in matches(backend, records[current], pattern):
                            if len(found) == limit:
                                cut = "limit"
                                break
                            found.append(match)
                    if cut:
                        break
                    searched += 1
                if cut:
                    break
    except TimeoutError:
        cut = "time"
    return LogMatches(
        items=tuple(found),
        searched=searched,
        selected=len(indices),
        cut=cut,
        next_partition=current if cut else None,
    )


async def matches(backend: Backend, record: ExecutionRecord, pattern: re.Pattern[bytes]) -> AsyncIterator[LogMatch]:
    """Lines of one log that a pattern is in, each once."""
    for stream in BOTH:
        offset, line, rest = 0, 1, b""
        while True:
            try:
                piece = await backend.logbook.read(record.id, stream, offset, BLOCK)
            except ExecutionNotFoundError:
                return
            if piece.offset > offset:
                rest = b""  # what was there is cut
            content = rest + piece.content
            is_last = not piece.content or piece.next_offset >= piece.size
            end = len(content) if is_last or len(content) >= 2 * BLOCK else content.rfind(b"\n") + 1
            base = piece.offset - len(rest)
            place = 0
            for match in pattern.finditer(content, 0, end):
                if match.start() < place:
                    continue
                begin = content.rfind(b"\n", 0, match.start()) + 1
                stop = content.find(b"\n", match.end())
                stop = len(content) if stop < 0 else stop
                line += content.count(b"\n", place, begin)
                yield LogMatch(
                    partition=record.index,
                    attempt=record.attempt,
                    execution_id=record.id,
                    stream=Stream(stream).value,
                    line=line,
                    offset=base + begin,
                    text=shown(content[begin:stop], match.start() - begin),
                )
                line += 1
                place = stop + 1
            line += content.count(b"\n", min(place, end), end)
            if is_last:
                break
            rest, offset = content[end:], piece.next_offset


def shown(line: bytes, at: int) -> str:
    """A line, or of a long one what is around byte `at`."""
    begin = max(0, at - LONGEST // 4) if len(line) > LONGEST else 0
    return line[begin : begin + LONGEST].decode(errors="replace").rstrip("\r")
