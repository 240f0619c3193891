"""The memory groups of both versions, on directories that look like theirs; the real ones are in tests/contract."""

from pathlib import Path

import pytest

from node.engines import cgroup

OWN = {
    1: "9:name=systemd:/\n4:cpu,memory:/service/agent\n0::/\n",
    2: "0::/system.slice/agent.service\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    return tmp_path


def speak(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path, *rest: own if str(path) == "/proc/self/cgroup" else read(path, *rest)
    )


def files(directory: Path, **contents: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (directory / name.replace("__", ".")).write_text(content)


def test_first_version_makes_groups_inside_the_agents_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speak(monkeypatch, OWN[1])
    files(root / "memory/service/agent")
    assert cgroup.parent("ours") == root / "memory/service/agent/ours"


def test_first_version_in_a_container_that_does_not_see_its_own_group(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak(monkeypatch, OWN[1])
    files(root / "memory")
    assert cgroup.parent("ours") == root / "memory/ours"


def test_second_version_makes_groups_where_memory_is_handed_down(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speak(monkeypatch, OWN[2])
    files(root / "system.slice/agent.service", cgroup__subtree_control="")
    files(root / "system.slice", cgroup__subtree_control="cpu memory pids")
    found = cgroup.parent("ours")
    assert found == root / "system.slice/ours"
    assert (found / "cgroup.subtree_control").read_text() == "+memory"


@pytest.mark.parametrize("version", [1, 2])
def test_none_where_there_is_no_such_thing(root: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    speak(monkeypatch, OWN[version])
    assert cgroup.parent("ours") is None
    assert list(root.iterdir()) == []


def test_second_version_limits_memory_and_swap_and_ends_all_at_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, make = root / "e-1", Path.mkdir

    def mkdir(path: Path) -> None:
        make(path)
        for name in ("memory.max", "memory.swap.max", "memory.oom.group"):
            (path / name).touch()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    cgroup.create(group, 4096)
    found = [(group / f"memory.{name}").read_text() for name in ("max", "swap.max", "oom.group")]
    assert found == ["4096", "0", "1"]


@pytest.mark.parametrize(
    ("name", "content", "is_exceeded"),
    [
        ("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n", True),
        ("memory.events", "low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\n", False),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", True),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", False),
    ],
)
def test_kills_for_memory_are_counted(tmp_path: Path, name: str, content: str, is_exceeded: bool) -> None:  # noqa: FBT001
    (tmp_path / name).write_text(content)
    assert cgroup.has_exceeded(tmp_path) is is_exceeded


def test_group_that_is_gone_says_nothing(tmp_path: Path) -> None:
    assert cgroup.members(tmp_path / "gone") == set()
    assert cgroup.has_exceeded(tmp_path / "gone") is False
    cgroup.remove(tmp_path / "gone")
    assert cgroup.enter(tmp_path / "gone", 1) is False
