"""A process that runs WASM modules for an agent, one after the other: `python -m node.engines.wasm_host CACHE`.

It reads one call a line from stdin and writes one end a line to stdout. When stdin closes, the agent is gone: it ends at once,
whatever runs. Modules see WASI preview 1, the directories they are given, and nothing else of the machine.
"""

import hashlib
import os
import queue
import sys
import threading
from pathlib import Path

import msgspec
import wasmtime

from orchestrator.contract.execution import Cause

PAGE = 65_536
"""Bytes of a WASM page."""
MESSAGE = 500
"""Characters of a trap that are told."""


class Opened(msgspec.Struct, frozen=True):
    """A directory of the machine that the module sees as `guest`."""

    host: str
    guest: str
    is_writable: bool


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One execution."""

    module: str
    imports: dict[str, str] = {}
    """Modules that it imports from, by the names it may know them by."""
    entrypoint: str
    arguments: list[str]
    environment: dict[str, str]
    directories: list[Opened]
    stdout: str
    stderr: str
    memory: int
    """Bytes that its memories may grow to; 0 = no limit."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended. `cause` None = success."""

    exit_code: int | None
    cause: Cause | None
    message: str = ""


class Modules:
    """Compiled modules: in memory by path, on disk by content, so that one content is compiled once on a machine."""

    def __init__(self, engine: wasmtime.Engine, cache: Path) -> None:
        self._engine = engine
        self._cache = cache
        self._known: dict[tuple[str, int, int, int], wasmtime.Module] = {}
        self._by_content: dict[str, wasmtime.Module] = {}

    def get(self, path: str) -> wasmtime.Module:
        """The compiled module of a file. Raises OSError, wasmtime.WasmtimeError."""
        status = os.stat(path)  # noqa: PTH116 - a Path would cost as much as a short module
        key = path, status.st_ino, status.st_size, status.st_mtime_ns
        if key not in self._known:
            if len(self._known) > 256:
                self._known.clear()
            self._known[key] = self._load(Path(path).read_bytes())
        return self._known[key]

    def _load(self, code: bytes) -> wasmtime.Module:
        content = hashlib.sha256(code).hexdigest()
        if content not in self._by_content:
            self._by_content[content] = self._compile(code, self._cache / f"{content}.cwasm")
        return self._by_content[content]

    def _compile(self, code: bytes, kept: Path) -> wasmtime.Module:
        try:
            return wasmtime.Module.deserialize_file(self._engine, str(kept))
        except wasmtime.WasmtimeError:  # not there, or made by another version
            module = wasmtime.Module(self._engine, code)
        part = kept.with_name(f"{kept.name}.{os.getpid()}")
        part.write_bytes(module.serialize())
        part.replace(kept)
        return module


class Host:
    """Runs calls on one engine."""

    def __init__(self, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self._engine = wasmtime.Engine()
        self._modules = Modules(self._engine, cache)
        self._wasi = self._linker()
        """Of modules that import nothing else: made once, it costs more than a short module."""

    def _linker(self) -> wasmtime.Linker:
        linker = wasmtime.Linker(self._engine)
        linker.define_wasi()
        return linker

    def run(self, call: Call) -> Ended:
        """Run one execution to its end; never raises for what the module is or does."""
        try:
            module = self._modules.get(call.module)
            imports = {name: self._modules.get(path) for name, path in call.imports.items()}
        except OSError as error:
            return Ended(exit_code=None, cause=Cause.IMAGE, message=f"module {call.module}: {error.strerror}")
        except wasmtime.WasmtimeError as error:
            return Ended(exit_code=None, cause=Cause.IMAGE, message=f"no valid WASM module: {first_line(error)}")
        store = wasmtime.Store(self._engine)
        try:
            return self._execute(store, call, module, imports)
        finally:
            store.close()

    def _execute(
        self, store: wasmtime.Store, call: Call, module: wasmtime.Module, imports: dict[str, wasmtime.Module]
    ) -> Ended:
        if call.memory:
            store.set_limits(memory_size=call.memory)
        instance = None
        try:
            store.set_wasi(wasi_of(call))
            linker = self._linker() if imports else self._wasi
            for name, imported in imports.items():
                linker.define_module(store, name, imported)
            instance = linker.instantiate(store, module)
            entry = instance.exports(store).get(call.entrypoint)
            if not isinstance(entry, wasmtime.Func):
                return Ended(
                    exit_code=None, cause=Cause.IMAGE, message=f"the module exports no function {call.entrypoint}"
                )
            entry(store)
        except wasmtime.ExitTrap as end:
            code = end.code
            return Ended(exit_code=code, cause=None if code == 0 else cause_of(code))
        except wasmtime.Trap as trap:
            if call.memory and is_full(store, instance, call.memory):
                return Ended(exit_code=137, cause=Cause.OOM, message="memory limit exceeded")
            return Ended(exit_code=1, cause=Cause.EXIT, message=first_line(trap))
        except wasmtime.WasmtimeError as error:
            if "memory minimum size" in str(error):
                return Ended(exit_code=137, cause=Cause.OOM, message=f"memory limit exceeded: {first_line(error)}")
            return Ended(exit_code=None, cause=Cause.IMAGE, message=first_line(error))
        return Ended(exit_code=0, cause=None)


def wasi_of(call: Call) -> wasmtime.WasiConfig:
    """What the module may see."""
    config = wasmtime.WasiConfig()
    config.argv = [call.module.rpartition("/")[2], *call.arguments]
    config.env = list(call.environment.items())
    config.stdout_file = call.stdout
    config.stderr_file = call.stderr
    for directory in call.directories:
        config.preopen_dir(directory.host, directory.guest, directory.is_writable)
    return config


def cause_of(code: int) -> Cause:
    """The cause that an exit code other than 0 stands for."""
    return Cause.SIGNAL if 129 <= code <= 192 else Cause.EXIT


def is_full(store: wasmtime.Store, instance: wasmtime.Instance | None, limit: int) -> bool:
    """Whether a memory of the module is as large as it may be, so that its next growth was refused."""
    if instance is None:
        return False
    memories = [item for _, item in instance.exports(store).items() if isinstance(item, wasmtime.Memory)]
    step = max(PAGE, limit // 16)
    return any(memory.data_len(store) + step > limit for memory in memories)


def first_line(error: Exception) -> str:
    """What an error says, without the backtrace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("error while executing", "Caused by", "0:", "1:"))]
    causes = [line.partition(": ")[2] for line in lines if line[:1].isdigit() and ": wasm trap" in line]
    return (causes or told or lines or [type(error).__name__])[0][:MESSAGE]


def main() -> None:
    """Take calls until stdin closes."""
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=read_calls, args=(calls,), daemon=True).start()
    host = Host(Path(sys.argv[1]))
    decoder = msgspec.json.Decoder(Call)
    while True:
        ended = host.run(decoder.decode(calls.get()))
        sys.stdout.buffer.write(msgspec.json.encode(ended) + b"\n")
        sys.stdout.buffer.flush()


def read_calls(calls: "queue.SimpleQueue[bytes]") -> None:
    """Hand over each line; end the process when there are no more."""
    for line in sys.stdin.buffer:
        calls.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
