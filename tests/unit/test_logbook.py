"""Logs kept by the orchestrator: what was acknowledged stays, whatever is repeated, cut or late; one view of files and tail."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from orchestrator import logbook
from orchestrator.contract.agent import LogMark, LogTail, Stream
from orchestrator.contract.execution import ExecutionState
from orchestrator.contract.ids import SECOND, ExecutionId, Timestamp
from orchestrator.core.model import NEVER, Changes, TailRecord
from orchestrator.errors import ExecutionNotFoundError, InvalidRequestError, StorageError
from orchestrator.logbook import Logbook, LogLine
from orchestrator.logfile import LogFile
from orchestrator.store.memory import MemoryStore
from tests.helpers.records import NOW, execution_id, execution_record

OUT, ERR = Stream.OUT, Stream.ERR
E1 = execution_id(1)
PATIENCE = 5.0


class Desk:
    """A logbook over a store in memory, with one execution whose end can be committed."""

    def __init__(self, directory: Path) -> None:
        self.store = MemoryStore()
        self.directory = directory
        self.followed: list[bool] = []
        self.has_follower = asyncio.Event()
        self.logbook: Logbook
        self.reopen()

    def reopen(self) -> None:
        self.logbook = Logbook(self.directory, self.store, self.on_follow)

    def on_follow(self, name: ExecutionId) -> None:
        self.followed.append(self.logbook.is_followed(name))
        self.has_follower.set()

    async def set(self, state: ExecutionState, *tails: LogTail, **fields: Any) -> None:
        records = [TailRecord(execution_id=E1, tail=tail) for tail in tails]
        plain: dict[str, Any] = {"started": NOW}
        execution = execution_record(1, state=state, **(plain | fields))
        await self.store.commit(Changes(executions=[execution], tails=records), 1, NOW)

    async def end(self, *tails: LogTail) -> None:
        await self.set(ExecutionState.COMPLETED, *tails)
        self.logbook.ended(E1)

    async def put(
        self, offset: int, content: bytes, *marks: tuple[int, float], stream: Stream = OUT, gap: bool = False
    ) -> int:
        said = [LogMark(offset=at, at=age) for at, age in marks]
        return await self.logbook.append(E1, stream, offset, content, said, is_gap=gap)

    async def all(self, stream: Stream = OUT) -> bytes:
        return (await self.logbook.read(E1, stream, 0, 1 << 30)).content

    async def lines(self, **how: Any) -> list[tuple[str, int, bytes]]:
        return [(line.stream.value, line.offset, line.content) async for line in self.logbook.lines(E1, **how)]


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "logs")
    await desk.set(ExecutionState.RUNNING)
    return desk


def tail(offset: int, content: bytes, *marks: tuple[int, float], stream: Stream = OUT) -> LogTail:
    said = tuple(LogMark(offset=at, at=age) for at, age in marks)
    return LogTail(stream=stream, offset=offset, content=content, marks=said)


async def take(lines: AsyncIterator[LogLine], count: int) -> list[bytes]:
    async with asyncio.timeout(PATIENCE):
        return [(await anext(lines)).content for _ in range(count)]


async def test_pieces_are_one_log_also_for_a_new_process(desk: Desk) -> None:
    assert await desk.put(0, b"one\ntwo") == 7
    assert await desk.put(7, b"\nthree\n") == 14
    desk.reopen()
    assert await desk.all() == b"one\ntwo\nthree\n"
    assert await desk.all(ERR) == b""
    assert await desk.logbook.extents(E1) == {OUT: (0, 14), ERR: (0, 0)}


async def test_repeats_and_overlaps_change_nothing(desk: Desk) -> None:
    await desk.put(0, b"abcdef", (6, 1.0))
    assert await desk.put(0, b"abcdef", (6, 1.0)) == 6
    assert await desk.put(2, b"cd") == 6
    assert await desk.put(4, b"efgh", (8, 2.0)) == 8
    assert await desk.put(8, b"") == 8
    assert await desk.all() == b"abcdefgh"
    piece = await desk.logbook.read(E1, OUT, 0, 100)
    assert piece.stamps == ((6, NOW + SECOND), (8, NOW + 2 * SECOND))


async def test_pieces_that_come_at_once_are_written_one_after_the_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy: list[Stream] = []

    class Watched(LogFile):
        def append(self, stream: Stream, *args: Any, **how: Any) -> int:
            assert not busy
            busy.append(stream)
            time.sleep(0.01)  # long enough for another thread to come in
            size = super().append(stream, *args, **how)
            busy.clear()
            return size

    monkeypatch.setattr(logbook, "LogFile", Watched)
    content = b"x" * 1_000
    async with asyncio.TaskGroup() as group:
        for stream in (OUT, ERR, OUT, ERR):
            group.create_task(desk.put(0, content, (500, 1.0), (1_000, 2.0), stream=stream))
    assert await desk.all() == await desk.all(ERR) == content
    assert len((await desk.logbook.read(E1, OUT, 0, 1_000)).stamps) == 2


async def test_gap_is_refused_with_the_size_unless_it_was_cut(desk: Desk) -> None:
    await desk.put(0, b"head")
    assert await desk.put(10, b"tail") == 4
    assert await desk.all() == b"head"
    assert await desk.put(10, b"tail", gap=True) == 14
    desk.reopen()
    piece = await desk.logbook.read(E1, OUT, 0, 100)
    assert (piece.offset, piece.content, piece.next_offset, piece.size) == (0, b"head", 4, 14)
    piece = await desk.logbook.read(E1, OUT, 4, 100)
    assert (piece.offset, piece.content, piece.next_offset) == (10, b"tail", 14)
    assert await desk.lines() == [("out", 0, b"head"), ("out", 10, b"tail")]


async def test_log_of_which_only_the_last_part_was_shipped_begins_there(desk: Desk) -> None:
    far = 5 << 30
    assert await desk.put(far, b"end\n", gap=True) == far + 4
    assert await desk.logbook.extents(E1) == {OUT: (far, far + 4), ERR: (0, 0)}
    piece = await desk.logbook.read(E1, OUT, 0, 100)
    assert (piece.offset, piece.content) == (far, b"end\n")
    assert sum(path.stat().st_blocks for path in desk.directory.rglob("*.out")) <= 16


async def test_tail_goes_on_where_the_files_end(desk: Desk) -> None:
    await desk.put(0, b"shipped,", (8, 1.0))
    await desk.end(tail(5, b"ed,tail", (12, 3.0)), tail(4, b"lost before", stream=ERR))
    piece = await desk.logbook.read(E1, OUT, 6, 4)
    assert (piece.offset, piece.content, piece.is_end) == (6, b"d,ta", False)
    assert piece.stamps == ((8, NOW + SECOND), (12, NOW + 3 * SECOND))
    piece = await desk.logbook.read(E1, OUT, 10, 4)
    assert (piece.content, piece.next_offset, piece.size, piece.is_end) == (b"il", 12, 12, True)
    assert (await desk.logbook.read(E1, ERR, 0, 99)).offset == 4
    assert await desk.logbook.extents(E1) == {OUT: (0, 12), ERR: (4, 15)}


async def test_late_log_of_an_ended_execution_is_taken(desk: Desk) -> None:
    await desk.end(tail(6, b"tail"))
    await desk.put(0, b"late, tail and more")
    assert await desk.all() == b"late, tail and more"


async def test_end_is_told_only_of_an_ended_execution(desk: Desk) -> None:
    await desk.put(0, b"all")
    assert not (await desk.logbook.read(E1, OUT, 0, 9)).is_end
    await desk.end()
    assert (await desk.logbook.read(E1, OUT, 0, 9)).is_end
    assert (await desk.logbook.read(E1, OUT, 3, 9)).is_end
    assert not (await desk.logbook.read(E1, OUT, 0, 2)).is_end
    empty = await desk.logbook.read(E1, ERR, 0, 9)
    assert (empty.content, empty.is_end) == (b"", True)


async def test_streams_are_told_in_the_order_of_their_marks(desk: Desk) -> None:
    await desk.put(0, b"o1\no3\n", (3, 1.0), (6, 3.0))
    await desk.put(0, b"e2\ne4\n", (3, 2.0), (6, 4.0), stream=ERR)
    await desk.end(tail(6, b"o5\nno mark", (9, 5.0)))
    lines = [line async for line in desk.logbook.lines(E1)]
    assert [line.content for line in lines] == [b"o1\n", b"e2\n", b"o3\n", b"e4\n", b"o5\n", b"no mark"]
    assert [line.time for line in lines] == [*(NOW + n * SECOND for n in range(1, 6)), NEVER]


async def test_lines_of_one_stream_from_an_offset(desk: Desk) -> None:
    await desk.put(0, b"one\ntwo\n")
    await desk.put(0, b"err\n", stream=ERR)
    assert await desk.lines(streams=[OUT], begin={OUT: 4}) == [("out", 4, b"two\n")]


async def test_lines_of_a_long_log_and_a_longer_line_lose_nothing(desk: Desk) -> None:
    content = b"".join(b"line %d\n" % n for n in range(30_000)) + b"x" * 300_000 + b"\nend"
    await desk.put(0, content)
    lines = await desk.lines()
    assert b"".join(line for *_, line in lines) == content
    lengths = [len(line) for *_, line in lines]
    assert [offset for _, offset, _ in lines] == list(accumulate(lengths, initial=0))[:-1]
    assert max(lengths) <= 128 << 10


async def test_following_tells_what_comes_until_the_end(desk: Desk) -> None:
    await desk.put(0, b"one\ntw")
    lines = desk.logbook.lines(E1, is_followed=True)
    assert await take(lines, 1) == [b"one\n"]
    waiting = asyncio.ensure_future(take(lines, 2))
    await desk.put(6, b"o\nthree\nfo")
    assert await waiting == [b"two\n", b"three\n"]
    waiting = asyncio.ensure_future(take(lines, 1))
    await desk.end(tail(16, b"ur"))
    assert await waiting == [b"four"]
    with pytest.raises(StopAsyncIteration):
        await anext(lines)


async def test_following_an_execution_that_has_not_started_gets_its_times(desk: Desk) -> None:
    await desk.set(ExecutionState.ASSIGNED, started=NEVER)
    lines = desk.logbook.lines(E1, is_followed=True)
    waiting = asyncio.ensure_future(anext(lines))
    async with asyncio.timeout(PATIENCE):
        await desk.has_follower.wait()
    await desk.set(ExecutionState.RUNNING)
    await desk.put(0, b"hi\n", (3, 0.5))
    async with asyncio.timeout(PATIENCE):
        assert (await waiting).time == Timestamp(NOW + SECOND // 2)
    await lines.aclose()


async def test_following_an_ended_execution_ends(desk: Desk) -> None:
    await desk.put(0, b"all\n")
    await desk.end()
    assert await desk.lines(is_followed=True) == [("out", 0, b"all\n")]


async def test_who_follows_is_told_once_for_the_first_and_once_for_the_last(desk: Desk) -> None:
    await desk.put(0, b"one\n")
    first, second = (desk.logbook.lines(E1, is_followed=True) for _ in range(2))
    assert await take(first, 1) == await take(second, 1) == [b"one\n"]
    assert desk.followed == [True]
    await first.aclose()
    assert desk.followed == [True]
    await second.aclose()
    assert desk.followed == [True, False]
    assert await desk.lines() == [("out", 0, b"one\n")]
    assert desk.followed == [True, False]


async def test_deleted_log_is_gone_and_its_tail_stays(desk: Desk) -> None:
    await desk.put(0, b"files")
    await desk.end(tail(5, b"tail"))
    await desk.logbook.delete(E1)
    await desk.logbook.delete(E1)
    assert [path for path in desk.directory.rglob("*") if path.is_file()] == []
    assert await desk.all() == b"tail"


@pytest.mark.parametrize("torn", [b'["mark","out",8,', b"\x00\x00\x00", b'["mark","out",99,9.0]\n\x00'])
async def test_note_that_a_crash_cut_harms_no_other(desk: Desk, torn: bytes) -> None:
    await desk.put(0, b"one\n", (4, 1.0))
    (notes,) = desk.directory.rglob("*.notes")
    with notes.open("ab") as file:
        file.write(torn)
    await desk.put(4, b"two\n", (8, 2.0))
    desk.reopen()
    lines = [(line.content, line.time) async for line in desk.logbook.lines(E1)]
    assert lines == [(b"one\n", NOW + SECOND), (b"two\n", NOW + 2 * SECOND)]


@pytest.mark.parametrize("name", ["", "e-1", "../../../etc/passwd", "e-../../../../etc/x", E1 + "/..", E1.upper()])
async def test_names_that_are_no_execution_id_never_reach_the_disk(desk: Desk, name: str) -> None:
    bad = ExecutionId(name)
    with pytest.raises(ExecutionNotFoundError):
        await desk.logbook.append(bad, OUT, 0, b"x")
    with pytest.raises(ExecutionNotFoundError):
        await desk.logbook.read(bad, OUT, 0, 1)
    with pytest.raises(ExecutionNotFoundError):
        await desk.logbook.delete(bad)
    assert not desk.directory.exists()


async def test_unknown_execution_has_no_log(desk: Desk) -> None:
    with pytest.raises(ExecutionNotFoundError):
        await desk.logbook.read(execution_id(2), OUT, 0, 1)


@pytest.mark.parametrize("offset", [-1, 1 << 41])
async def test_offset_out_of_range_is_refused(desk: Desk, offset: int) -> None:
    with pytest.raises(InvalidRequestError, match="allowed: 0 to"):
        await desk.put(offset, b"x", gap=True)
    with pytest.raises(InvalidRequestError, match="allowed: 0 and above"):
        await desk.logbook.read(E1, OUT, -1, 1)


async def test_log_that_cannot_be_stored_is_an_error_with_its_path(desk: Desk) -> None:
    desk.directory.write_text("in the way")
    with pytest.raises(StorageError, match="logs"):
        await desk.put(0, b"x")
