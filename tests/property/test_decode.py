"""Decoding, for jobs and garbage that nobody thought of."""

import json
import string
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.contract.decode import decode_body, decode_job
from orchestrator.contract.job import (
    InputSource,
    Job,
    NetworkConfig,
    Port,
    ResourcesConfig,
    ResultPath,
    Retry,
    SpecConfig,
    Task,
    TimeoutConfig,
)
from orchestrator.contract.selectors import LabelSelector, Selection, format_ranges, parse_ranges
from orchestrator.contract.walk import fields_of
from tui.jobfile import JobFileError, read_job_file

WORD = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,10}[a-zA-Z0-9])?", fullmatch=True)
NAME = st.text(st.characters(codec="utf-8", categories=["L", "N"], include_characters="!-_."), min_size=1, max_size=20)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
VARIABLES = st.dictionaries(
    st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: not name.startswith("BACALHAU_")),
    TEXT.filter(bool),
    max_size=3,
)
PATHS = st.lists(st.from_regex(r"/[a-z0-9]{1,8}(/[a-z0-9]{1,8})?", fullmatch=True), unique=True, max_size=4)


@st.composite
def engines(draw: st.DrawFn) -> dict[str, Any]:
    arguments = draw(st.lists(TEXT, max_size=3))
    if draw(st.booleans()):
        return {"Type": "docker", "Params": {"Image": draw(WORD), "Parameters": arguments}}
    return {"Type": "process", "Params": {"Command": draw(WORD), "Arguments": arguments}}


@st.composite
def constraints(draw: st.DrawFn) -> dict[str, Any]:
    key = draw(WORD)
    operator = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "exists", "!", "gt", "lt"]))
    match operator:
        case "exists" | "!":
            return {"Key": key, "Operator": operator}
        case "in" | "notin":
            return {"Key": key, "Operator": operator, "Values": draw(st.lists(WORD, min_size=1, max_size=3))}
        case "gt" | "lt":
            return {"Key": key, "Operator": operator, "Values": [str(draw(st.integers(-1000, 1000)))]}
        case _:
            return {"Key": key, "Operator": operator, "Values": [draw(WORD)]}


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """A job that is fine, as a client may send it."""
    paths = draw(PATHS)
    cut = draw(st.integers(0, len(paths)))
    queue, execution = draw(st.integers(0, 10_000)), draw(st.integers(0, 10_000))
    task = {
        "Name": draw(NAME),
        "Engine": draw(engines()),
        "Env": draw(VARIABLES),
        "Meta": draw(st.dictionaries(TEXT, TEXT, max_size=2)),
        "InputSources": [
            {"Source": {"Type": "local", "Params": {"SourcePath": path}}, "Alias": "", "Target": path}
            for path in paths[:cut]
        ],
        "ResultPaths": [{"Name": f"r{at}", "Path": path} for at, path in enumerate(paths[cut:])],
        "Resources": draw(
            st.fixed_dictionaries(
                {},
                optional={"CPU": st.sampled_from(["1", "0.5", "250M"]), "Memory": st.sampled_from(["1 GB", "64MiB"])},
            )
        ),
        "Network": {"Type": draw(st.sampled_from(["", "none", "Default", "HOST"]))},
        "Timeouts": {
            "QueueTimeout": queue,
            "ExecutionTimeout": f"{execution}s",
            "TotalTimeout": draw(st.sampled_from([0, queue + execution])),
        },
    }
    retry = {
        "MaxAttempts": draw(st.integers(1, 100)),
        "Backoff": {"Initial": draw(st.floats(0, 86_400)), "Jitter": draw(st.booleans())},
    }
    return {
        "Name": draw(NAME),
        "Type": "batch",
        "Priority": draw(st.integers(-(2**63), 2**63 - 1)),
        "Count": draw(st.integers(0, 1_000_000)),
        "Constraints": draw(st.lists(constraints(), max_size=3)),
        "Meta": draw(st.dictionaries(TEXT.filter(lambda key: not key.startswith("bacalhau.org/")), TEXT, max_size=2)),
        "Labels": draw(st.dictionaries(WORD, WORD, max_size=3)),
        "Tasks": [task],
        "Retry": draw(st.sampled_from([None, retry])),
    }


