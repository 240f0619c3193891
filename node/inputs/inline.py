"""Input source `inline`: data that the job itself carries, as a data URL (RFC 2397)."""

import asyncio
import io
import tarfile
import zlib
from pathlib import Path

from node.engines.base import Mount
from node.inputs.base import InputError
from orchestrator.contract.job import InputSource as Wanted
from orchestrator.contract.params import InlineSource as InlineParams
from orchestrator.contract.params import ParamsError, inline_source

MOST_BYTES = 1 << 30
"""What an archive may unpack to: a job is at most 10 MB, but zeros pack well."""


class InlineSource:
    """A tar.gz becomes a directory at the target; anything else one file, exactly there."""

    names: tuple[str, ...] = ("inline",)

    async def prepare(self, wanted: Wanted, directory: Path) -> Mount:
        """The data in a file or directory below `directory`."""
        try:
            params = inline_source(wanted.source)
        except ParamsError as error:
            message = f"input {wanted.target}: {error}"
            raise InputError(message) from error
        return await asyncio.to_thread(_unfold, params, wanted.target, directory)


def _unfold(params: InlineParams, target: str, directory: Path) -> Mount:
    place = directory / "content"
    try:
        directory.mkdir(parents=True)
        if params.is_archive:
            place.mkdir()
            _extract(params.content, place, target)
        else:
            place.write_bytes(params.content)
    except OSError as error:
        message = f"input {target}: cannot be written: {error.strerror}"
        raise InputError(message) from error
    return Mount(source=place, target=target)


def _extract(content: bytes, place: Path, target: str) -> None:
    """Unpack a tar.gz. Refused whole: names and links that lead outside, devices, more than `MOST_BYTES`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            total = 0
            for member in archive:
                total += member.size
                if total > MOST_BYTES:
                    message = f"input {target}: its archive unpacks to more than {MOST_BYTES} bytes"
                    raise InputError(message)
                archive.extract(member, place, set_attrs=True, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        message = f"input {target}: its archive cannot be unpacked: {error}"
        raise InputError(message) from error
    except OSError as error:
        message = f"input {target}: its archive cannot be unpacked: {error}"
        raise InputError(message) from error
