"""Results kept by the orchestrator: whole or not at all, safe to unpack, read back by range."""

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.contract.ids import ExecutionId
from orchestrator.errors import ExecutionNotFoundError, InvalidRequestError, ResultRefusedError, StorageError
from orchestrator.results import Results
from tests.helpers.records import execution_id

E1 = execution_id(1)


@pytest.fixture
async def results(tmp_path: Path) -> Results:
    return await Results.open(tmp_path / "results", 100_000)


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = link
    member.size = len(content)
    return member, content


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member, content in entries:
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


WHOLE = archive(
    entry("partition-3", tarfile.DIRTYPE),
    entry("partition-3/stdout", content=b"hello\n"),
    entry("partition-3/stderr"),
    entry("partition-3/exitCode", content=b"0"),
    entry("partition-3/outputs", tarfile.DIRTYPE),
    entry("partition-3/outputs/a..b", content=bytes(1000)),
    entry("partition-3/outputs/again", tarfile.LNKTYPE, "partition-3/outputs/a..b"),
    entry("partition-3/outputs/latest", tarfile.SYMTYPE, "a..b"),
    entry("partition-3/outputs/up", tarfile.SYMTYPE, "../stdout"),
)


async def pieces(content: bytes, size: int = 100) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


async def whole(results: Results, begin: int = 0, end: int | None = None) -> bytes | None:
    found = await results.get(E1, begin, end)
    return None if found is None else b"".join([piece async for piece in found.content])


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def test_archive_comes_back_whole_and_by_range(results: Results) -> None:
    assert await results.keep(E1, 3, pieces(WHOLE)) == len(WHOLE)
    assert await whole(results) == WHOLE
    assert await whole(results, 10, 20) == WHOLE[10:20]
    assert await whole(results, len(WHOLE) - 5, 10**9) == WHOLE[-5:]
    found = await results.get(E1, 5, 7)
    assert found is not None
    assert (found.size, found.begin, found.end) == (len(WHOLE), 5, 7)
    with pytest.raises(InvalidRequestError, match="allowed: 0 to"):
        await results.get(E1, len(WHOLE) + 1)


async def test_unknown_execution_has_none(results: Results) -> None:
    assert await results.get(execution_id(2)) is None
    await results.delete(execution_id(2))


async def test_second_upload_of_an_execution_changes_nothing_and_is_not_read(results: Results) -> None:
    await results.keep(E1, 3, pieces(WHOLE))

    async def unread() -> AsyncIterator[bytes]:
        pytest.fail("was read")
        yield b""

    assert await results.keep(E1, 3, unread()) == len(WHOLE)
    assert await whole(results) == WHOLE


