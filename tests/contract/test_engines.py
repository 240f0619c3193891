"""What every engine promises (node/engines/base.py), on the real ones: bare processes, bubblewrap, Docker."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from node.engines.base import EngineError, Mount
from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import NetworkConfig
from tests.helpers.engines import KINDS, Bench, processes, until

# One after the other with all tests that make containers: a mount of Docker's that goes while bubblewrap shows it ends a sandbox.
pytestmark = [pytest.mark.xdist_group("engines")]


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.docker if kind == "docker" else ()) for kind in KINDS])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(request.param, tmp_path)
    await bench.engine()
    yield bench
    await bench.close()


def naptime() -> str:
    """A duration for `sleep` that no other process of the machine has."""
    return f"{1000 + uuid.uuid4().int % 10**9 / 10**6:.6f}"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("script", "code", "cause"),
    [
        ("true", 0, None),
        ("exit 7", 7, Cause.EXIT),
        ("exit 255", 255, Cause.EXIT),
        ("sh -c 'kill -9 $$'; exit $?", 137, Cause.SIGNAL),
    ],
)
async def test_end_is_told_with_code_and_cause(bench: Bench, script: str, code: int, cause: Cause | None) -> None:
    outcome = await bench.run(bench.launch(script))
    assert (outcome.exit_code, outcome.cause) == (code, cause)


async def test_output_is_in_the_files_byte_by_byte(bench: Bench) -> None:
    launch = bench.launch(r"printf 'a\377\000b\r\n\n'; printf 'no end' >&2; printf 'nor here'")
    await bench.run(launch)
    assert launch.stdout.read_bytes() == b"a\xff\x00b\r\n\nnor here"
    assert launch.stderr.read_bytes() == b"no end"


async def test_much_output_is_complete(bench: Bench) -> None:
    launch = bench.launch("seq 1 300000; head -c 3000000 /dev/zero | tr '\\0' x >&2")
    await bench.run(launch)
    assert launch.stdout.read_text() == "".join(f"{number}\n" for number in range(1, 300_001))
    assert launch.stderr.read_bytes() == b"x" * 3_000_000


async def test_output_is_there_while_it_runs(bench: Bench) -> None:
    launch = bench.launch("echo first; sleep 30")
    engine = bench.engines[0]
    handle = await engine.start(launch)
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.wait(launch, handle))
        await until(lambda: launch.stdout.exists() and launch.stdout.read_bytes() == b"first\n")
        await engine.stop(launch, handle, 0.1)
    await engine.forget(launch, handle)


@pytest.mark.parametrize(
    ("program", "code"), [("no-such-program", 127), ("/no/such/program", 127), ("/etc/passwd", 126)]
)
async def test_program_that_cannot_be_started_is_named(bench: Bench, program: str, code: int) -> None:
    launch = bench.launch(argv=[program, "x"])
    with pytest.raises(EngineError, match=program) as raised:
        await bench.engines[0].start(launch)
    assert (raised.value.cause, raised.value.exit_code) == (Cause.EXIT, code)
    assert await bench.engines[0].adopt(launch, None) is None, "nothing is left"


async def test_network_that_the_engine_cannot_give_is_refused(bench: Bench) -> None:
    with pytest.raises(EngineError, match=r"HTTP.*allowed: Default, None, Host") as raised:
        await bench.engines[0].start(bench.launch(network=NetworkConfig(type="HTTP", domains=("example.org",))))
    assert raised.value.cause is Cause.INPUT


async def test_environment_is_what_was_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_SECRET", "must not be seen")
    values = {"A": "1", "WITH": "a=b c\nd", "EMPTY": "", "OVERRIDDEN": "by the launch"}
    params = {"EnvironmentVariables": ["OVERRIDDEN=by params", "B=2"]}
    launch = bench.launch(argv=["env"], environment=values, params=params)
    assert (await bench.run(launch)).cause is None
    expected = {
        "A=1",
        "WITH=a=b c",
        "d",
        "EMPTY=",
        "OVERRIDDEN=by params",
        "B=2",
        f"BACALHAU_EXECUTION_ID={launch.execution_id}",
    }
    lines = set(launch.stdout.read_text().splitlines())
    assert expected <= lines
    own = {"bare": {"PATH", "HOME", "LANG", "SHOAL_OWNER"}, "bubblewrap": {"PATH", "HOME", "LANG", "PWD"}}
    names = {line.split("=")[0] for line in lines - expected}
    assert names <= own.get(bench.kind, {"PATH", "HOME", "HOSTNAME"})


async def test_program_sees_inputs_and_leaves_results(bench: Bench, tmp_path: Path) -> None:
    source, kept, other = tmp_path / "source", tmp_path / "kept", tmp_path / "other"
    for directory in (source, kept, other):
        directory.mkdir()
    (source / "data").write_text("hello")
    launch = bench.launch(
        'cat "$BACALHAU_INPUTS/data"; tr a-z A-Z < "$BACALHAU_INPUTS/data" > "$BACALHAU_OUTPUTS/result"; echo x > "$OTHER"',
        inputs=(Mount(source=source, target="/mnt/deep/in"),),
        outputs=(Mount(source=kept, target="/outputs"), Mount(source=other, target="/opt/more/out")),
        environment={"OTHER": str(other / "y") if bench.kind == "bare" else "/opt/more/out/y"},
    )
    outcome = await bench.run(launch)
    assert outcome.cause is None, launch.stderr.read_text()
    assert launch.stdout.read_text() == "hello"
    assert (kept / "result").read_text() == "HELLO"
    assert (other / "y").read_text() == "x\n"


async def test_variables_tell_where_files_are_seen_and_are_unset_without(bench: Bench, tmp_path: Path) -> None:
    launch = bench.launch('echo "${BACALHAU_INPUTS-none} ${BACALHAU_OUTPUTS-none}"')
    await bench.run(launch)
    assert launch.stdout.read_text() == "none none\n"
    mount = Mount(source=tmp_path, target="/somewhere/in")
    launch = bench.launch(
        'echo "$BACALHAU_INPUTS ${BACALHAU_OUTPUTS-none}"', inputs=(mount, Mount(source=tmp_path, target="/b"))
    )
    await bench.run(launch)
    place = f"{launch.directory}/work/somewhere/in" if bench.kind == "bare" else "/somewhere/in"
    assert launch.stdout.read_text() == f"{place} none\n"


async def test_inputs_cannot_be_changed_unless_writable(bench: Bench, tmp_path: Path) -> None:
    if bench.kind == "bare":
        pytest.skip("a bare process is not isolated: it may do what the agent's user may")
    fixed, free = tmp_path / "fixed", tmp_path / "free"
    for directory in (fixed, free):
        directory.mkdir()
    inputs = (Mount(source=fixed, target="/fixed"), Mount(source=free, target="/free", is_writable=True))
    launch = bench.launch("touch /free/new && touch /fixed/new", inputs=inputs)
    assert (await bench.run(launch)).cause is Cause.EXIT
    assert (list(fixed.iterdir()), list(free.iterdir())) == ([], [free / "new"])


async def test_working_directory_is_where_it_starts(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    inputs = (Mount(source=tmp_path / "in", target="/in"),)
    launch = bench.launch("pwd", params={"WorkingDirectory": "/in"}, inputs=inputs)
    await bench.run(launch)
    assert launch.stdout.read_text().strip() == (str(tmp_path / "in") if bench.kind == "bare" else "/in")


async def test_program_of_many_processes_ends_well(bench: Bench) -> None:
    launch = bench.launch("for i in $(seq 1 200); do (echo $i) & done; wait")
    assert (await bench.run(launch)).cause is None
    assert sorted(map(int, launch.stdout.read_text().split())) == list(range(1, 201))


async def test_stop_ends_the_whole_tree(bench: Bench) -> None:
    nap = naptime()
    launch = bench.launch(f"(setsid sh -c 'sleep {nap} & (sleep {nap} &) ; exec setsid sleep {nap}' &); sleep {nap}")
    engine = bench.engines[0]
    handle = await engine.start(launch)
    await until(lambda: len(processes("sleep", nap)) == 4)
    await engine.stop(launch, handle, 0.5)
    assert processes("sleep", nap) == []
    assert (await engine.wait(launch, handle)).exit_code in {143, 137}
    await engine.stop(launch, handle, 0.5)  # again: nothing
    await engine.forget(launch, handle)


async def test_what_a_program_leaves_running_ends_with_it(bench: Bench) -> None:
    nap = naptime()
    launch = bench.launch(f"setsid sh -c 'setsid sleep {nap} & sleep {nap}' >/dev/null 2>&1 & sleep 0.2")
    assert (await bench.run(launch)).cause is None
    assert processes("sleep", nap) == [], "it was forgotten, so nothing of it runs"


async def test_program_that_ignores_the_polite_signal_is_killed_after_the_grace(bench: Bench) -> None:
    launch = bench.launch("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    engine = bench.engines[0]
    handle = await engine.start(launch)
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(engine.wait(launch, handle))
        await until(lambda: launch.stdout.exists() and launch.stdout.read_text() == "ready\n")
        begun = time.monotonic()
        await engine.stop(launch, handle, 0.5)
        assert 0.45 < time.monotonic() - begun < 5
    assert (ended.result().exit_code, ended.result().cause) == (137, Cause.SIGNAL)
    await engine.forget(launch, handle)


async def test_program_may_end_politely(bench: Bench) -> None:
    launch = bench.launch("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.02; done")
    engine = bench.engines[0]
    handle = await engine.start(launch)
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(engine.wait(launch, handle))
        await until(lambda: launch.stdout.exists() and launch.stdout.read_text() == "ready\n")
        await engine.stop(launch, handle, 5)
    assert (ended.result().exit_code, launch.stdout.read_text()) == (3, "ready\nbye\n")
    await engine.forget(launch, handle)


async def test_memory_above_the_limit_is_told_as_such(bench: Bench) -> None:
    script = "head -c 300000000 /dev/zero | tr '\\0' x | sort > /dev/null; exit 9"
    outcome = await bench.run(bench.launch(script, memory=48 * 2**20))
    assert (outcome.cause, outcome.message) == (Cause.OOM, "memory limit exceeded")
    assert (await bench.run(bench.launch(memory=48 * 2**20))).cause is None


async def test_cancelled_start_leaves_nothing(bench: Bench) -> None:
    engine = bench.engines[0]
    nap = naptime()
    launches = [bench.launch(argv=["sleep", nap], memory=2**26) for _ in range(3)]
    for number, launch in enumerate(launches):
        starting = asyncio.ensure_future(engine.start(launch))
        await asyncio.wait([starting], timeout=0.004 * number)
        starting.cancel()
        with suppress(asyncio.CancelledError):
            handle = await starting
            await engine.stop(launch, handle, 0)
            await engine.wait(launch, handle)
            await engine.forget(launch, handle)
    assert processes("sleep", nap) == []
    assert [await engine.adopt(launch, None) for launch in launches] == [None, None, None]


async def test_running_execution_is_adopted_after_its_agent_died(bench: Bench) -> None:
    script = "echo one; while ! test -e $BACALHAU_OUTPUTS/go; do sleep 0.02; done; echo two; exit 5"
    (bench.home / "out").mkdir()
    launch = bench.launch(script, outputs=(Mount(source=bench.home / "out", target="/outputs"),))
    before = await bench.started_by_a_dead_agent(
        launch, lambda: launch.stdout.exists() and launch.stdout.read_text() == "one\n"
    )
    engine = await bench.engine()
    handle = await engine.adopt(launch, before)
    assert handle == before
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(engine.wait(launch, handle))
        (bench.home / "out" / "go").touch()
    assert launch.stdout.read_text() == "one\ntwo\n"
    told = (None, Cause.AGENT) if bench.kind == "bare" else (5, Cause.EXIT)
    assert (ended.result().exit_code, ended.result().cause) == told
    await engine.forget(launch, handle)


async def test_adopted_execution_can_be_stopped(bench: Bench) -> None:
    nap = naptime()
    launch = bench.launch(f"(setsid sleep {nap} &); sleep {nap}")
    before = await bench.started_by_a_dead_agent(launch, lambda: len(processes("sleep", nap)) == 2)
    engine = await bench.engine()
    handle = await engine.adopt(launch, before)
    assert handle is not None
    await engine.stop(launch, handle, 0.5)
    assert processes("sleep", nap) == []
    async with asyncio.timeout(10):
        await engine.wait(launch, handle)
    await engine.forget(launch, handle)


async def test_end_while_the_agent_was_away_is_told_or_lost(bench: Bench) -> None:
    (bench.home / "out").mkdir()
    launch = bench.launch(
        "while ! test -e $BACALHAU_OUTPUTS/go; do sleep 0.02; done; echo done; touch $BACALHAU_OUTPUTS/end; exit 5",
        outputs=(Mount(source=bench.home / "out", target="/outputs"),),
    )
    before = await bench.started_by_a_dead_agent(launch, lambda: True)
    (bench.home / "out" / "go").touch()
    await until((bench.home / "out" / "end").exists)
    await asyncio.sleep(0.3)  # its last steps cannot be seen from here
    engine = await bench.engine()
    handle = await engine.adopt(launch, before)
    if bench.kind == "bare":
        assert handle is None, "nobody can tell how it ended"
        return
    assert handle is not None
    outcome = await engine.wait(launch, handle)
    assert (outcome.exit_code, outcome.cause, launch.stdout.read_text()) == (5, Cause.EXIT, "done\n")
    await engine.forget(launch, handle)
    assert await engine.adopt(launch, None) is None, "nothing is left"


async def test_intent_without_a_handle_is_found(bench: Bench) -> None:
    nap = naptime()
    launch = bench.launch(argv=["sleep", nap])
    await bench.started_by_a_dead_agent(launch, lambda: len(processes("sleep", nap)) == 1)
    engine = await bench.engine()
    handle = await engine.adopt(launch, None)
    if bench.kind == "docker":
        assert handle is not None, "its name is enough"
        await engine.stop(launch, handle, 0)
        await engine.forget(launch, handle)
    else:
        assert handle is None
    assert processes("sleep", nap) == []


async def test_execution_that_was_never_started_is_not_adopted(bench: Bench) -> None:
    assert await bench.engines[0].adopt(bench.launch(), None) is None


async def test_strangers_of_the_owner_are_removed_and_nobody_else(bench: Bench) -> None:
    naps = [naptime() for _ in range(3)]
    other = Bench(bench.kind, bench.home)
    launches = [
        bench.launch(argv=["sleep", naps[0]]),
        bench.launch(argv=["sleep", naps[1]]),
        other.launch(argv=["sleep", naps[2]]),
    ]
    engine = bench.engines[0]
    handles = [await engine.start(launch) for launch in launches]
    await until(lambda: all(processes("sleep", nap) for nap in naps))
    removed = await engine.remove_strangers(bench.owner, lambda: {launches[0].execution_id, ExecutionId("e-other")})
    assert removed == [launches[1].execution_id]
    assert [bool(processes("sleep", nap)) for nap in naps] == [True, False, True]
    assert await engine.remove_strangers(bench.owner, lambda: {launches[0].execution_id}) == []
    for launch, handle in zip(launches, handles, strict=True):
        await engine.stop(launch, handle, 0)
        await engine.wait(launch, handle)
        await engine.forget(launch, handle)


async def test_wait_may_be_given_up_and_taken_up_again(bench: Bench) -> None:
    launch = bench.launch("sleep 0.4; echo out; exit 4")
    engine = bench.engines[0]
    handle = await engine.start(launch)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await engine.wait(launch, handle)
    outcome = await engine.wait(launch, handle)
    assert (outcome.exit_code, launch.stdout.read_text()) == (4, "out\n")
    await engine.forget(launch, handle)


async def test_many_at_once_keep_apart(bench: Bench) -> None:
    launches = [bench.launch(f"echo {number}; exit {number}") for number in range(12)]
    async with asyncio.TaskGroup() as group:
        ends = [group.create_task(bench.run(launch)) for launch in launches]
    assert [end.result().exit_code for end in ends] == list(range(12))
    assert [launch.stdout.read_text() for launch in launches] == [f"{number}\n" for number in range(12)]


async def test_no_descriptor_is_left_open(bench: Bench) -> None:
    await bench.run(bench.launch())
    engine = bench.engines[0]
    before = descriptors()
    for _ in range(3):
        launch = bench.launch()
        handle = await engine.start(launch)
        await engine.wait(launch, handle)
        await engine.forget(launch, handle)
    assert descriptors() <= before + 2
