"""Requests to structs and structs to answers: one way for all routes. The error envelope is made here."""

import asyncio
import gzip
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.datastructures import MultiDict
from litestar.enums import MediaType
from litestar.response import Stream

from orchestrator.contract.api import Problem
from orchestrator.contract.decode import decode_body, decode_request
from orchestrator.contract.spec import Spec
from orchestrator.errors import InvalidRequestError, OrchestratorError

HttpRequest = Request[Any, Any, Any]
Listing = Response[bytes] | Stream
T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")

LEAST_ZIPPED = 4096
"""Bytes; shorter answers are not worth packing."""
SLICE = 500
"""Records that are turned into text between two looks at other work."""
JSON = "application/json"
LISTED = b'{"NextToken":"","Items":[', b"]}\n"
"""What stands around the items of a list."""
LARGE_BYTES = 8192
"""Of a body: a larger one may take tens of milliseconds to be decoded, in which no node is answered."""
DECODER = ThreadPoolExecutor(1, "decode")
"""One, whatever comes: each thread that is busy takes its share from all others."""


class MediaTypeError(OrchestratorError):
    """The body is no JSON by its own account."""

    status = 415
    code = "BadRequest"
    component = "APIServer"

    def __init__(self, found: str) -> None:
        super().__init__(f"Content-Type: found {found or 'nothing'}, allowed: {JSON}")


class Envelope(Spec, frozen=True, kw_only=True):
    """What is in the body of every request of Bacalhau's clients."""

    namespace: str = ""
    idempotency_token: str = ""


def query(sent: MultiDict[str], into: type[T]) -> T:
    """The query of a request. Empty values are absent, `-` in a key is `_`. Raises InvalidRequestError."""
    given: dict[str, list[str]] = {}
    for key, value in sent.multi_items():
        if value:
            given.setdefault(key.lower().replace("-", "_"), []).append(value)
    return checked(*decode_request(given, into, is_query=True))


async def body(request: HttpRequest, into: type[T], *, is_strict: bool = False) -> T:
    """The JSON body of a request. Raises InvalidRequestError, MediaTypeError."""
    plain = await plain_body(request)
    return await decoded(request, struct_of, plain, into, is_strict=is_strict)


async def plain_body(request: HttpRequest) -> object:
    """The JSON body of a request as plain data. Raises InvalidRequestError, MediaTypeError."""
    raw = await request.body()
    kind = request.headers.get("content-type", "")
    if raw and kind.partition(";")[0].strip().lower() != JSON:
        raise MediaTypeError(kind)
    try:
        return await decoded(request, decode_body, raw)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error


async def decoded(request: HttpRequest, decode: Callable[..., R], *what: object, **how: object) -> R:
    """What `decode` makes of the body of a request: a large one is decoded beside the event loop, one at a time."""
    call = partial(decode, *what, **how)
    if len(await request.body()) <= LARGE_BYTES:
        return call()
    return await asyncio.get_running_loop().run_in_executor(DECODER, call)


def struct_of(plain: object, into: type[T], *, is_strict: bool = False) -> T:
    """Plain data as a request. Raises InvalidRequestError."""
    return checked(*decode_request(plain, into, is_strict=is_strict))


def checked(value: T | None, problems: Sequence[Problem]) -> T:
    """What was decoded. Raises InvalidRequestError with the problems where there are any."""
    if value is None:
        raise InvalidRequestError("\n".join(str(problem) for problem in problems), problems=problems)
    return value


def token_of(request: HttpRequest, token: str) -> str:
    """The key under which an answer is kept: a token means one request of one caller; empty = it is not kept."""
    token = token or request.query_params.get("idempotency_token", "")
    if not token:
        return ""
    caller = hashlib.sha256(request.headers.get("authorization", "").encode()).hexdigest()[:16]
    return f"{request.method} {request.url.path} {caller} {token}"


async def answer(
    request: HttpRequest, value: msgspec.Struct | dict[str, Any] | bytes, *, escapes: bool = True
) -> Response[bytes]:
    """200 with a JSON object: indented where the query has `pretty`, packed where it is long and the client takes that."""
    content = value if isinstance(value, bytes) else msgspec.json.encode(value)
    if escapes:
        content = escaped(content)
    if "pretty" in request.query_params:
        content = msgspec.json.format(content, indent=2)
    headers = {}
    if len(content) > LEAST_ZIPPED and "gzip" in request.headers.get("accept-encoding", ""):
        content = await asyncio.to_thread(gzip.compress, content, 1)
        headers["Content-Encoding"] = "gzip"
    else:
        content += b"\n"
    return Response(content, media_type=MediaType.JSON, headers=headers)


async def stream(request: HttpRequest, items: Iterable[bytes], *, escapes: bool = True) -> Listing:
    """A list as it is made: `{"NextToken":"","Items":[...]}` of encoded items."""
    return await stream_pages(request, _sliced(items), escapes=escapes)


async def stream_pages(
    request: HttpRequest,
    pages: AsyncIterator[list[bytes]],
    around: tuple[bytes, bytes] = LISTED,
    *,
    escapes: bool = True,
) -> Listing:
    """The same of items that come in pages, with `around` before and behind them."""
    if "pretty" in request.query_params:
        return await answer(request, b"".join([piece async for piece in _listed(pages, around)]), escapes=escapes)
    return Stream(_listed(pages, around, escapes=escapes), media_type=MediaType.JSON)


def escaped(content: bytes) -> bytes:
    """JSON that is safe inside HTML, as Go writes it: these three stand in texts only."""
    return content.replace(b"&", b"\\u0026").replace(b"<", b"\\u003c").replace(b">", b"\\u003e")


async def _listed(
    pages: AsyncIterator[list[bytes]], around: tuple[bytes, bytes], *, escapes: bool = False
) -> AsyncIterator[bytes]:
    before, after = (escaped(text) if escapes else text for text in around)
    yield before
    comma = b""
    async for page in pages:
        if page:
            joined = comma + b",".join(page)
            yield escaped(joined) if escapes else joined
            comma = b","
            await asyncio.sleep(0)
    yield after


async def _sliced(items: Iterable[bytes]) -> AsyncIterator[list[bytes]]:
    rest = iter(items)
    while page := list(itertools.islice(rest, SLICE)):
        yield page
