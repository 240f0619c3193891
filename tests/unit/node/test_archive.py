"""The archive of results: what it holds, and what the orchestrator will take."""

import asyncio
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.publishers.archive import stays_inside, write_archive
from node.publishers.base import Results as Left
from orchestrator.contract.ids import ExecutionId
from orchestrator.results import Results

EXECUTION = ExecutionId("e-00000000-0000-4000-8000-000000000001")


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("b", True),
        ("deep/b", True),
        ("../b", True),
        ("../../b", False),
        ("/usr/bin/python3", False),
        ("deep/../../b", False),
        ("..", True),
    ],
)
def test_only_links_that_stay_inside_are_kept(target: str, *, inside: bool) -> None:
    assert stays_inside("partition-0/out/a", target) is inside


def test_the_orchestrator_takes_what_a_program_left_whatever_its_links(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "deep").mkdir(parents=True)
    (out / "file").write_text("kept")
    (out / "deep" / "up").symlink_to("../file")
    (out / "python").symlink_to("/usr/bin/python3")
    (out / "away").symlink_to("../../../../etc/passwd")
    os.mkfifo(out / "pipe")
    for name in ("stdout", "stderr"):
        (tmp_path / name).write_text(name)
    archive = tmp_path / "results.tar.gz"
    left = Left(
        execution_id=EXECUTION,
        index=0,
        exit_code=0,
        stdout=tmp_path / "stdout",
        stderr=tmp_path / "stderr",
        outputs=(("out", out),),
        directory=tmp_path,
    )
    write_archive(left, archive)
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
    assert {"partition-0/out/file", "partition-0/out/deep/up", "partition-0/exitCode"} <= names
    assert not {"partition-0/out/python", "partition-0/out/away", "partition-0/out/pipe"} & names

    async def chunks() -> AsyncIterator[bytes]:
        yield archive.read_bytes()

    async def keep() -> int:
        return await (await Results.open(tmp_path / "kept", 1 << 20)).keep(EXECUTION, 0, chunks())

    assert asyncio.run(keep()) == archive.stat().st_size
