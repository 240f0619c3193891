"""What nobody should send: jobs that are spoilt, and anything at every route. Never a 5xx, nothing stored by halves.

`SOAK_INPUT=20000 pytest tests/property/test_bad_input.py` looks for longer.
"""

import copy
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.app import HANDLERS
from orchestrator.contract.api import MAX_BODY
from tests.helpers.hostile import Victim, full_job, victim
from tests.helpers.server import JOBS

QUICK = settings(
    deadline=None, max_examples=int(os.environ.get("SOAK_INPUT", "150")), suppress_health_check=[HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim(tmp_path_factory.mktemp("victim")) as found:
        yield found
        assert found.is_well()
        assert not found.complaints()


SCRIPTS = (
    *(
        "naïve",
        "Ωμέγα",
        "Привет",
        "שלום",
        "مرحبا",
        "नमस्ते",
        "สวัสดี",
        "你好",
        "こんにちは",
        "안녕",
        "ᐃᓄᒃᑎᑐᑦ",
        "ꦗꦮ",
        "𐎠𐎡",
        "🐟🐠",
        "e\u0301",
    ),
    *(
        "\u202eabc",
        "a\u200bb",
        "\ufeffx",
        "a\u2028b",
        "\u0000",
        "a\u0000b",
        "\x1b[31m",
        "a\nb",
        "\x7f",
        "\ud800",
        "a/b",
        " a",
        "@x",
        "",
    ),
    *("..", ".", "../../etc/passwd", "%2e%2e%2f", "x" * 253, "x" * 254, "\uff46\uff55ll", "I\u0307"),
)
"""Names: of every script, and such as are none."""
NUMBERS = st.sampled_from(
    [0, -1, 1.5, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, -(10**400), 1e308, 5e-324, -0.0]
)
WORDS = st.sampled_from(
    [
        *SCRIPTS,
        *(
            "1e9999",
            "9" * 5000,
            "0x10",
            "1_000",
            "-5",
            "1h1h",
            "99999999999h",
            "NaN",
            "inf",
            "1.5.5GB",
            "0",
            "١٢٣",
            "true",
        ),
        *(
            "/",
            "//",
            "/../..",
            "/a/../b",
            "/\0",
            "a" * 5000,
            "/" + "a/" * 3000,
            "data:,%FF",
            "data:;base64,!!!",
            "env:HOME",
        ),
    ]
)
LEAF = (
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False)
)
ANYTHING = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be put instead: the path of every value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from places(one, (*path, key))


PLACES = tuple(places(full_job("x")))


@st.composite
def spoilt_jobs(draw: st.DrawFn) -> Any:
    """A job that says something everywhere, and somewhere something strange."""
    job = full_job("spoilt")
    for _ in range(draw(st.integers(1, 2))):
        *above, key = draw(st.sampled_from(PLACES))
        inner: Any = job
        for step in above:
            if not (isinstance(inner, dict) and step in inner) and not (
                isinstance(inner, list) and isinstance(step, int) and step < len(inner)
            ):
                break
            inner = inner[step]
        else:
            if isinstance(inner, dict):
                if draw(st.booleans()):
                    inner[key] = draw(ANYTHING)
                else:
                    inner[draw(WORDS)] = inner.pop(key, None)
            elif isinstance(inner, list) and isinstance(key, int) and key < len(inner):
                inner[key] = draw(ANYTHING)
    return job


def encoded(plain: Any) -> bytes:
    """As JSON; lone surrogates stay escapes."""
    return json.dumps(plain).encode()


@QUICK
@given(job=spoilt_jobs())
def test_a_spoilt_job_is_taken_whole_or_refused_and_not_stored(target: Victim, job: Any) -> None:
    before = target.stored
    status, content = target.send("PUT", JOBS, encoded({"Job": job, "Force": True}))
    if status == 200:
        job_id = json.loads(content)["JobID"]
        status, content = target.send("GET", f"{JOBS}/{job_id}?include=history,executions")
        assert status == 200
        status, _ = target.send("DELETE", f"{JOBS}/{job_id}")
        assert status == 200
    else:
        assert status in (400, 409), content
        assert json.loads(content)["Message"]
        assert target.stored == before


@QUICK
@given(body=ANYTHING.map(encoded) | st.binary(max_size=200), key=st.sampled_from(["Job", "job", "", "Select", "Nope"]))
def test_any_body_is_refused_or_means_a_job(target: Victim, body: bytes, key: str) -> None:
    before = target.stored
    sent = b'{"' + key.encode() + b'": ' + body + b"}" if key else body
    status, content = target.send("PUT", JOBS, sent)
    assert status == 400, content
    assert target.stored == before


@pytest.mark.parametrize("name", SCRIPTS, ids=ascii)
def test_a_name_in_any_script_is_found_again_or_refused(target: Victim, name: str) -> None:
    before = target.stored
    status, content = target.send("PUT", JOBS, encoded({"Job": full_job(name)}))
    if status == 200:
        job_id = json.loads(content)["JobID"]
        status, content = target.send("GET", f"{JOBS}/{quote(name, safe='')}")
        if status == 200:
            assert json.loads(content)["Job"]["Name"] == name
            assert json.loads(content)["Job"]["ID"] == job_id
        else:
            assert name in (".", ".."), content
        target.send("DELETE", f"{JOBS}/{job_id}")
    else:
        assert status == 400
        assert target.stored == before


def deep(depth: int, opening: bytes, closing: bytes) -> bytes:
    return b'{"Job": {"Name": "deep", "Type": "batch", "Meta": ' + opening * depth + b"1" + closing * depth + b"}}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (deep(100_000, b"[", b"]"), 400),
        (deep(100_000, b'{"a":', b"}"), 400),
        (deep(3_000, b'[{"a":', b"}]"), 400),
        (b"[" * 9_999_999, 400),
        (b'{"Job":{"Name":"' + b"x" * 9_000_000 + b'"}}', 400),
        (b'{"Job":{"Count":' + b"9" * 9_000_000 + b"}}", 400),
        (b'{"Job":{"Count":1e' + b"9" * 1_000 + b"}}", 400),
        (b'{"Job":{"Tasks":[' + b"{}," * 2_000_000 + b"{}]}}", 400),
        (b'{"Job":{' + b",".join(b'"k%d":1' % key for key in range(300_000)) + b"}}", 400),
        (b" " * (MAX_BODY + 1), 413),
    ],
    ids=["lists", "objects", "both", "open", "name", "number", "exponent", "tasks", "keys", "too-large"],
)
def test_a_body_that_is_too_much_is_refused_soon(target: Victim, body: bytes, status: int) -> None:
    before = target.stored
    found, content = target.send("PUT", JOBS, body)
    assert found == status, content[:300]
    assert len(content) < 1 << 20, "what is refused is not sent back whole"
    assert target.stored == before


