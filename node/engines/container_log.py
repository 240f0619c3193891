"""A container's output, copied into an execution's files: each byte once, whoever copied before."""

from pathlib import Path
from typing import BinaryIO

import aiodocker
import aiohttp

STDOUT, STDERR = 1, 2
HEADER = 8
"""Bytes before each frame: the stream's number, three zeros, the length."""


async def copy_log(docker: aiodocker.Docker, container: str, stdout: Path, stderr: Path, *, is_followed: bool) -> None:
    """Append what the files do not hold yet; with `is_followed` go on until the container ends.

    The engine tells everything from the beginning, so what a file holds already is the length to leave out. Raises what
    aiodocker and aiohttp raise, and asyncio.IncompleteReadError for an answer that breaks off.
    """
    params = {"stdout": 1, "stderr": 1, "follow": int(is_followed)}
    path = f"containers/{container}/logs"
    with stdout.open("ab", buffering=0) as out, stderr.open("ab", buffering=0) as err:
        files: dict[int, BinaryIO] = {STDOUT: out, STDERR: err}
        left_out = {number: file.tell() for number, file in files.items()}
        query = docker._query(path, params=params, timeout=aiohttp.ClientTimeout())  # noqa: SLF001 (the public call decodes)
        async with query as response:
            while (header := await _exactly(response.content, HEADER)) is not None:
                frame = await response.content.readexactly(int.from_bytes(header[4:]))
                known = min(left_out[header[0]], len(frame))
                left_out[header[0]] -= known
                files[header[0]].write(frame[known:])


async def _exactly(stream: aiohttp.StreamReader, size: int) -> bytes | None:
    """So many bytes, or None at the end."""
    first = await stream.read(size)
    return None if not first else first + await stream.readexactly(size - len(first))
