"""What programs of the process engine see, and cannot do, inside bubblewrap; and what the engine does without it."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.engines import cgroup, process, still
from node.engines.base import EngineError, Mount
from node.engines.bubblewrap import read_status
from node.engines.process import ProcessEngine
from orchestrator.contract.execution import Cause
from orchestrator.contract.job import NetworkConfig, Port
from tests.helpers.engines import Bench, processes, until
from tests.helpers.mounts import changing, containers, mounted, shared
from tests.helpers.processes import free_port

pytestmark = pytest.mark.xdist_group("engines")
__all__ = ["containers", "shared"]

TRIES = 150
"""Sandboxes made while mounts change; without precaution one in ten fails."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench("bubblewrap", tmp_path)
    await bench.engine()
    yield bench
    await bench.close()


async def output(bench: Bench, script: str, **launch: object) -> list[str]:
    """The lines that a script prints, both streams."""
    begun = bench.launch(f"exec 2>&1\n{script}", **launch)  # type: ignore[arg-type]
    assert (await bench.run(begun)).cause is None, begun.stdout.read_text() + begun.stderr.read_text()
    return begun.stdout.read_text().splitlines()


async def test_machine_is_seen_but_cannot_be_changed(bench: Bench) -> None:
    script = "for d in / /usr /etc /var /home; do touch $d/new 2>/dev/null && echo $d; done; test -x /usr/bin/env && echo usr"
    assert await output(bench, script) == ["usr"]


async def test_run_and_foreign_temporary_files_are_hidden(bench: Bench) -> None:
    assert await output(bench, "ls -A /run /tmp 2>/dev/null | grep -v :; echo; touch /tmp/mine && ls /tmp") == [
        "",
        "mine",
    ]


async def test_agents_data_directory_is_hidden_wherever_it_is() -> None:
    home = Path("/var/tmp") / f"shoal-test-{os.getpid()}"
    home.mkdir()
    try:
        (home / "secret").write_text("x")
        bench = Bench("bubblewrap", home)
        (home / "in").mkdir()
        (home / "in" / "data").write_text("input\n")
        inputs = (Mount(source=home / "in", target="/in"),)
        assert await output(bench, f"ls -A {home}; cat /in/data", inputs=inputs) == ["input"]
        await bench.close()
    finally:
        await asyncio.to_thread(shutil.rmtree, home)


