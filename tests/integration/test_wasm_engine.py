"""WASM modules in real hosts: how they end, what they see, what limits them."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import wasmtime

from node.engines import procfs
from node.engines.base import EngineError, Handle, Launch, Mount, Outcome, Owner
from node.engines.wasm import OWNER, WasmEngine, mark_of
from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId, NodeId
from orchestrator.contract.job import NetworkConfig, SpecConfig
from orchestrator.contract.node import Resources

PAGE = 65_536
EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
WRITE = '(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))'


def module(body: str, imports: str = "") -> str:
    return f'(module {imports} (memory (export "memory") 1) {body})'


RETURNS = module('(func (export "_start"))')
ENDLESS = module('(func (export "_start") (loop $l br $l))')
GROWS = module(
    '(func (export "_start") (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable)'
)
TRAPS = module('(func (export "_start") unreachable)')


def exits(code: int) -> str:
    return module(f'(func (export "_start") i32.const {code} call $exit)', EXIT)


def writes(text: str, stream: int) -> str:
    data = f'(data (i32.const 8) "{text}")'
    store = f"(i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const {len(text)}))"
    call = f"(drop (call $write (i32.const {stream}) (i32.const 0) (i32.const 1) (i32.const 60)))"
    return module(f'{data} (func (export "_start") {store} {call})', WRITE)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[WasmEngine]:
    engine = WasmEngine(tmp_path / "agent")
    yield engine
    await engine.close()


class Bench:
    """Makes launches below one directory."""

    def __init__(self, home: Path, engine: WasmEngine) -> None:
        self.home, self.engine = home, engine
        self.count = 0

    def launch(
        self,
        text: str,
        *,
        memory: int = 0,
        params: dict[str, object] | None = None,
        inputs: tuple[Mount, ...] = (),
        outputs: tuple[Mount, ...] = (),
    ) -> Launch:
        self.count += 1
        directory = self.home / str(self.count)
        directory.mkdir()
        path = directory / "module"
        path.write_bytes(wasmtime.wat2wasm(text) if text.startswith("(") else text.encode())
        return Launch(
            execution_id=ExecutionId(f"e-{self.count}"),
            owner=Owner(cluster_id="c", node_id=NodeId("n")),
            engine=SpecConfig(type="wasm", params={"EntryModule": "/main.wasm", **(params or {})}),
            need=Resources(memory=memory),
            network=NetworkConfig(type="Default"),
            environment={"BACALHAU_PARTITION_INDEX": "4"},
            inputs=(Mount(source=path, target="/main.wasm"), *inputs),
            outputs=outputs,
            directory=directory,
            stdout=directory / "stdout",
            stderr=directory / "stderr",
        )

    async def run(self, launch: Launch) -> Outcome:
        handle = await self.engine.start(launch)
        outcome = await self.engine.wait(launch, handle)
        await self.engine.forget(launch, handle)
        return outcome


@pytest.fixture
def bench(tmp_path: Path, engine: WasmEngine) -> Bench:
    return Bench(tmp_path, engine)


@pytest.mark.parametrize(
    ("text", "code", "cause"),
    [
        (RETURNS, 0, None),
        (exits(0), 0, None),
        (exits(3), 3, Cause.EXIT),
        (TRAPS, 1, Cause.EXIT),
        ("no module", None, Cause.IMAGE),
    ],
    ids=["returns", "exit-0", "exit-3", "trap", "garbage"],
)
async def test_every_end_is_told(bench: Bench, text: str, code: int | None, cause: Cause | None) -> None:
    outcome = await bench.run(bench.launch(text))
    assert (outcome.exit_code, outcome.cause) == (code, cause)


async def test_output_is_in_the_files(bench: Bench) -> None:
    out, err = bench.launch(writes("to out", 1)), bench.launch(writes("to err", 2))
    await bench.run(out)
    await bench.run(err)
    assert out.stdout.read_bytes() == b"to out"
    assert err.stderr.read_bytes() == b"to err"


async def test_memory_ends_at_the_limit(bench: Bench) -> None:
    outcome = await bench.run(bench.launch(GROWS, memory=8 * PAGE))
    assert (outcome.cause, outcome.message) == (Cause.OOM, "memory limit exceeded")


async def test_a_trap_far_below_the_limit_is_no_lack_of_memory(bench: Bench) -> None:
    outcome = await bench.run(bench.launch(TRAPS, memory=8 * PAGE))
    assert outcome.cause is Cause.EXIT
    assert "unreachable" in outcome.message


async def test_an_endless_module_is_stopped_and_the_next_one_runs(bench: Bench, engine: WasmEngine) -> None:
    launch = bench.launch(ENDLESS)
    handle = await engine.start(launch)
    await engine.stop(launch, handle, grace=0.1)
    outcome = await engine.wait(launch, handle)
    await engine.forget(launch, handle)
    assert (outcome.exit_code, outcome.cause) == (137, Cause.SIGNAL)
    assert not procfs.is_alive(int(handle.facts["pid"]))
    assert (await bench.run(bench.launch(RETURNS))).cause is None


async def test_modules_run_side_by_side(bench: Bench, engine: WasmEngine) -> None:
    launches = [bench.launch(ENDLESS), bench.launch(RETURNS)]
    endless, quick = [await engine.start(launch) for launch in launches]
    async with asyncio.timeout(10):
        assert (await engine.wait(launches[1], quick)).exit_code == 0
    await engine.stop(launches[0], endless, grace=0)


async def test_an_unknown_entrypoint_is_named(bench: Bench) -> None:
    outcome = await bench.run(bench.launch(RETURNS, params={"Entrypoint": "main"}))
    assert outcome.cause is Cause.IMAGE
    assert "exports no function main" in outcome.message


async def test_a_module_that_no_input_holds_is_refused(bench: Bench, engine: WasmEngine) -> None:
    launch = bench.launch(RETURNS, params={"EntryModule": "/other.wasm"})
    with pytest.raises(EngineError, match="no input has this target") as refused:
        await engine.start(launch)
    assert refused.value.cause is Cause.IMAGE


async def test_imports_come_from_other_inputs(bench: Bench, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.write_bytes(wasmtime.wat2wasm('(module (func (export "nine") (result i32) i32.const 9))'))
    text = (
        f'(module {EXIT} (import "lib" "nine" (func $nine (result i32))) '
        '(memory (export "memory") 1) (func (export "_start") call $nine call $exit))'
    )
    launch = bench.launch(
        text,
        params={"ImportModules": ["/lib.wasm"]},
        inputs=(Mount(source=library, target="/lib.wasm"),),
    )
    assert (await bench.run(launch)).exit_code == 9


async def test_compiled_modules_are_kept_on_disk(bench: Bench, tmp_path: Path) -> None:
    await bench.run(bench.launch(RETURNS))
    await bench.run(bench.launch(RETURNS))
    assert len(list((tmp_path / "agent" / "wasm-cache").iterdir())) == 1


async def test_hosts_end_with_the_agent_and_nothing_is_adopted(bench: Bench, engine: WasmEngine) -> None:
    launch = bench.launch(ENDLESS)
    handle = await engine.start(launch)
    restarted = WasmEngine(bench.home / "agent")
    assert await restarted.adopt(launch, handle) is None
    deadline = time.monotonic() + 5
    while procfs.is_alive(int(handle.facts["pid"])):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert (await engine.wait(launch, handle)).cause is Cause.SIGNAL


async def test_hosts_of_a_dead_agent_end_by_themselves(tmp_path: Path) -> None:
    owner = Owner(cluster_id="c", node_id=NodeId(f"dead-{tmp_path.name}"))
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from node.engines.wasm import WasmEngine\n"
        "from node.engines.base import Owner\n"
        "async def main():\n"
        "    host = await WasmEngine(Path(sys.argv[1]))._open(Owner(cluster_id='c', node_id=sys.argv[2]))\n"
        "    print(host.process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), owner.node_id, stdout=asyncio.subprocess.PIPE
    )
    assert agent.stdout is not None
    host = int(await agent.stdout.readline())
    assert procfs.is_started_with(host, OWNER, mark_of(owner))
    agent.send_signal(signal.SIGKILL)
    await agent.communicate()
    deadline = time.monotonic() + 5
    while procfs.is_alive(host):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_directories_are_seen_at_their_targets_and_inputs_cannot_be_changed(bench: Bench, tmp_path: Path) -> None:
    from node.engines.wasm import call_of
    from orchestrator.contract.params import wasm_params

    (tmp_path / "given").mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "one.txt").write_text("1")
    launch = bench.launch(
        RETURNS,
        inputs=(
            Mount(source=tmp_path / "given", target="/inputs"),
            Mount(source=tmp_path / "one.txt", target="/files/one.txt"),
        ),
        outputs=(Mount(source=tmp_path / "kept", target="/outputs", is_writable=True),),
    )
    call = call_of(launch, wasm_params(launch.engine))
    seen = {opened.guest: opened.is_writable for opened in call.directories}
    assert seen == {"/": False, "/inputs": False, "/files": False, "/outputs": True, "kept": True}
    assert call.environment["BACALHAU_OUTPUTS"] == "/outputs"
    assert (await bench.run(launch)).cause is None


async def test_an_execution_of_a_former_agent_ended_nobody_knows_how(bench: Bench, engine: WasmEngine) -> None:
    assert (await engine.wait(bench.launch(RETURNS), Handle(facts={}))).cause is Cause.AGENT
