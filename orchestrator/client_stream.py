"""What is read from the orchestrator as it comes: a job's watch, logs, archives of results."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from orchestrator import client_fold
from orchestrator.client import JOBS, ClientError, OrchestratorClient, UnreachableError
from orchestrator.client_http import Query, not_offered, refusal, unreachable
from orchestrator.contract.api import STREAM_NUMBERS, LogFrame, LogFrameValue
from orchestrator.contract.execution import Execution
from orchestrator.contract.job import Job
from orchestrator.contract.overview import ClusterFrame
from orchestrator.contract.partitions import LIVE_WORDS, UNSETTLED_WORDS, Attempt, Frame, Grid

PERIOD = 1.0
"""Seconds between two looks at a job of a server that does not tell by itself."""
STREAM_WORDS = {number: stream.value for stream, number in STREAM_NUMBERS.items()}
SILENCE = 30.0
"""Seconds without even a heartbeat after which a watch counts as broken."""
NORMAL_END = 1000
"""Close code of a WebSocket that was read to its end."""


async def every_job(client: OrchestratorClient, *, labels: str = "", page: int = 500) -> AsyncIterator[Job]:
    """All jobs, newest first, read in pages."""
    token = ""
    while True:
        answer = await client.jobs(limit=page, next_token=token, labels=labels, is_reversed=True)
        for job in answer.items:
            yield job
        token = answer.next_token
        if not token:
            return


T = TypeVar("T", bound=msgspec.Struct)
CLUSTER = "/api/v1/orchestrator/watch"


def watch(client: OrchestratorClient, job: str, after: str, *, fields: str = "") -> AsyncGenerator[Frame, None]:
    """What changes in a job after a cursor, heartbeats included, until the connection ends; `fields` as of the grid.

    Raises as `frames`.
    """
    if not client.has_partitions:
        return polled(client, job)
    return frames(client, f"{JOBS}/{quote(job, safe='')}/watch", {"after": after, "fields": fields}, Frame)


async def polled(client: OrchestratorClient, job: str) -> AsyncGenerator[Frame, None]:
    """The same from a server without a watch: asked every second. Raises ClientError."""
    before: Grid | None = None
    while True:
        now = await client.grid(job)
        yield client_fold.frame(before, now) or Frame(cursor=now.cursor)
        before = now
        await asyncio.sleep(PERIOD)


def watch_cluster(client: OrchestratorClient, after: str = "") -> AsyncGenerator[ClusterFrame, None]:
    """Jobs' summaries and nodes as they change, heartbeats included; without a cursor a snapshot first.

    Raises as `frames`.
    """
    return frames(client, CLUSTER, {"after": after}, ClusterFrame)


async def frames(client: OrchestratorClient, url: str, query: Query, kind: type[T]) -> AsyncGenerator[T, None]:
    """Lines of a watch until the connection ends.

    Raises ClientError with status 410 when the cursor is no good any more (take a new grid), UnreachableError when the
    connection breaks. Ends by itself when the server closes the stream.
    """
    timeout = httpx.Timeout(SILENCE, connect=5.0)
    decoder = msgspec.json.Decoder(kind)
    try:
        async with client.http.stream("GET", url, params=client.query(query), timeout=timeout) as answer:
            if answer.status_code != httpx.codes.OK:
                raise refusal(answer.status_code, await answer.aread())
            async for line in _lines(answer):
                yield decoder.decode(line)
    except httpx.TransportError as error:
        raise unreachable(client.url, error) from error
    except msgspec.MsgspecError as error:
        message = f"a frame of the watch is not understood: {error}"
        raise ClientError(message, code="BadAnswer") from error


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in answer.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of a job's logs."""

    partitions: str = "all"
    """`all`, or a selection."""
    attempt: str = "last"
    """A number, `last` or `all`."""
    follow: bool = False
    """Whether to go on with what is written from now on, until every attempt that was asked for has ended."""
    tail: int | None = None
    """How many lines of each log to begin with; 0 = only new ones, None = all."""
    since: str = ""
    """Only what is newer: RFC 3339, or a duration back from now."""
    stream: str = ""
    """`out`, `err`, or empty for both."""
    timestamps: bool = False
    execution: Execution | None = None
    """Only of this one, of whichever version it is; nothing tells then when a line was written."""


