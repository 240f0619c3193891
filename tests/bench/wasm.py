"""A WASM host fed directly, beside a bare loop of wasmtime-py: python -m tests.bench.wasm [--quick]. Prints rates."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import wasmtime

from node.engines.wasm_host import Call, Ended
from tests.bench.measure import tell

NOTHING = '(module (memory (export "memory") 1) (func (export "_start")))'


def bare(module: Path, count: int) -> float:
    """Seconds of the shortest loop that runs a WASI module so often, each in a store of its own."""
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    compiled = wasmtime.Module(engine, module.read_bytes())
    begun = time.perf_counter()
    for _ in range(count):
        store = wasmtime.Store(engine)
        config = wasmtime.WasiConfig()
        config.argv = ["main.wasm"]
        store.set_wasi(config)
        entry = linker.instantiate(store, compiled).exports(store)["_start"]
        assert isinstance(entry, wasmtime.Func)
        entry(store)
        store.close()
    return time.perf_counter() - begun


def hosted(module: Path, count: int, directory: Path) -> float:
    """Seconds of a host process for the same, from the first call to the last end."""
    call = Call(
        module=str(module),
        entrypoint="_start",
        arguments=[],
        environment={"BACALHAU_PARTITION_INDEX": "0"},
        directories=[],
        stdout=str(directory / "stdout"),
        stderr=str(directory / "stderr"),
        memory=64 << 20,
    )
    line = msgspec.json.encode(call) + b"\n"
    argv = [sys.executable, "-m", "node.engines.wasm_host", str(directory / "cache")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        calls = host.stdin
        calls.write(line)
        calls.flush()
        host.stdout.readline()  # it is there, and the module compiled
        begun = time.perf_counter()

        def feed() -> None:
            calls.writelines([line] * count)
            calls.flush()

        feeder = threading.Thread(target=feed)
        feeder.start()
        decoder = msgspec.json.Decoder(Ended)
        for _ in range(count):
            ended = decoder.decode(host.stdout.readline())
            assert ended.exit_code == 0, ended
        seconds = time.perf_counter() - begun
        feeder.join()
        calls.close()
    return seconds


def measure(count: int, passes: int) -> dict[str, float]:
    """Rates in tasks a second, the median over the passes, which take turns; and how much longer a task takes in a host."""
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home)
        module = directory / "nothing.wasm"
        module.write_bytes(wasmtime.wat2wasm(NOTHING))
        pairs = [(bare(module, count), hosted(module, count, directory)) for _ in range(passes)]
    loop, host = (statistics.median(count / pair[at] for pair in pairs) for at in (0, 1))
    ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
    tell(f"{'WASM, no-op module: bare loop':<38}{count:>7} {loop:>10.0f}/s")
    tell(f"{'WASM, no-op module: one host':<38}{count:>7} {host:>10.0f}/s, {ratio:.2f} times the loop's time")
    return {"wasm_host_vs_loop": ratio, "wasm_tasks_per_second": host}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    found = measure(2_000 if quick else 10_000, 1 if quick else 5)
    tell(f"ratios: {json.dumps({key: round(value, 3) for key, value in found.items()})}")


if __name__ == "__main__":
    main()
