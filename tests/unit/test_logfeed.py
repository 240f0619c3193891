"""However a log is cut, what is read of it is the log, in its order; and its end is there first."""

import random
from typing import cast

import pytest

from orchestrator.client import OrchestratorClient
from orchestrator.contract.history import Stamp
from orchestrator.contract.ids import Timestamp
from orchestrator.contract.partitions import LogRange
from orchestrator.routes.views import rfc3339
from tui import logfeed
from tui.model.logtext import NOTE, LogText


class Served:
    """A log as the orchestrator gives it: bytes a stream, the time at which each line had been seen, holes."""

    def __init__(self, lines: list[tuple[str, bytes, int]], *, is_complete: bool = True) -> None:
        self.has_partitions = True
        self.is_complete = is_complete
        self.content = {name: b"".join(line for stream, line, _ in lines if stream == name) for name in ("out", "err")}
        self.stamps: dict[str, list[tuple[int, int]]] = {"out": [], "err": []}
        for stream, line, time in lines:
            before = self.stamps[stream][-1][0] if self.stamps[stream] else 0
            self.stamps[stream].append((before + len(line), time))
        self.holes: dict[str, tuple[int, int]] = {}
        self.asked: list[tuple[str, int, int]] = []

    async def log_range(
        self, _job: str, _index: int, _attempt: int, stream: str, *, offset: int, limit: int
    ) -> LogRange:
        """As the route does."""
        self.asked.append((stream, offset, limit))
        content = self.content[stream]
        size = len(content)
        offset = max(0, size + offset) if offset < 0 else offset
        first, last = self.holes.get(stream, (0, 0))
        offset = last if first <= offset < last else offset
        end = min(size, offset + limit, first if offset < first else size)
        stamps = [(at, time) for at, time in self.stamps[stream] if at > offset]
        upto = next((number for number, (at, _) in enumerate(stamps) if at >= end), len(stamps))
        return LogRange(
            content=content[offset:end],
            offset=offset,
            next_offset=end,
            size=size,
            is_end=self.is_complete and end >= size,
            stamps=tuple(Stamp(offset=at, time=rfc3339(Timestamp(time * 10**9))) for at, time in stamps[: upto + 1]),
        )


async def read(log: Served) -> tuple[LogText, list[logfeed.Step], int]:
    """All of a complete log; what was told; how many lines were there when the end was reached."""
    text, steps, at_first = LogText(), [], -1
    async for step in logfeed.read(cast("OrchestratorClient", log), "j", 0, 1, text):
        steps.append(step)
        if isinstance(step, logfeed.CaughtUp):
            at_first = text.count
    return text, steps, at_first


def all_lines(text: LogText) -> list[bytes]:
    return [line.content for line in map(text.line, range(text.count)) if line.stream != NOTE]


def notes(text: LogText) -> list[str]:
    return [line.content.decode() for line in map(text.line, range(text.count)) if line.stream == NOTE]


@pytest.mark.parametrize("seed", range(40))
async def test_a_log_read_from_its_end_is_the_log(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    rnd = random.Random(seed)
    monkeypatch.setattr(logfeed, "PIECE", rnd.choice([7, 50, 400]))
    rare = rnd.choice([0.0, 0.02, 0.5])
    lines = [
        ("err" if rnd.random() < rare else "out", f"{number} {'x' * rnd.randrange(30)}\n".encode(), number)
        for number in range(rnd.randrange(1, 200))
    ]
    monkeypatch.setattr(logfeed, "LAST", 1 << 20)
    whole, _, _ = await read(Served(lines))
    assert all_lines(whole) == [line.rstrip(b"\n") for _, line, _ in lines]
    monkeypatch.setattr(logfeed, "LAST", rnd.choice([40, 300]))
    text, steps, at_first = await read(Served(lines))
    assert all_lines(text) == all_lines(whole)
    assert text.size == whole.size
    assert [step for step in steps if isinstance(step, logfeed.CaughtUp)] == [logfeed.CaughtUp()]
    if at_first < text.count:
        assert steps[-1] == logfeed.Before(0, text.count - at_first)
        assert [text.line(number) for number in range(text.count - at_first, text.count)] == [
            whole.line(number) for number in range(text.count - at_first, text.count)
        ]


async def test_the_end_of_a_long_log_takes_one_request_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfeed, "LAST", 100)
    log = Served([("out", f"line {number:05}\n".encode(), number) for number in range(1000)])
    text = LogText()
    async for step in logfeed.read(cast("OrchestratorClient", log), "j", 0, 1, text):
        if isinstance(step, logfeed.CaughtUp):
            break
    assert log.asked == [("out", -100, 100), ("err", -100, 100)]
    assert all_lines(text)[-1] == b"line 00999"


@pytest.mark.parametrize("last", [100, 1 << 20])
@pytest.mark.parametrize("hole", [(0, 330), (110, 330), (700, 950), (330, 1089)])
async def test_what_is_missing_is_said_where_it_is_and_counted(
    monkeypatch: pytest.MonkeyPatch, last: int, hole: tuple[int, int]
) -> None:
    monkeypatch.setattr(logfeed, "LAST", last)
    monkeypatch.setattr(logfeed, "PIECE", 64)
    log = Served([("out", f"line {number:05}\n".encode(), number) for number in range(100)])
    log.holes = {"out": hole}
    text, _, _ = await read(log)
    size = hole[1] - hole[0]
    assert text.dropped == size
    assert len(notes(text)) == 1
    assert f"{size}" in notes(text)[0]
    kept = (log.content["out"][: hole[0]] + log.content["out"][hole[1] :]).splitlines()
    assert all_lines(text) == kept


async def test_a_line_longer_than_what_is_read_first_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfeed, "LAST", 100)
    text, _, _ = await read(Served([("out", b"short\n", 1), ("out", b"x" * 1000 + b"\n", 2)]))
    assert all_lines(text) == [b"short", b"x" * 1000]