async def test_mounts_of_containers_are_not_in_the_sandbox(
    bench: Bench, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shared / "with blank"
    place.mkdir()
    with mounted(place):
        (place / "content").touch()
        assert await output(bench, f"ls '{place}'") == ["content"]
        monkeypatch.setattr(still, "CONTAINERS", (bytes(shared),))
        assert await output(bench, f"ls -A {shared}/*") == []
        assert place.is_mount()


async def test_sandboxes_are_made_while_mounts_come_and_go(bench: Bench, shared: Path) -> None:
    with changing(shared):
        for _ in range(TRIES):
            outcome = await bench.run(bench.launch())
            assert outcome.cause is None, outcome.message


async def test_sandboxes_are_made_while_containers_mounts_go_with_their_directories(
    bench: Bench, containers: Path
) -> None:
    with changing(containers, is_removed=True):
        for _ in range(TRIES):
            outcome = await bench.run(bench.launch())
            assert outcome.cause is None, outcome.message


async def test_what_the_machine_mounts_is_in_the_next_sandbox_and_then_free_again(bench: Bench, shared: Path) -> None:
    place = shared / "late"
    place.mkdir()
    with mounted(place):
        (place / "content").touch()
        assert await output(bench, f"ls {place}") == ["content"]
    threads = Path("/proc/self/task").glob("*/ns/mnt")  # noqa: ASYNC240
    assert {place.readlink() for place in threads} == {Path("/proc/self/ns/mnt").readlink()}  # noqa: ASYNC240
    assert await output(bench, f"ls {place}") == []


async def test_only_its_own_processes_are_seen(bench: Bench) -> None:
    assert len(await output(bench, "for p in /proc/[0-9]*; do echo $p; done")) <= 3


async def test_no_network_unless_it_is_asked_for(bench: Bench) -> None:
    script = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"
    assert await output(bench, script, network=NetworkConfig(type="None")) == ["lo"]
    assert await output(bench, script, network=NetworkConfig(type="Default")) == ["lo"]
    own = sorted(entry.name for entry in Path("/sys/class/net").iterdir())  # noqa: ASYNC240
    assert sorted(await output(bench, script, network=NetworkConfig(type="Host"))) == own


async def test_ports_of_the_host_network_are_told(bench: Bench) -> None:
    ports = (Port(name="api"), Port(name="fixed", static=free_port()))
    lines = await output(bench, "env | grep _PORT_ | sort", network=NetworkConfig(type="Host", ports=ports))
    found = dict(line.split("=") for line in lines)
    assert 20_000 <= int(found["BACALHAU_HOST_PORT_api"]) <= 32_000
    assert found["BACALHAU_HOST_PORT_fixed"] == found["BACALHAU_PORT_fixed"] == str(ports[1].static)


async def test_root_inside_may_not_mount(bench: Bench) -> None:
    lines = await output(
        bench, "mount -o remount,rw /usr >/dev/null 2>&1; echo $?; touch /usr/new 2>/dev/null; echo $?"
    )
    assert "0" not in lines


@pytest.mark.parametrize("target", ["/inputs", "/mnt/a/b", "/usr/share/made/here", "/tmp/in", "/etc/made"])
async def test_input_is_seen_at_any_target(bench: Bench, tmp_path: Path, target: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data").write_text("hello\n")
    mounts = (
        Mount(source=tmp_path / "in", target=target),
        Mount(source=tmp_path / "in" / "data", target=f"{target}.file"),
    )
    script = f"cat {target}/data {target}.file; test -x /usr/bin/env && test -e /etc/passwd && echo whole"
    assert await output(bench, script, inputs=mounts) == ["hello", "hello", "whole"]


async def test_program_may_be_an_input(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho tool $1\n")
    launch = bench.launch(argv=["/tools/tool", "x"], inputs=(Mount(source=tmp_path / "tool", target="/tools/tool"),))
    with pytest.raises(EngineError, match="not an executable file"):
        await bench.engines[0].start(launch)
    (tmp_path / "tool").chmod(0o755)
    launch = bench.launch(argv=["/tools/tool", "x"], inputs=launch.inputs)
    assert (await bench.run(launch)).cause is None
    assert launch.stdout.read_text() == "tool x\n"


async def test_program_without_its_interpreter_is_told_as_not_startable(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/no/such/interpreter\n")
    (tmp_path / "tool").chmod(0o755)
    outcome = await bench.run(bench.launch(argv=["/tool"], inputs=(Mount(source=tmp_path / "tool", target="/tool"),)))
    assert (outcome.exit_code, outcome.cause) == (126, Cause.EXIT)
    assert "/tool" in outcome.message


async def test_missing_working_directory_is_named(bench: Bench) -> None:
    with pytest.raises(EngineError, match="WorkingDirectory /no/such: no such directory") as raised:
        await bench.engines[0].start(bench.launch(params={"WorkingDirectory": "/no/such"}))
    assert (raised.value.cause, raised.value.exit_code) == (Cause.EXIT, 126)


async def test_status_file_cut_short_tells_what_is_whole(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text('{ "child-pid": 7, "mnt-namespace": 1 }\n{ "exit-co')
    assert (read_status(tmp_path).child_pid, read_status(tmp_path).exit_code) == (7, None)
    assert read_status(tmp_path / "none").child_pid is None


async def test_killed_monitor_is_lost_and_its_program_does_not_go_on(bench: Bench) -> None:
    nap = "1234.567890123"
    launch = bench.launch(f"sleep {nap}; true")
    handle = await bench.started_by_a_dead_agent(launch, lambda: len(processes("sleep", nap)) == 1)
    os.kill(int(handle.facts["pid"]), signal.SIGKILL)
    engine = await bench.engine()
    await until(lambda: not processes("bwrap", nap))
    assert await engine.adopt(launch, handle) is None
    assert processes("sleep", nap) == []


@pytest.mark.parametrize("kind", ["bare", "bubblewrap"])
async def test_memory_is_watched_where_the_kernel_does_not(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SAMPLE", 0.1)
    monkeypatch.setattr(cgroup, "parent", lambda _: None)
    bench = Bench(kind, tmp_path)
    script = "head -c 300000000 /dev/zero | tr '\\0' x | sort -S 500M > /dev/null; sleep 30"
    launch = bench.launch(script, memory=64 * 2**20)
    outcome = await bench.run(launch)
    assert (outcome.cause, outcome.message) == (Cause.OOM, "memory limit exceeded")
    await bench.close()


async def test_another_boot_or_a_reused_pid_is_not_taken_for_it(tmp_path: Path) -> None:
    bench = Bench("bare", tmp_path)
    engine = await bench.engine()
    assert isinstance(engine, ProcessEngine)
    launch = bench.launch("sleep 30")
    handle = await engine.start(launch)
    for wrong in ({"boot": "another"}, {"started": "1"}):
        other = type(handle)(facts=handle.facts | wrong | {"pid": str(os.getpid())})
        assert await engine.adopt(bench.launch(), other) is None
    await engine.stop(launch, handle, 0)
    assert (await engine.wait(launch, handle)).cause is Cause.SIGNAL
    await bench.close()


@pytest.mark.parametrize("kind", ["bare", "bubblewrap"])
async def test_no_memory_group_is_left(kind: str, tmp_path: Path) -> None:
    bench = Bench(kind, tmp_path)
    engine = await bench.engine()
    assert isinstance(engine, ProcessEngine)
    if engine._groups is None:
        pytest.skip("no memory cgroups here")
    groups = engine._groups
    launch = bench.launch("echo begun; sleep 1000", memory=2**27)
    handle = await bench.started_by_a_dead_agent(launch, lambda: any(groups.glob(f"*-{launch.execution_id}")))
    assert await engine.adopt(launch, handle) is not None
    await engine.stop(launch, handle, 0)
    await engine.wait(launch, handle)
    (group,) = groups.glob(f"*-{launch.execution_id}")
    await engine.remove_strangers(bench.owner, frozenset)
    assert not group.exists()
    await bench.close()