@given(jobs())
def test_good_job_goes_over_the_wire_and_comes_back_the_same(raw: dict[str, Any]) -> None:
    first = decode_job(raw)
    assert first.problems == ()
    assert first.job is not None

    wire = msgspec.json.encode(first.job)
    again = decode_job(decode_body(wire))

    assert msgspec.json.decode(wire, type=Job) == first.job
    assert again.job == first.job


@given(jobs(), st.randoms(use_true_random=False))
def test_case_of_keys_does_not_matter(raw: dict[str, Any], random: Any) -> None:
    def shaken(value: Any) -> Any:
        if isinstance(value, list):
            return [shaken(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {
            "".join(random.choice((char.lower(), char.upper())) for char in key): (
                inner if key in {"Params", "Env", "Meta", "Labels"} else shaken(inner)
            )
            for key, inner in value.items()
        }

    assert decode_job(shaken(raw)) == decode_job(raw)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["batch", "docker", "process", "1s", "local", "inline", "data:,", "/x", "=", "Bridge", "orchestrator"]
    ),
    st.dates(),
    st.binary(max_size=3),
)
MODELS = (Job, Task, SpecConfig, InputSource, ResultPath, ResourcesConfig, Port, NetworkConfig, TimeoutConfig, Retry)
KNOWN = sorted(name for model in MODELS for name in fields_of(model).names)
KEYS = st.one_of(st.sampled_from(KNOWN), st.sampled_from(["Image", "URL", "Command"]), st.text(max_size=4))
GARBAGE = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEYS, st.integers(), st.none()), inner, max_size=5)
    ),
    max_leaves=25,
)


def consistent(raw: object, *, is_file: bool) -> None:
    result = decode_job(raw, is_file=is_file)
    assert (result.job is None) == bool(result.problems)
    for problem in result.problems:
        assert str(problem)
        assert problem.found
    msgspec.json.encode(result.job)


@given(GARBAGE, st.booleans())
@settings(max_examples=300)
def test_garbage_is_refused_and_nothing_is_raised(raw: object, is_file: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    consistent(raw, is_file=is_file)


@given(jobs(), st.lists(st.tuples(st.integers(0, 200), GARBAGE), min_size=1, max_size=3))
@settings(max_examples=300)
def test_job_with_garbage_in_it_raises_nothing(raw: dict[str, Any], damage: list[tuple[int, object]]) -> None:
    for at, value in damage:
        places: list[tuple[Any, Any]] = []
        waiting: list[Any] = [raw]
        while waiting:
            node = waiting.pop()
            keys = list(node) if isinstance(node, dict) else range(len(node))
            places += [(node, key) for key in keys]
            waiting += [node[key] for key in keys if isinstance(node[key], dict | list)]
        node, key = places[at % len(places)]
        node[key] = value

    consistent(raw, is_file=False)


@given(st.one_of(st.binary(max_size=50), st.text(string.printable, max_size=50).map(str.encode)))
def test_any_bytes_are_a_body_or_a_value_error(raw: bytes) -> None:
    try:
        body = decode_body(raw)
    except ValueError:
        return
    assert json.loads(raw or b"{}") == body


@given(st.one_of(st.text(max_size=60), st.text("{}[]:,-&*!|>'\"#%@ \nab<", max_size=60)))
@settings(max_examples=300)
def test_any_text_is_a_job_file_or_a_job_file_error(text: str) -> None:
    try:
        data, _ = read_job_file(text)
    except JobFileError:
        return
    consistent(data, is_file=True)


@given(st.one_of(st.text(max_size=30), st.text('0123456789-,! "\\failed:><=~nodexr', max_size=30)))
@settings(max_examples=300)
def test_any_text_is_a_selection_or_a_value_error(text: str) -> None:
    try:
        selection = Selection.parse(text)
    except ValueError:
        return
    assert selection.is_packed in (True, False)


@given(st.one_of(st.text(max_size=30), st.text("ab1=!<>(), in", max_size=30)))
@settings(max_examples=300)
def test_any_text_is_a_label_selector_or_a_value_error(text: str) -> None:
    try:
        selector = LabelSelector.parse(text)
    except ValueError:
        return
    assert selector.matches({}) in (True, False)


@given(st.sets(st.integers(0, 3000)))
def test_ranges_hold_the_same_indices(indices: set[int]) -> None:
    assert {index for part in parse_ranges(format_ranges(indices)) for index in part} == indices