async def logs(client: OrchestratorClient, job: str, wanted: LogQuery) -> AsyncGenerator[LogFrameValue, None]:
    """Lines of the logs of many partitions, until all were read or, following, have ended.

    Raises ClientError with what the server says in an error frame, UnreachableError when the stream breaks off.
    """
    one = wanted.execution
    if one is not None:
        async with aclosing(_lines_of_attempt(client, job, client_fold.attempt(one.attempt, one), wanted)) as lines:
            async for line in lines:
                yield msgspec.structs.replace(line, partition=one.partition_index, attempt=one.attempt)
        return
    if not client.has_partitions:
        async with aclosing(_logs_of_executions(client, job, wanted)) as lines:
            async for line in lines:
                yield line
        return
    query = client.query(
        {
            "partitions": wanted.partitions,
            "attempt": wanted.attempt,
            "follow": wanted.follow or None,
            "tail": wanted.tail,
            "since": wanted.since,
            "stream": wanted.stream,
            "timestamps": wanted.timestamps or None,
        }
    )
    async with aclosing(_log_frames(client, job, query)) as lines:
        async for line in lines:
            yield line


async def _logs_of_executions(
    client: OrchestratorClient, job: str, wanted: LogQuery
) -> AsyncGenerator[LogFrameValue, None]:
    """The same from a Bacalhau, which gives the log of one execution at a time, and no times.

    One partition after the other; following, all of them at once. Raises as `logs`.
    """
    if wanted.since:
        raise not_offered(job, "tell when a line was written")
    rows = (await client.rows(job, "" if wanted.partitions == "all" else wanted.partitions)).items
    if not wanted.follow:
        for row in rows:
            async with aclosing(_log_of_partition(client, job, row.index, wanted)) as lines:
                async for line in lines:
                    yield line
        return
    queue: asyncio.Queue[LogFrameValue | ClientError | None] = asyncio.Queue(1000)
    loop = asyncio.get_running_loop()  # no TaskGroup: it would not let a generator be closed
    readers = [loop.create_task(_hand_over(client, job, row.index, wanted, queue)) for row in rows]
    left = len(readers)
    try:
        while left:
            read = await queue.get()
            if isinstance(read, ClientError):
                raise read
            if read is None:
                left -= 1
            else:
                yield read
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _hand_over(
    client: OrchestratorClient,
    job: str,
    index: int,
    wanted: LogQuery,
    queue: asyncio.Queue[LogFrameValue | ClientError | None],
) -> None:
    """Put the log of a partition into a queue, and at its end None, or why it could not be read."""
    try:
        async with aclosing(_log_of_partition(client, job, index, wanted)) as lines:
            async for line in lines:
                await queue.put(line)
        await queue.put(None)
    except ClientError as error:
        await queue.put(error)


async def _log_of_partition(
    client: OrchestratorClient, job: str, index: int, wanted: LogQuery
) -> AsyncGenerator[LogFrameValue, None]:
    """Lines of a partition's attempts; following, until it is settled."""
    done = 0
    while True:
        detail = await client.partition(job, index)
        attempts = detail.attempts[done:]
        if wanted.attempt == "last" and not done:
            attempts = attempts[-1:]
        elif wanted.attempt not in ("last", "all"):
            attempts = tuple(one for one in attempts if one.attempt == int(wanted.attempt))
        for attempt in attempts:
            async with aclosing(_lines_of_attempt(client, job, attempt, wanted)) as lines:
                async for line in lines:
                    yield msgspec.structs.replace(line, partition=index, attempt=attempt.attempt)
        done = len(detail.attempts)
        is_over = detail.partition.state not in UNSETTLED_WORDS or (attempts and wanted.attempt not in ("last", "all"))
        if not wanted.follow or is_over:
            return
        await asyncio.sleep(PERIOD)


async def _lines_of_attempt(
    client: OrchestratorClient, job: str, attempt: Attempt, wanted: LogQuery
) -> AsyncGenerator[LogFrameValue, None]:
    """Lines of one attempt, from the last `tail` ones on.

    What has ended, or is not followed, is read once. A log that still grows is read twice: where that which is there
    already ends, a Bacalhau tells only by ending the stream.
    """
    skip = 0
    if wanted.tail:
        is_followed = wanted.follow and attempt.state in LIVE_WORDS
        last: deque[LogFrameValue] = deque(maxlen=wanted.tail)
        whole = msgspec.structs.replace(wanted, follow=False, tail=None)
        async with aclosing(_log_of_execution(client, job, attempt.execution_id, whole)) as lines:
            async for line in lines:
                skip += len(last) == wanted.tail
                last.append(line)
        if not is_followed:
            for line in last:
                yield line
            return
    async with aclosing(_log_of_execution(client, job, attempt.execution_id, wanted)) as lines:
        async for line in lines:
            skip -= 1
            if skip < 0:
                yield line


