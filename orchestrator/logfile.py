"""One execution's log on disk: a file a stream, in which a byte lies at its own offset of the stream, and one of notes.

A cut leaves a hole in the file. The notes, a JSON line each, say when bytes were seen and where holes are. A note is
written before the bytes it is about, so that a crash never makes a hole look like a log.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestrator.contract.agent import LogMark, Stream


class Mark(msgspec.Struct, frozen=True, array_like=True, tag="mark"):
    """All bytes of the stream below `offset` had been seen `at` seconds after the engine's start."""

    stream: Stream
    offset: int
    at: float


class Hole(msgspec.Struct, frozen=True, array_like=True, tag="hole"):
    """The bytes from `begin` up to `end` were cut."""

    stream: Stream
    begin: int
    end: int


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Mark | Hole)


class LogFile:
    """The files of one execution's log. All methods block, and raise OSError; one at a time appends."""

    def __init__(self, stem: Path) -> None:
        self._stem = stem

    def append(self, stream: Stream, offset: int, content: bytes, marks: Sequence[LogMark], *, is_gap: bool) -> int:
        """Write `content` at `offset`, synced to the disk; returns the stream's size.

        Bytes that are there are written again. Beyond the end without `is_gap` nothing is written: the size tells
        where to go on.
        """
        size = self.size(stream)
        if offset > size and not is_gap:
            return size
        notes: list[Mark | Hole] = [Mark(stream, mark.offset, mark.at) for mark in marks]
        if offset > size:
            notes.insert(0, Hole(stream, size, offset))
        if notes:
            self._note(notes)
        if content:
            self._write(self._path(stream), content, offset)
        return max(size, offset + len(content)) if content else size

    def size(self, stream: Stream) -> int:
        """Where the stream's next byte belongs, as far as it is stored."""
        try:
            return self._path(stream).stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, stream: Stream, begin: int, end: int) -> bytes:
        """The bytes from `begin` up to `end`, or to where the file ends."""
        try:
            with self._path(stream).open("rb") as file:
                file.seek(begin)
                return file.read(end - begin)
        except FileNotFoundError:
            return b""

    def notes(self, position: int) -> tuple[list[Mark | Hole], int]:
        """The notes from `position` of their file on, and the position of the next one."""
        try:
            with self._path("notes").open("rb") as file:
                file.seek(position)
                raw = file.read()
        except FileNotFoundError:
            return [], 0
        whole = raw[: raw.rfind(b"\n") + 1]
        notes = []
        for line in whole.splitlines():
            with suppress(msgspec.DecodeError):  # after a power cut anything may follow what was synced
                notes.append(DECODER.decode(line))
        return notes, position + len(whole)

    def delete(self) -> None:
        """Remove all of it; nothing there is fine."""
        for name in (*Stream, "notes"):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{name}")

    def _note(self, notes: Iterable[Mark | Hole]) -> None:
        path = self._path("notes")
        content = b"".join(ENCODER.encode(note) + b"\n" for note in notes)
        self._write(path, content, self._end_of_notes(path))

    def _end_of_notes(self, path: Path) -> int:
        """Where the next note belongs: over one that a crash cut in the middle."""
        try:
            with path.open("rb") as file:
                begin = max(0, path.stat().st_size - 1024)
                file.seek(begin)
                return begin + file.read().rfind(b"\n") + 1
        except FileNotFoundError:
            return 0

    def _write(self, path: Path, content: bytes, offset: int) -> None:
        try:
            file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            is_new = False
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            is_new = True
        try:
            rest = memoryview(content)
            while rest:
                written = os.pwrite(file, rest, offset)
                rest = rest[written:]
                offset += written
            os.fdatasync(file)
        finally:
            os.close(file)
        if is_new:
            for folder in (path.parent, path.parent.parent):
                sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make names that were made or changed in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
