"""Results kept by the orchestrator: one archive an execution, `partition-{i}/{stdout,stderr,exitCode,<name>/...}` as tar.gz.

An archive is taken whole or not at all, and looked through first: unpacking it never writes outside its own directory.
"""

import asyncio
import gzip
import os
import posixpath
import tarfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import IO, Self
from uuid import uuid4

import msgspec

from orchestrator.contract.ids import ExecutionId, is_execution_id
from orchestrator.errors import (
    ExecutionNotFoundError,
    InvalidRequestError,
    ResultRefusedError,
    StorageError,
    storage_errors,
)

PIECE = 256 << 10
"""Bytes of a download at a time."""
UNPACKED_FACTOR = 20
"""An archive may unpack to so many times the size that an archive may have."""
HEADERS = 1 << 20
"""Bytes between two members of an archive: tarfile takes long names and other headers into memory, whatever size they say."""
NAMES = 256 << 20
"""Bytes of memory for the names in one archive, while it is looked through."""
A_NAME = 100
"""Bytes that a name takes besides its letters."""


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """One kept archive, or a range of it."""

    size: int
    """Bytes of the whole archive."""
    begin: int
    end: int
    """`content` has the bytes from `begin` up to `end`."""
    content: AsyncIterator[bytes]


class Results:
    """All archives, below one directory. Made by `open`."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes

    @classmethod
    async def open(cls, directory: Path, max_bytes: int) -> Self:
        """Keep archives of at most `max_bytes` bytes in `directory`; uploads that a former process left half are removed.

        Raises StorageError.
        """
        results = cls(directory, max_bytes)
        with storage_errors(results._directory):
            await asyncio.to_thread(results._prepare)
        return results

    async def keep(self, execution_id: ExecutionId, index: int, content: AsyncIterator[bytes]) -> int:
        """Keep the archive of an execution of partition `index`; durable when this returns. Returns its size.

        Where the execution has one already, that one stays and `content` is not read. Raises ResultRefusedError for an
        archive that is too large, damaged or unsafe, and StorageError; then nothing is kept.
        """
        path = self._path(execution_id)
        with storage_errors(self._directory):
            if kept := await asyncio.to_thread(_size, path):
                return kept
            draft = path.with_name(f"{path.name}.{uuid4()}.part")
            try:
                size = await self._receive(draft, content)
                await asyncio.to_thread(_inspect, draft, f"partition-{index}", self._max_bytes * UNPACKED_FACTOR)
                await asyncio.to_thread(_replace, draft, path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        return size

    async def get(self, execution_id: ExecutionId, begin: int = 0, end: int | None = None) -> Archive | None:
        """The archive of an execution, or its bytes from `begin` up to `end`; None = there is none.

        Raises InvalidRequestError for a range that begins behind the end, and StorageError. The file is opened when the
        first piece is asked for, and closed with the last one or by `aclose`.
        """
        path = self._path(execution_id)
        with storage_errors(self._directory):
            size = await asyncio.to_thread(_size, path)
        if size is None:
            return None
        end = size if end is None else min(end, size)
        if not 0 <= begin <= end:
            message = f"range of results: found {begin} to {end}, allowed: 0 to {size}"
            raise InvalidRequestError(message)
        return Archive(size=size, begin=begin, end=end, content=self._pieces(path, begin, end))

    async def delete(self, execution_id: ExecutionId) -> None:
        """Remove an execution's archive; none there is fine. Raises StorageError."""
        path = self._path(execution_id)
        with storage_errors(self._directory):
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _receive(self, draft: Path, content: AsyncIterator[bytes]) -> int:
        file = await asyncio.to_thread(_create, draft)
        size = 0
        try:
            async for piece in content:
                size += len(piece)
                if size > self._max_bytes:
                    message = f"results: found more than {self._max_bytes} bytes, allowed: {self._max_bytes}"
                    raise ResultRefusedError(
                        message, hint="write less to the result paths, or publish to an object store"
                    )
                await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(_sync, file)
        finally:
            file.close()
        return size

    async def _pieces(self, path: Path, begin: int, end: int) -> AsyncIterator[bytes]:
        with storage_errors(self._directory):
            file = await asyncio.to_thread(path.open, "rb")
            try:
                await asyncio.to_thread(file.seek, begin)
                while begin < end:
                    piece = await asyncio.to_thread(file.read, min(PIECE, end - begin))
                    if not piece:
                        raise StorageError(str(path), f"ends at {begin} bytes, {end} were there")
                    begin += len(piece)
                    yield piece
            finally:
                file.close()

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for rest in self._directory.glob("*/*.part"):
            rest.unlink()

    def _path(self, execution_id: ExecutionId) -> Path:
        if not is_execution_id(execution_id):
            raise ExecutionNotFoundError(execution_id)
        return self._directory / execution_id[2:4] / f"{execution_id}.tar.gz"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _create(draft: Path) -> IO[bytes]:
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")  # noqa: PTH123 - the mode


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _replace(draft: Path, path: Path) -> None:
    draft.replace(path)
    for folder in (path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _inspect(archive: Path, root: str, max_unpacked: int) -> None:
    """Read the archive to its last byte; raises ResultRefusedError for the first thing that is wrong with it."""
    unpacked = 0
    inspector = _Inspector(root)
    try:
        with _Content(archive) as content, tarfile.open(fileobj=content, mode="r|") as tar:
            while (member := tar.next()) is not None:
                vars(tar)["members"] = []  # else it keeps them all
                unpacked += member.size
                if unpacked > max_unpacked:
                    message = f"results: unpack to more than {max_unpacked} bytes, allowed: {max_unpacked}"
                    raise ResultRefusedError(message)
                if problem := inspector.problem(member):
                    message = f"results: member {member.name[:200]!r} {problem}"
                    raise ResultRefusedError(message)
                content.left = member.size + HEADERS
            content.left = max_unpacked
            while rest := content.read(PIECE):
                unpacked += len(rest)
                if unpacked > max_unpacked or rest.strip(b"\0"):
                    message = "results: there is something behind the end of the archive"
                    raise ResultRefusedError(message)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, UnicodeError, ValueError) as error:
        message = f"results: no whole tar.gz archive: {error}"
        raise ResultRefusedError(message) from error