async def _log_of_execution(
    client: OrchestratorClient, job: str, execution_id: str, wanted: LogQuery
) -> AsyncGenerator[LogFrameValue, None]:
    """Lines of one execution, of the streams that are wanted."""
    query: Query = {"execution_id": execution_id, "follow": wanted.follow or None, "tail": wanted.tail == 0 or None}
    async with aclosing(_log_frames(client, job, client.query(query))) as lines:
        async for line in lines:
            if wanted.stream in ("", STREAM_WORDS.get(line.type)):
                yield line


async def _log_frames(
    client: OrchestratorClient, job: str, query: dict[str, str]
) -> AsyncGenerator[LogFrameValue, None]:
    """Frames of a log's WebSocket until the server closes it."""
    path = f"{JOBS}/{quote(job, safe='')}/logs"
    if client.has_own_transport:  # which has no sockets: what it answers is why
        try:
            answer = await client.http.get(path, params=query)
        except httpx.TransportError as error:
            raise unreachable(client.url, error) from error
        raise refusal(answer.status_code, answer.content)
    from websockets.asyncio.client import connect  # noqa: PLC0415 - only logs need it, and it is slow to import
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException  # noqa: PLC0415

    parts = urlsplit(client.url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    url = f"{scheme}://{parts.netloc}{path}?{urlencode(query)}"
    decoder = msgspec.json.Decoder(LogFrame)
    try:
        async with connect(
            url,
            additional_headers=client.headers,
            proxy=None if client.is_local else True,
            max_size=None,
            ssl=client.tls,
        ) as socket:
            async for message in socket:
                frame = decoder.decode(message)
                if frame.error:
                    raise _log_error(frame.error)
                yield frame.value
    except InvalidStatus as error:
        raise refusal(error.response.status_code, bytes(error.response.body or b"")) from error
    except ConnectionClosed as error:
        if error.rcvd is None or error.rcvd.code != NORMAL_END:
            raise UnreachableError(client.url, "the log stream broke off") from error
    except (OSError, TimeoutError, WebSocketException) as error:
        raise unreachable(client.url, error) from error
    except msgspec.MsgspecError as error:
        message = f"a frame of the log is not understood: {error}"
        raise ClientError(message, code="BadAnswer") from error


def _log_error(text: str) -> ClientError:
    """Errors of a log stream come as frames, without a status: an unknown job is told by the store's own words."""
    is_missing = "not found" in text
    return ClientError(text, status=404 if is_missing else 400, code="NotFound" if is_missing else "BadRequest")


async def archive(client: OrchestratorClient, job: str, index: int, into: Path) -> None:
    """Store the archive of a partition's accepted attempt as the file `into`. 404 = it has none."""
    await download(client, f"{client.url}{JOBS}/{quote(job, safe='')}/results/{index}.tar.gz", into)


async def download(client: OrchestratorClient, url: str, into: Path) -> None:
    """Store what is at `url` as the file `into`, whole or not at all. Credentials go to the orchestrator only."""
    partial = into.with_name(into.name + ".part")
    is_ours = url.startswith(client.url + "/")
    try:
        if is_ours:
            await _fetch(client.http, url, client.query(None), partial)
        else:
            async with httpx.AsyncClient(timeout=60.0, follow_redirects=True) as http:
                await _fetch(http, url, {}, partial)
        partial.replace(into)
    except httpx.TransportError as error:
        raise unreachable(url, error) from error
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


async def _fetch(http: httpx.AsyncClient, url: str, query: dict[str, str], into: Path) -> None:
    headers = {"Accept-Encoding": "identity"}  # an archive is wanted as it is, not unzipped on the way
    async with http.stream("GET", url, params=query or None, headers=headers) as answer:
        if answer.status_code != httpx.codes.OK:
            raise refusal(answer.status_code, await answer.aread())
        with into.open("wb") as file:
            async for chunk in answer.aiter_bytes():
                file.write(chunk)
