import base64
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from orchestrator.client_stream import LogQuery
from orchestrator.contract.api import ExecutionList, LogFrameValue
from orchestrator.contract.partitions import Rows
from orchestrator.routes.views import execution_of
from tests.helpers.cli import Shoal
from tests.helpers.fake_api import JOBS, Answer, FakeApi, grid_of, row
from tests.helpers.records import execution_record
from tui.cli import logstream
from tui.cli.output import Output

ONE = f"{JOBS}/[^/]+"
FRAMES = [
    LogFrameValue(type=1, line="hello\n", partition=0, attempt=1, time="2026-10-14T16:26:40Z"),
    LogFrameValue(type=2, line="\x1b[31mred", partition=4, attempt=2, time="2026-10-14T16:26:41Z"),
    LogFrameValue(type=0, line="", partition=4, event="attempt 2 on n-07"),
]


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[LogQuery]:
    """What the log stream was asked for; it answers with FRAMES."""
    asked: list[LogQuery] = []

    async def frames(_client: object, _job: str, query: LogQuery) -> AsyncIterator[LogFrameValue]:
        asked.append(query)
        for frame in FRAMES:
            yield frame

    monkeypatch.setattr(logstream, "log_frames", frames)
    return asked


def answer_selections(api: FakeApi, grid: Answer, rows: Rows) -> None:
    """One route has the grid and, where partitions are selected, their rows."""
    api.on("GET", f"{ONE}/partitions", lambda request: rows if "select" in request.url.params else grid)


def test_many_partitions_are_tagged(shoal: Shoal, queries: list[LogQuery]) -> None:
    done = shoal("job", "logs", "fish")
    assert done.out == "0.1| hello\n4.2| \x1b[31mred\n"
    assert done.err == "--- partition 4: attempt 2 on n-07 ---\n"
    assert queries == [LogQuery(partitions="all")]


def test_flags_reach_the_stream(shoal: Shoal, queries: list[LogQuery]) -> None:
    done = shoal("job", "logs", "fish", "-f", "--tail=5", "--since", "1m30s", "--stream", "err", "--attempt", "all")
    assert done.code == 0
    assert queries == [LogQuery(follow=True, tail=5, since="90", stream="err", attempt="all")]
    shoal("job", "logs", "fish", "--select", "failed", "--tail")
    assert queries[1] == LogQuery(partitions="failed", tail=0)


def test_an_execution_of_an_earlier_version_is_found_by_the_beginning_of_its_id(
    api: FakeApi, shoal: Shoal, queries: list[LogQuery]
) -> None:
    old = execution_of(execution_record(7))
    api.on("GET", f"{ONE}/executions", ExecutionList(next_token="", items=(old,)))
    assert shoal("job", "logs", "fish", "-e", old.id[:-1]).out == "hello\n\x1b[31mred"
    assert queries == [LogQuery(partitions="", execution=old)]
    assert shoal("job", "logs", "fish", "-e", old.id, "--timestamps").code == 2
    assert shoal("job", "logs", "fish", "-e", "e-none").code == 3


def test_lines_can_be_picked_and_shown_with_their_time(shoal: Shoal, queries: list[LogQuery]) -> None:
    assert queries == []
    assert shoal("job", "logs", "fish", "--grep", "^he", "--no-prefix").out == "hello\n"
    timed = shoal("job", "logs", "fish", "--grep", "^he", "--timestamps")
    assert timed.out == "0.1| 2026-10-14T16:26:40Z hello\n"


def test_json_has_one_document_a_line(shoal: Shoal, queries: list[LogQuery]) -> None:
    done = shoal("job", "logs", "fish", "--json")
    assert queries[0].timestamps
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"Partition": 0, "Attempt": 1, "Stream": "out", "Time": "2026-10-14T16:26:40Z", "Line": "hello"},
        {"Partition": 4, "Attempt": 2, "Stream": "err", "Time": "2026-10-14T16:26:41Z", "Line": "\x1b[31mred"},
    ]


def test_very_many_logs_must_be_asked_for(api: FakeApi, shoal: Shoal, queries: list[LogQuery]) -> None:
    answer_selections(api, grid_of([6] * 20 + [7] * 3), rows=Rows(next_token="", items=(row(21, "failed"),)))
    done = shoal("job", "logs", "fish")
    assert (done.code, done.out, queries) == (2, "", [])
    assert "23 partitions (20 completed, 3 failed)" in done.err
    assert "--select failed" in done.err
    assert shoal("job", "logs", "fish", "--select", "failed").code == 0
    assert shoal("job", "logs", "fish", "-f").code == 0


def test_a_selection_that_matches_nothing_says_so(api: FakeApi, shoal: Shoal, queries: list[LogQuery]) -> None:
    answer_selections(api, grid_of([6] * 23), rows=Rows(next_token="", items=()))
    done = shoal("job", "logs", "fish", "--select", "failed")
    assert (done.code, done.out, queries) == (0, "", [])
    assert done.err == "0 of 23 partitions match 'failed'\n"


def test_one_partition_is_raw_bytes_in_the_order_in_which_they_came(
    api: FakeApi, shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = {"out": (b"one\xff\nthree\n", [[5, "T1"], [11, "T3"]]), "err": (b"two\n", [[4, "T2"]])}

    fresh = []

    def log(request: httpx.Request) -> Answer:
        fresh.append("fresh" in request.url.params)
        content, stamps = logs[request.url.params["stream"]]
        offset = int(request.url.params["offset"])
        piece = content[offset : offset + 6]
        return {
            "Data": base64.b64encode(piece).decode(),
            "Offset": offset,
            "NextOffset": offset + len(piece),
            "Size": len(content),
            "End": True,
            "Stamps": stamps,
        }

    api.on("GET", f"{ONE}/partitions/3/attempts/1/log", log)
    written: list[bytes] = []
    monkeypatch.setattr(Output, "raw", lambda _, content: written.append(content))
    assert shoal("job", "logs", "fish", "--select", "3").code == 0
    assert b"".join(written) == b"one\xff\ntwo\nthree\n"
    assert (fresh[0], any(fresh[1:])) == (True, False), "the node is asked once for what it has not shipped"


def test_a_partition_that_has_not_begun_says_so(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{ONE}/partitions", grid_of([1, 1]))
    done = shoal("job", "logs", "fish", "--select", "1")
    assert (done.code, done.out) == (0, "")
    assert "has not started" in done.err
