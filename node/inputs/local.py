"""Input source `local`: a path of this node, mounted as it is, if the node's allow list has it."""

import asyncio
import os
import re
from pathlib import Path

import msgspec

from node.engines.base import Mount
from node.inputs.base import InputError
from node.inputs.globs import compile_glob
from orchestrator.contract.job import InputSource as Wanted
from orchestrator.contract.params import CreateAs, ParamsError, local_source
from orchestrator.contract.params import LocalSource as LocalParams


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the allow list."""

    pattern: re.Pattern[str]
    is_writable: bool


def parse_allowed(entry: str) -> tuple[Allowed, ...]:
    """The entry `GLOB`, `GLOB:ro` or `GLOB:rw`, as written and with the symbolic links of its fixed part resolved.

    Raises InputError when it is no absolute pattern.
    """
    glob, colon, mode = entry.rpartition(":")
    if not colon or mode not in ("ro", "rw"):
        glob, mode = entry, "ro"
    if not glob.startswith("/"):
        message = f"allowed path {entry!r}: write an absolute path, which may hold *, ** and ?"
        raise InputError(message)
    fixed = re.split(r"[*?\[{\\]", glob, maxsplit=1)[0]
    directory = fixed.rpartition("/")[0] if fixed != glob else fixed
    resolved = (os.path.realpath(directory or "/").rstrip("/")) + glob[len(directory) :]
    return tuple(
        Allowed(pattern=compile_glob(one), is_writable=mode == "rw") for one in dict.fromkeys((glob, resolved))
    )


class LocalSource:
    """Gives paths that one of `allowed` matches. A symbolic link counts as what it leads to."""

    names: tuple[str, ...] = ("local", "localdirectory")

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = [one for entry in allowed for one in parse_allowed(entry)]

    async def prepare(self, wanted: Wanted, directory: Path) -> Mount:  # noqa: ARG002 - nothing is made
        """The node's own path; made first where `CreateAs` says so."""
        try:
            params = local_source(wanted.source)
        except ParamsError as error:
            message = f"input {wanted.target}: {error}"
            raise InputError(message) from error
        return await asyncio.to_thread(self._mount, wanted.target, params)

    def _mount(self, target: str, params: LocalParams) -> Mount:
        path = params.source_path
        is_writable = params.read_write
        real = os.path.realpath(path)
        for place in (path, real):
            fitting = [one for one in self._allowed if one.pattern.fullmatch(place)]
            if not fitting:
                message = f"volume {path} is not allowlisted"
                if place != path:
                    message += f": it leads to {place}"
                raise InputError(message)
            if is_writable and not any(one.is_writable for one in fitting):
                message = f"volume {path} is not granted write access"
                raise InputError(message)
        source = Path(real)
        try:
            if not source.exists():
                _create(source, path, params.create_as)
        except OSError as error:
            message = f"volume {path} cannot be had: {error.strerror}"
            raise InputError(message) from error
        return Mount(source=source, target=target, is_writable=is_writable)


def _create(source: Path, path: str, create_as: CreateAs) -> None:
    match create_as:
        case CreateAs.DIR:
            source.mkdir(parents=True)
        case CreateAs.FILE:
            source.parent.mkdir(parents=True, exist_ok=True)
            source.touch()
        case CreateAs.NO_CREATE:
            message = f"volume {path} does not exist and creation is not allowed"
            raise InputError(message)
