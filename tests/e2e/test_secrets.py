"""Secrets that a node forwards by its allow list reach the program, and are nowhere else."""

import contextlib
from pathlib import Path

from tests.conftest import StartCluster
from tests.helpers.jobs import ONCE, shell_job
from tests.helpers.processes import JOBS, NODES

SECRET = "swordfish-2f1c7e55"
SCRIPT = 'test "$PASS" = "$(printf %s swordfish-; printf %s 2f1c7e55)" && echo got it; sleep 2'
"""Does not hold the secret as one word."""


def test_a_secret_of_the_node_is_in_no_answer_log_history_or_command_line(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, flags=("--allow-env", "MY_.*"), environ={"MY_SECRET": SECRET, "OTHER": SECRET})
    job_id = cluster.submit(shell_job("secret", SCRIPT, Env={"PASS": "env:MY_SECRET"}, Retry=ONCE))
    seen: set[bytes] = set()
    state = ""
    while state not in ("Completed", "Failed"):
        seen |= command_lines()
        state = cluster.job_state(job_id)
    assert state == "Completed"
    done = cluster.shoal("job", "logs", job_id)
    assert done.out == "got it\n"
    answers = [
        f"{JOBS}/{job_id}?include=history,executions",
        f"{JOBS}/{job_id}/history?limit=1000",
        f"{JOBS}/{job_id}/executions",
        f"{JOBS}/{job_id}/partitions/0",
        f"{JOBS}/{job_id}/versions",
        f"{JOBS}?limit=10",
        NODES,
        "/api/v1/agent/config",
        "/api/v1/agent/node",
    ]
    texts = {path: str(cluster.get(path)) for path in answers}
    texts |= {str(path): path.read_text(errors="replace") for path in cluster.home.glob("*.log")}
    texts["describe"] = cluster.shoal("job", "describe", job_id).out
    assert "env:MY_SECRET" in texts[f"{JOBS}/{job_id}?include=history,executions"], "what stands for it is shown"
    assert [place for place, text in texts.items() if SECRET in text] == []
    assert not [line for line in seen if SECRET.encode() in line]
    kept = [path for path in cluster.home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert kept == [], "it is on no disk either"


def test_a_variable_that_is_not_on_the_list_is_refused(start_cluster: StartCluster) -> None:
    cluster = start_cluster(nodes=1, flags=("--allow-env", "MY_.*"), environ={"OTHER": SECRET})
    job_id = cluster.submit(shell_job("refused", "true", Env={"PASS": "env:OTHER"}, Retry=ONCE))
    assert cluster.wait_ended(job_id) == "Failed"
    (row,) = cluster.rows(job_id)
    assert "'OTHER' is not in allowed patterns" in str(row["Message"])
    assert SECRET not in cluster.logs()


def command_lines() -> set[bytes]:
    """Of all programs of this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(path.read_bytes())
    return found
