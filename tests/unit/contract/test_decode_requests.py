"""From the bytes of a request, or its query, to a struct."""

from typing import Annotated

import msgspec
import pytest

from orchestrator.contract.decode import decode_body, decode_request
from orchestrator.contract.spec import DURATION, Spec


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"{nope", "byte 1"),
        (b"hello", "byte 0"),
        (b"[NaN]", "byte 1"),
        (b'"\xff"', "no JSON"),
        (b'"\\ud800"', "no JSON"),
        (b"[1e999]", "no JSON"),
        (b"9223372036854775808", "64 bits"),
        (b'{"a": "\\u0000"}', "null character"),
        (b"[" * 65 + b"]" * 65, "64 levels"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_body_that_is_no_json_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        decode_body(raw)

    assert says in str(caught.value)


@pytest.mark.parametrize(("raw", "body"), [(b"", {}), (b'{"a": [1]}', {"a": [1]}), (b"[" * 60 + b"]" * 60, None)])
def test_body_is_its_json(raw: bytes, body: object) -> None:
    assert body is None or decode_body(raw) == body


class Action(Spec, frozen=True, kw_only=True):
    select: str
    dry_run: bool = False
    limit: Annotated[int, msgspec.Meta(ge=0, le=100)] = 10
    wait: Annotated[float, DURATION] = 0.0
    labels: tuple[str, ...] = ()
    ratio: float = 0.0
    note: str | None = None


def test_request_is_read_from_a_body() -> None:
    action, problems = decode_request(
        {"SELECT": "failed", "dryrun": True, "Wait": "1m", "Credential": {}, "Note": "n", "Whatever": 1}, Action
    )

    assert problems == ()
    assert action == Action(select="failed", dry_run=True, wait=60.0, note="n")


def test_request_is_read_from_a_query() -> None:
    action, problems = decode_request(
        {"select": ["a", "b"], "DryRun": "1", "limit": "5", "labels": ["x", "y"], "ratio": "0.5", "wait": "2"},
        Action,
        is_query=True,
    )

    assert problems == ()
    assert action == Action(select="a", dry_run=True, limit=5, labels=("x", "y"), ratio=0.5, wait=2.0)


@pytest.mark.parametrize(
    ("raw", "is_query", "paths"),
    [
        ({}, False, ["Select"]),
        ([], False, [""]),
        ({"Select": 1, "Limit": 101}, False, ["Select", "Limit"]),
        ({"Select": "x", "Limit": "5"}, False, ["Limit"]),
        ({"select": "x", "limit": "five"}, True, ["Limit"]),
        ({"select": "x", "dryrun": "yes"}, True, ["DryRun"]),
        ({"select": "x", "ratio": "nan"}, True, ["Ratio"]),
        ({"select": "x", "wait": "x"}, True, ["Wait"]),
    ],
)
def test_request_tells_every_problem(raw: object, *, is_query: bool, paths: list[str]) -> None:
    action, problems = decode_request(raw, Action, is_query=is_query)

    assert action is None
    assert [problem.path for problem in problems] == paths


def test_strict_request_refuses_what_it_does_not_know_but_what_every_client_sends() -> None:
    action, problems = decode_request(
        {"Select": "x", "IdempotencyToken": "t", "Namespace": "", "DryRum": True}, Action, is_strict=True
    )

    assert action is None
    assert [problem.hint for problem in problems] == ["did you mean DryRun?"]
