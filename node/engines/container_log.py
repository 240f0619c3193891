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
    aiodocker and aiohttp raise.
    """
    params = {"stdout": 1, "stderr": 1, "follow": int(is_followed)}
    path = f"containers/{container}/logs"
    with stdout.open("ab", buffering=0) as out, stderr.open("ab", buffering=0) as err:
        files: dict[int, BinaryIO] = {STDOUT: out, STDERR: err}
        left_out = {number: file.tell() for number, file in files.items()}
        query = docker._query(path, params=params, timeout=aiohttp.ClientTimeout())  # noqa: SLF001 (the public call decodes)
        async with query as response:
            try:
                rest = b""
                async for chunk in response.content.iter_any():
                    pieces, rest = _frames(rest + chunk)
                    for number, piece in pieces.items():
                        known = min(left_out[number], len(piece))
                        left_out[number] -= known
                        files[number].write(piece[known:])
            finally:
                response.close()


def _frames(content: bytes) -> tuple[dict[int, bytes], bytes]:
    """What whole frames say, joined by stream, and the beginning of the frame that is not whole yet."""
    pieces: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
    position = 0
    while len(content) >= (begin := position + HEADER):
        end = begin + int.from_bytes(content[position + 4 : begin])
        if end > len(content):
            break
        pieces[content[position]].append(content[begin:end])
        position = end
    return {number: b"".join(found) for number, found in pieces.items() if found}, content[position:]
