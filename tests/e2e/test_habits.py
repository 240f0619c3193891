"""What a Bacalhau user's fingers type, against real processes: modules, jobs on every node, reruns."""

import json

import wasmtime

from tests.conftest import StartCluster

WRITES = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "from wasm\\0a")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 8))
    (i32.store (i32.const 4) (i32.const 10))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 60)))))
"""


def test_a_module_runs_in_partitions_from_one_command(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, engines="process,wasm")
    module = cluster.home / "hello.wasm"
    module.write_bytes(wasmtime.wat2wasm(WRITES))
    ran = cluster.shoal("wasm", "run", "--count", "3", "--name", "hello", str(module))
    assert ran.code == 0, ran.err
    logs = cluster.shoal("job", "logs", "hello", "--no-prefix")
    assert logs.out.splitlines() == ["from wasm"] * 3


def test_a_job_on_all_nodes_tells_each_its_number_and_runs_again(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=2)
    script = "echo $BACALHAU_JOB_TYPE $BACALHAU_PARTITION_INDEX of $BACALHAU_PARTITION_COUNT"
    ran = cluster.shoal("process", "run", "--target", "all", "--name", "all", "--", "sh", "-c", script)
    assert ran.code == 0, ran.err
    logs = cluster.shoal("job", "logs", "all", "--no-prefix")
    assert sorted(logs.out.splitlines()) == ["ops 0 of 2", "ops 1 of 2"]
    again = cluster.shoal("job", "rerun", "all", "--reason", "once more")
    assert again.code == 0, again.err
    versions = json.loads(cluster.shoal("job", "versions", "all", "--json").out)
    assert [job["Version"] for job in versions["Items"]] == [1, 2]
