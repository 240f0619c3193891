from pathlib import Path

from tests.helpers.cli import Shoal


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
