"""Unpacks an archive of results so that nothing lands outside its own directory."""

import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath


class UnpackError(Exception):
    """The archive is damaged, or holds what it must not."""


def unpack(archive: Path, name: str, target: Path, scratch: Path) -> list[tuple[str, int]]:
    """Put the archive's directory `name` into `target`, in place of a former one; returns its files and their sizes.

    Paths are relative to that directory; of a name that is no UTF-8, bytes are told in hexadecimal. Links stay inside it;
    devices, absolute paths and `..` are refused. What cannot be unpacked whole is not there at all.
    Raises UnpackError, OSError. `scratch` is on the same disk as `target`.
    """
    draft = scratch / "unpacked"
    draft.mkdir()
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                if parts[:1] != (name,) or ".." in parts:
                    message = f"it holds {member.name!r}, allowed: only what is below {name}/"
                    raise UnpackError(message)
                tar.extract(member, draft, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UnpackError(str(error)) from error
    found = draft / name
    found.mkdir(exist_ok=True)
    files = sorted(
        (_text(path.relative_to(found)), path.stat().st_size)
        for path in found.rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    place = target / name
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    found.rename(place)
    return files


def _text(path: Path) -> str:
    """A path as text that can be written: programs may give files any bytes as names."""
    return path.as_posix().encode(errors="surrogateescape").decode(errors="backslashreplace")