class _Content(gzip.GzipFile):
    """What is packed, of which no more can be read than is granted. Raises ReadError."""

    left = HEADERS

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes."""
        found = super().read(size)
        self.left -= len(found)
        if self.left < 0:
            message = f"more than {HEADERS} bytes of headers at one member"
            raise tarfile.ReadError(message)
        return found


class _Inspector:
    """What was seen of an archive, member by member."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._files: set[str] = set()
        self._links: set[str] = set()
        self._directories: set[str] = set()
        self._room = NAMES

    def problem(self, member: tarfile.TarInfo) -> str:
        """Why a member must not be unpacked after those before it; empty = it may.

        Nothing lies below a link, and a link goes up only at its beginning: so names mean what they say, and no chain of
        links leads out.
        """
        name = member.name.rstrip("/")
        above = [str(parent) for parent in PurePosixPath(name).parents]
        if not self._is_inside(name) or posixpath.normpath(name) != name:
            return f"is not inside {self._root}/"
        if name in self._files or name in self._links or (name in self._directories and not member.isdir()):
            return "is there twice"
        if through := next((parent for parent in above if parent in self._links or parent in self._files), ""):
            return f"lies below {through!r}, which is no directory"
        self._room -= sum(len(one) + A_NAME for one in (name, *above) if one not in self._directories)
        if self._room < 0:
            return f"is one too many: the names before it take {NAMES >> 20} MiB"
        self._directories.update(above)
        if member.issym():
            self._links.add(name)
            target = member.linkname
            parts = PurePosixPath(target).parts
            is_plain = ".." not in parts[next((i for i, part in enumerate(parts) if part != ".."), len(parts)) :]
            if not is_plain or not self._is_inside(posixpath.join(posixpath.dirname(name), target)):
                return f"is a link to {target!r}, outside {self._root}/"
        elif member.islnk():
            if member.linkname not in self._files:
                return f"is a link to {member.linkname!r}, which is no file before it"
            self._files.add(name)
        elif member.isdir():
            self._directories.add(name)
        elif member.isreg():
            self._files.add(name)
        else:
            return "is neither a file, a directory nor a link"
        return ""

    def _is_inside(self, name: str) -> bool:
        return "\0" not in name and PurePosixPath(posixpath.normpath(name)).parts[:1] == (self._root,)
