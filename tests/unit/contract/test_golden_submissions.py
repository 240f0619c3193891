"""Submissions as real clients of Bacalhau sent them: what it answered, we answer, but where we differ on purpose."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.decode import Decoded, decode_body, decode_job

GOLDEN = Path(__file__).parents[3].parent / "shared" / "contract" / "golden"
pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the recordings of a real Bacalhau are not here (../shared)"
)

REFUSED_BY_US = {
    "put-badengine",
    "put-badconstraint",
    "put-badlabel",
    "put-badpublisher",
    "put-noimage",
    "put-longname",
}
"""Bacalhau took them."""
NOT_ABOUT_THE_JOB = {"put-big", "put-noct", "put-text", "put-yaml", "put-badname"}
"""Refused for their size, their content type, or because the job is there already."""
OUR_TEXT = {"put-badnet", "put-wrongtype", "put-notjson", "put-array"}


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return found


def puts() -> list[str]:
    return sorted(path.stem for path in GOLDEN.glob("http/put-*.json"))


def decoded(request: Any) -> Decoded | None:
    """None = it is no JSON object."""
    try:
        body = decode_body(request["raw"].encode()) if isinstance(request, dict) and "raw" in request else request
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    return decode_job(next((value for key, value in body.items() if key.lower() == "job"), None))


@pytest.mark.parametrize("name", [name for name in puts() if name not in NOT_ABOUT_THE_JOB])
def test_submission_is_taken_or_refused_as_recorded(name: str) -> None:
    recording = recorded(f"http/{name}")
    result = decoded(recording["request"])
    answer = recording["response"]["json"]

    if recording["status"] == 200 and name not in REFUSED_BY_US:
        assert result is not None
        assert result.problems == ()
        assert result.warnings == tuple(answer["Warnings"] or ())
    elif name in REFUSED_BY_US or name in OUR_TEXT:
        assert result is None or result.problems
    else:
        assert result is not None
        assert answer["Message"] in "\n".join(str(problem) for problem in result.problems)


def clients() -> list[tuple[str, Any]]:
    """Every job that Bacalhau's CLI and SDK sent."""
    recordings = [path for folder in ("cli", "sdk") for path in sorted(GOLDEN.glob(f"{folder}/*.json"))]
    return [
        (path.stem, exchange["request"]["json"]["Job"])
        for path in recordings
        for exchange in json.loads(path.read_text())["exchanges"]
        if exchange["method"] == "PUT" and exchange["path"].endswith("/orchestrator/jobs")
    ]


@pytest.mark.parametrize(("name", "job"), clients())
def test_what_real_clients_send_is_taken_unless_it_is_not_built_yet(name: str, job: Any) -> None:
    result = decode_job(job)

    # Recorded with a path and a module that were cut for privacy and size; the latter's target is of wasm only.
    of_the_recording = (".SourcePath", ".Params.URL")
    left = [problem for problem in result.problems if not problem.path.endswith(of_the_recording)]
    assert [str(problem) for problem in left if "not built yet" not in problem.message] == [], name
    assert result.warnings == ()