async def test_upload_that_breaks_off_leaves_nothing_and_may_be_repeated(results: Results, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield WHOLE[:50]
        raise EOFError

    with pytest.raises(EOFError):
        await results.keep(E1, 3, broken())
    assert files_below(tmp_path) == []
    assert await results.get(E1) is None
    await results.keep(E1, 3, pieces(WHOLE))
    assert await whole(results) == WHOLE


async def test_half_uploads_of_a_killed_process_are_removed_at_start(results: Results, tmp_path: Path) -> None:
    await results.keep(E1, 3, pieces(WHOLE))
    (kept,) = files_below(tmp_path)
    kept.with_name(kept.name + ".1.part").write_bytes(b"half")
    again = await Results.open(tmp_path / "results", 100_000)
    assert files_below(tmp_path) == [kept]
    assert await whole(again) == WHOLE


async def test_deleted_archive_is_gone(results: Results) -> None:
    await results.keep(E1, 3, pieces(WHOLE))
    await results.delete(E1)
    assert await results.get(E1) is None


async def test_too_large_archive_is_refused_before_it_is_all_there(tmp_path: Path) -> None:
    results = await Results.open(tmp_path, 1_000)
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 300
            yield bytes(300)

    with pytest.raises(ResultRefusedError, match="allowed: 1000"):
        await results.keep(E1, 0, endless())
    assert given == 1_200
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("said", "member"),
    [
        ("not inside", entry("/etc/passwd")),
        ("not inside", entry("../evil")),
        ("not inside", entry("partition-3/../evil")),
        ("not inside", entry("partition-3/out/../../partition-4/x")),
        ("not inside", entry("partition-4/stdout")),
        ("not inside", entry("partition-3/./x")),
        ("not inside", entry("stdout")),
        ("outside", entry("partition-3/link", tarfile.SYMTYPE, "/etc")),
        ("outside", entry("partition-3/link", tarfile.SYMTYPE, "../..")),
        ("outside", entry("partition-3/link", tarfile.SYMTYPE, "../partition-4")),
        ("outside", entry("partition-3/link", tarfile.SYMTYPE, "up/../partition-4")),
        ("no file before it", entry("partition-3/link", tarfile.LNKTYPE, "/etc/passwd")),
        ("no file before it", entry("partition-3/link", tarfile.LNKTYPE, "partition-3/later")),
        ("below", entry("partition-3/up/evil")),
        ("below", entry("partition-3/file/evil")),
        ("twice", entry("partition-3/file", tarfile.SYMTYPE, "up")),
        ("twice", entry("partition-3/deep", tarfile.SYMTYPE, "up")),
        ("neither", entry("partition-3/dev", tarfile.CHRTYPE)),
        ("neither", entry("partition-3/pipe", tarfile.FIFOTYPE)),
    ],
)
async def test_unsafe_member_is_refused_by_name(
    results: Results, tmp_path: Path, said: str, member: tuple[tarfile.TarInfo, bytes]
) -> None:
    packed = archive(
        entry("partition-3/file"),
        entry("partition-3/deep/file"),
        entry("partition-3/up", tarfile.SYMTYPE, "."),
        member,
    )
    with pytest.raises(ResultRefusedError) as refused:
        await results.keep(E1, 3, pieces(packed))
    assert said in str(refused.value)
    assert repr(member[0].name) in str(refused.value)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no archive at all",
        gzip.compress(b"no tar inside"),
        WHOLE[:-1],
        WHOLE[:-9],
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:-8] + bytes(8),
        gzip.compress(gzip.decompress(WHOLE) + b"more"),
    ],
    ids=["empty", "text", "no-tar", "one-byte-less", "no-end", "half", "wrong-sum", "more"],
)
async def test_damaged_archive_is_refused(results: Results, tmp_path: Path, damaged: bytes) -> None:
    with pytest.raises(ResultRefusedError):
        await results.keep(E1, 3, pieces(damaged))
    assert files_below(tmp_path) == []


async def test_archive_that_unpacks_to_far_too_much_is_refused(results: Results) -> None:
    bomb = archive(*(entry(f"partition-3/{n}", content=bytes(1_000_000)) for n in range(3)))
    assert len(bomb) < 100_000
    with pytest.raises(ResultRefusedError, match="unpack to more than 2000000 bytes"):
        await results.keep(E1, 3, pieces(bomb))


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
async def test_name_that_would_fill_the_memory_is_refused_before_it_is_there(results: Results, format_: int) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=format_) as tar:
        tar.addfile(tarfile.TarInfo("partition-3/" + "long" * 5_000_000))
    tracemalloc.start()
    with pytest.raises(ResultRefusedError, match="more than 1048576 bytes of headers"):
        await results.keep(E1, 3, pieces(packed.getvalue(), 100_000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20


async def test_more_names_than_memory_is_for_are_refused(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.results.NAMES", 1 << 20)
    names = (f"partition-3/{n}/" + "/".join("d" * 40) for n in range(1000))
    many = archive(*(entry(name, tarfile.DIRTYPE) for name in names))
    with pytest.raises(ResultRefusedError, match=r"partition-3/\d+/.* is one too many: the names before it take 1 MiB"):
        await results.keep(E1, 3, pieces(many))


@pytest.mark.parametrize("name", ["", "e-1", "../../etc/passwd", "e-../../../../etc/passwd", E1 + "/x", E1 + "\n"])
async def test_names_that_are_no_execution_id_never_reach_the_disk(results: Results, tmp_path: Path, name: str) -> None:
    bad = ExecutionId(name)
    with pytest.raises(ExecutionNotFoundError):
        await results.keep(bad, 3, pieces(WHOLE))
    with pytest.raises(ExecutionNotFoundError):
        await results.get(bad)
    with pytest.raises(ExecutionNotFoundError):
        await results.delete(bad)
    assert files_below(tmp_path) == []


async def test_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        await Results.open(tmp_path / "file" / "results", 1)
