from pathlib import Path

import pytest

from tests.helpers.cli import Shoal
from tests.helpers.fake_api import JOBS, FakeApi


def test_problems_of_a_job_file_are_in_the_order_of_its_lines(shoal: Shoal, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("Name: a\nCount: x\nTasks:\n- Name: main\n  Engine: {Type: docker}\n  Bar: 2\n")
    done = shoal("job", "validate", "job.yaml")
    lines = [int(line.split()[1].rstrip(":")) for line in done.err.splitlines() if line.startswith("  line ")]
    assert lines == [1, 2, 5, 6]


def test_the_line_of_a_problem_is_said_once(shoal: Shoal, tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text("Name: a\nName: b\n")
    assert "  line 2: key 'Name' is there already\n" in shoal("job", "validate", "twice.yaml").err
    (tmp_path / "broken.yaml").write_text("Name: a\n  b: {\n")
    assert "  line 2: yaml: mapping values are not allowed" in shoal("job", "validate", "broken.yaml").err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--count -1", "Count: job count must be >= 0; found number -1, allowed: 0 to 1000000"),
        ("--memory lots", "invalid memory value: lots; allowed: "),
    ],
)
def test_a_sentence_of_bacalhaus_is_told_with_what_is_allowed(shoal: Shoal, flags: str, words: str) -> None:
    for verb in ("process run", "docker run", "wasm run --import-modules m.wasm"):
        Path("m.wasm").write_bytes(b"")
        done = shoal(*verb.split(), *flags.split(), "m.wasm")
        assert (done.code, done.out) == (2, "")
        assert words in done.err


def test_a_job_of_no_partitions_may_be_asked_for(api: FakeApi, shoal: Shoal) -> None:
    assert shoal("process", "run", "--count", "0", "--wait=false", "true").code == 0
    assert api.sent("PUT")[0]["Job"]["Count"] == 0


def test_a_problem_that_is_the_whole_message_is_told_once(api: FakeApi, shoal: Shoal) -> None:
    problem = {"Path": "AvoidNodes[0]", "Found": "'zz'", "Allowed": "the id of a node", "Hint": "", "Message": ""}
    message = "AvoidNodes[0]: found 'zz', allowed: the id of a node"
    api.refuse("PUT", f"{JOBS}/[^/]+/partitions/retry", 400, "BadRequest", message, Problems=[problem])
    done = shoal("job", "retry", "fish", "--failed", "--avoid-node", "zz")
    assert (done.code, done.err) == (2, f"Error: what was asked for is not valid\n  {message}\n")


def test_what_is_missing_is_named_in_one_line(shoal: Shoal) -> None:
    assert shoal("process", "run").err.startswith("Error: Missing argument 'PROGRAM'.\n")
    assert shoal("completion").err.startswith("Error: Missing argument 'SHELL'. Choose from: bash, fish, zsh\n")