ROUTES = tuple(
    (min(handler.http_methods) if hasattr(handler, "http_methods") else "GET", path)
    for handler in HANDLERS
    for path in sorted(handler.paths)
)
"""Every route, as `GET`, `/api/...{job_id:str}/...`."""
NASTY = st.sampled_from(
    [
        *(name.encode(errors="surrogatepass") for name in SCRIPTS),
        *(
            b"-1",
            b"0",
            b"9" * 30,
            b"1e3",
            b"\xff\xfe",
            b"%",
            b"+",
            b"a" * 3000,
            b"x.tar.gz",
            b"0.tar.gz",
            b"all",
            b"0-",
            b"5-2",
        ),
        *(
            b"err~'\"",
            b"attempt>",
            b"(" * 2000,
            b"group:",
            b"!(a or",
            b"bnVsbA",
            b"a{99999999999}",
            b"(?P<a>",
            b"[",
            b"\\",
            b"(a+)+$",
        ),
    ]
) | st.binary(max_size=6)
PARAMETERS = (
    *(
        "select",
        "limit",
        "next_token",
        "order_by",
        "reverse",
        "after",
        "since",
        "labels",
        "include",
        "offset",
        "attempt",
    ),
    *("namespace", "stream", "grep", "execution_id", "follow", "tail", "job_version", "partitions", "cursor", "wait"),
    *("gap", "pretty", "idempotency_token", "event_type", "dry-run", "all"),
)
QUERY = st.dictionaries(
    st.sampled_from(PARAMETERS), NASTY | NUMBERS.map(lambda number: str(number).encode()), max_size=3
)


KNOWN = {
    "job_id": "victim",
    "node_id": "n1",
    "execution_id": "known",
    "index": "0",
    "attempt": "1",
    "stream": "out",
}


def known(part: str) -> str:
    """Something that there is, in the place of a part of a route's path such as `{job_id:str}`."""
    return KNOWN.get(part.strip("{}").partition(":")[0], "0") if part.startswith("{") else part


RAW = (b"\0", b"\xff\xfe{}", bytes(range(256)) * 40, b"{", b"[[[", b'"x"', b"null", b"\x1f\x8b\x08\x00", b"9" * 400)


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=" ".join)
def test_raw_bytes_harm_no_route(target: Victim, method: str, path: str) -> None:
    path = "/".join(map(known, path.split("/"))).replace("/known/", f"/{target.execution_id}/")
    if method == "DELETE":
        path = path.replace("/victim", "/nobody")
    before = target.stored
    for raw in RAW:
        for kind in ("application/json", "application/octet-stream"):
            target.send(method, path, raw, {"Content-Type": kind})
    assert target.stored == before


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Something at one of the routes: method, path, body, headers."""
    method, path = draw(st.sampled_from(ROUTES))
    parts = [
        part
        if not part.startswith("{")
        else known(part)
        if draw(st.booleans())
        else quote_from_bytes(draw(NASTY), safe="")
        for part in path.split("/")
    ]
    query = "&".join(f"{key}={quote_from_bytes(value, safe='')}" for key, value in draw(QUERY).items())
    body = draw(st.none() | st.binary(max_size=100) | ANYTHING.map(encoded)) if method != "GET" else None
    headers = draw(
        st.dictionaries(
            st.sampled_from(
                ["Content-Type", "Range", "Accept-Encoding", "X-Shoal-Session", "X-Shoal-Marks", "X-Request-ID"]
            ),
            st.sampled_from(
                ["", "bytes=0-0", "bytes=9-2", "bytes=-", "application/json", "s1", "a" * 5000, "\xff", "W10=", "e30="]
            ),
            max_size=2,
        )
    )
    return (
        draw(st.sampled_from([method, method, method, "GET", "PUT", "DELETE", "HEAD", "OPTIONS"])),
        "/".join(parts) + f"?{query}",
        body,
        headers,
    )


@QUICK
@given(request=requests())
def test_no_route_breaks_whatever_it_is_asked(
    target: Victim, request: tuple[str, str, bytes | None, dict[str, str]]
) -> None:
    method, path, body, headers = copy.deepcopy(request)
    path = path.replace("/known/", f"/{target.execution_id}/")
    if method == "DELETE" and path.startswith(f"{JOBS}/victim?"):
        path = path.replace("/victim?", "/nobody?")
    if "/retry" in path or "/stop" in path:
        path = path.replace("/victim/", "/nobody/")
    target.send(method, path, body, headers)
