"""What an execution finds as inputs is told by name and size, within bounds."""

from pathlib import Path

import pytest

from node.engines.base import Mount
from node.inputs import contents as module
from node.inputs.contents import contents
from orchestrator.contract.agent import InputObject, Inputs


def test_files_are_named_as_the_program_sees_them(tmp_path: Path) -> None:
    (tmp_path / "d" / "sub").mkdir(parents=True)
    (tmp_path / "d" / "b.csv").write_bytes(b"123")
    (tmp_path / "d" / "a.csv").write_bytes(b"")
    (tmp_path / "d" / "sub" / "c").write_bytes(b"12345")
    (tmp_path / "d" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "one").write_bytes(b"1")
    mounts = [
        Mount(source=tmp_path / "d", target="/in"),
        Mount(source=tmp_path / "one", target="/conf.yaml"),
        Mount(source=tmp_path / "missing", target="/missing"),
    ]
    sizes = {"/in/a.csv": 0, "/in/b.csv": 3, "/in/sub/c": 5, "/conf.yaml": 1}
    assert contents(mounts) == Inputs(objects=tuple(InputObject(name=name, size=size) for name, size in sizes.items()))


def test_more_than_is_told_is_counted_and_more_than_is_counted_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        (tmp_path / f"{number}").write_bytes(b"x" * number)
    mounts = [Mount(source=tmp_path, target="/in")]
    monkeypatch.setattr(module, "MOST_OBJECTS", 2)
    told = contents(mounts)
    assert ([one.name for one in told.objects], told.rest, told.rest_size, told.is_more) == (
        ["/in/0", "/in/1"],
        4,
        14,
        False,
    )
    monkeypatch.setattr(module, "MOST_NAMES", 6)
    assert len(contents(mounts).objects) == 1
    monkeypatch.setattr(module, "MOST_SEEN", 3)
    told = contents(mounts)
    assert (told.rest, told.rest_size, told.is_more) == (2, 3, True)
