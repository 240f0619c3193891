"""The archive of one execution's results: `partition-{i}/{stdout,stderr,exitCode,<result name>/...}` as tar.gz."""

import io
import os
import stat
import tarfile
from pathlib import Path, PurePosixPath

import structlog

from node.publishers.base import Results

SPOOL = 1 << 20

log = structlog.get_logger()


def write_archive(results: Results, archive: Path) -> None:
    """Write it to the file `archive`. Blocks.

    Symbolic links are kept as links, never followed; those that lead out of the results are left out, because they mean nothing
    elsewhere, and so are pipes, sockets and devices. Raises OSError.
    """
    root = f"partition-{results.index}"
    with tarfile.open(archive, "w:gz", compresslevel=1, format=tarfile.PAX_FORMAT, bufsize=SPOOL) as tar:
        tar.addfile(_entry(root, tarfile.DIRTYPE, 0o755))
        for name, path in (("stdout", results.stdout), ("stderr", results.stderr)):
            _add_file(tar, path, f"{root}/{name}")
        code = str(results.exit_code).encode()
        entry = _entry(f"{root}/exitCode", tarfile.REGTYPE, 0o644)
        entry.size = len(code)
        tar.addfile(entry, io.BytesIO(code))
        for name, directory in results.outputs:
            _add_tree(tar, directory, f"{root}/{name}")


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = mode
    return entry


def _add_file(tar: tarfile.TarFile, path: Path, name: str) -> None:
    """Add a regular file as long as it is now; one that is not there as empty."""
    entry = _entry(name, tarfile.REGTYPE, 0o644)
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        tar.addfile(entry)
        return
    with os.fdopen(file, "rb") as content:
        status = os.fstat(file)
        entry.size = status.st_size
        entry.mode = stat.S_IMODE(status.st_mode) & 0o777
        entry.mtime = int(status.st_mtime)
        tar.addfile(entry, content)


def _add_tree(tar: tarfile.TarFile, directory: Path, name: str) -> None:
    """Add a directory with all that is in it. Not recursive: a program may nest deeper than Python does."""
    waiting = [(directory, name)]
    while waiting:
        path, name = waiting.pop()
        tar.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
        if path.is_symlink() or not path.is_dir():
            continue
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda one: one.name)
        for one in entries:
            inside = f"{name}/{one.name}"
            if one.is_symlink():
                link = _entry(inside, tarfile.SYMTYPE, 0o777)
                link.linkname = str(Path(one.path).readlink())
                if stays_inside(inside, link.linkname):
                    tar.addfile(link)
                else:
                    log.warning("link_left_out", path=one.path, target=link.linkname)
            elif one.is_dir(follow_symlinks=False):
                waiting.append((Path(one.path), inside))
            elif one.is_file(follow_symlinks=False):
                _add_file(tar, Path(one.path), inside)


def stays_inside(name: str, target: str) -> bool:
    """Whether a link `name` stays inside the archive wherever that is unpacked: it goes up only first, and not too far."""
    steps = PurePosixPath(target).parts
    up = next((number for number, step in enumerate(steps) if step != ".."), len(steps))
    depth = len(PurePosixPath(name).parent.parts)
    return not target.startswith("/") and ".." not in steps[up:] and up < depth
