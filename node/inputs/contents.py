"""What an execution finds as its inputs: the files below its mounts, as they are before it begins."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from node.engines.base import Mount
from orchestrator.contract.agent import InputObject, Inputs

MOST_OBJECTS = 100
MOST_NAMES = 4096
"""Objects that are told one by one, and characters of their names together."""
MOST_SEEN = 1000
"""Files that are looked at: an input may be a whole disk."""


def contents(mounts: Sequence[Mount]) -> Inputs:
    """The files of all mounts by name, then how many more there are. Blocks. What cannot be read is left out."""
    objects: list[InputObject] = []
    rest = rest_size = characters = 0
    for seen, (name, size) in enumerate(_files(mounts)):
        if seen == MOST_SEEN:
            return Inputs(objects=tuple(objects), rest=rest, rest_size=rest_size, is_more=True)
        characters += len(name)
        if len(objects) < MOST_OBJECTS and characters <= MOST_NAMES:
            objects.append(InputObject(name=name, size=size))
        else:
            rest += 1
            rest_size += size
    return Inputs(objects=tuple(objects), rest=rest, rest_size=rest_size)


def _files(mounts: Sequence[Mount]) -> Iterator[tuple[str, int]]:
    for mount in mounts:
        if mount.source.is_dir():
            for directory, directories, names in os.walk(mount.source):
                directories.sort()
                place = Path(mount.target) / Path(directory).relative_to(mount.source)
                for name in sorted(names):
                    yield from _sized(Path(directory) / name, str(place / name))
        else:
            yield from _sized(mount.source, mount.target)


def _sized(path: Path, name: str) -> Iterator[tuple[str, int]]:
    try:
        size = path.stat().st_size
    except OSError:
        return
    yield name.encode(errors="replace").decode(), size
