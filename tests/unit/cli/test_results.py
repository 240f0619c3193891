import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.helpers.cli import Shoal
from tests.helpers.fake_api import JOBS, FakeApi, archive_of, execution_id
from tui.cli.unpacking import UnpackError, unpack


def test_every_partition_has_its_directory_and_a_line_in_the_manifest(shoal: Shoal, tmp_path: Path) -> None:
    done = shoal("job", "get", "fish")
    assert done.code == 0
    assert done.out == "Results for job 'fish' have been written to...\njob-fish\n"
    assert (tmp_path / "job-fish" / "partition-1" / "out" / "data.txt").read_text() == "1\n"
    assert sorted(path.name for path in (tmp_path / "job-fish").iterdir()) == [
        "manifest.json",
        "partition-0",
        "partition-1",
    ]
    manifest = json.loads((tmp_path / "job-fish" / "manifest.json").read_text())
    assert manifest["Partitions"][1] == {
        "Index": 1,
        "ExecutionID": execution_id(1),
        "Attempt": 1,
        "NodeID": "n1",
        "ExitCode": 0,
        "Files": [
            {"Path": "exitCode", "Size": 1},
            {"Path": "out/data.txt", "Size": 2},
            {"Path": "stderr", "Size": 0},
            {"Path": "stdout", "Size": 6},
        ],
    }


def test_fetching_again_replaces_what_was_fetched(shoal: Shoal, tmp_path: Path) -> None:
    shoal("job", "get", "fish")
    (tmp_path / "job-fish" / "partition-1" / "old").touch()
    assert shoal("job", "get", "fish").code == 0
    assert not (tmp_path / "job-fish" / "partition-1" / "old").exists()


def test_a_partition_that_has_no_results_any_more_does_not_stay(api: FakeApi, shoal: Shoal, tmp_path: Path) -> None:
    shoal("job", "get", "fish")
    (tmp_path / "job-fish" / "partition-99").mkdir()
    url = f"http://127.0.0.1:1234{JOBS}/x/results/0.tar.gz"
    api.on(
        "GET", f"{JOBS}/[^/]+/results", {"NextToken": "", "Items": [{"Type": "urlDownload", "Params": {"URL": url}}]}
    )
    assert shoal("job", "get", "fish").code == 0
    assert sorted(path.name for path in (tmp_path / "job-fish").iterdir()) == [
        "manifest.json",
        "partition-0",
        "partition-99",  # nobody fetched this one
    ]


def test_completed_partitions_without_results_are_told(shoal: Shoal) -> None:
    assert "2 completed partitions published no results" in shoal("job", "get", "fish").err


def test_raw_keeps_the_archives(shoal: Shoal, tmp_path: Path) -> None:
    assert shoal("job", "get", "fish", "--raw").code == 0
    assert sorted(path.name for path in (tmp_path / "job-fish" / "raw").iterdir()) == ["0.tar.gz", "1.tar.gz"]


def test_no_results_is_no_error(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{JOBS}/[^/]+/results", {"NextToken": "", "Items": []})
    done = shoal("job", "get", "fish")
    assert done.code == 0
    assert "No results found" in done.out
    assert "shoal job logs fish" in done.out


def hostile(*members: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return packed.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.SYMTYPE
    member.linkname = target
    return member


@pytest.mark.parametrize(
    "content",
    [
        hostile(tarfile.TarInfo("../evil")),
        hostile(tarfile.TarInfo("/etc/evil")),
        hostile(tarfile.TarInfo("partition-1/evil")),
        hostile(tarfile.TarInfo("partition-0/../../evil")),
        hostile(link("partition-0/out", "/etc"), tarfile.TarInfo("partition-0/out/evil")),
        hostile(link("partition-0/out", "../../..")),
        b"no archive",
        archive_of(0, {"stdout": b"x" * 10_000})[:100],
    ],
    ids=["up", "absolute", "another", "dots", "link", "link-up", "garbage", "cut"],
)
def test_an_archive_never_writes_outside_its_directory(tmp_path: Path, content: bytes) -> None:
    target, scratch = tmp_path / "target", tmp_path / "scratch"
    target.mkdir()
    scratch.mkdir()
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(UnpackError):
        unpack(tmp_path / "archive", "partition-0", target, scratch)
    assert list(target.iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_a_damaged_archive_is_told(api: FakeApi, shoal: Shoal) -> None:
    api.on("GET", f"{JOBS}/[^/]+/results/1.tar.gz", b"no archive")
    done = shoal("job", "get", "fish")
    assert (done.code, done.out) == (1, "")
    assert "partition 1" in done.err


def listing(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def test_results_of_another_job_are_not_mixed_with_these(shoal: Shoal, tmp_path: Path) -> None:
    shoal("job", "get", "fish")
    manifest = tmp_path / "job-fish" / "manifest.json"
    other = json.loads(manifest.read_text()) | {"JobID": "j-other"}
    manifest.write_text(json.dumps(other))
    before = listing(tmp_path)
    done = shoal("job", "get", "fish")
    assert (done.code, done.out) == (4, "")
    assert "job-fish has the results of job j-other" in done.err
    assert "--output-dir" in done.err
    assert listing(tmp_path) == before
    manifest.write_text("mine")
    assert "is no manifest of results" in shoal("job", "get", "fish").err


def test_a_partition_that_nobody_fetched_is_not_overwritten(shoal: Shoal, tmp_path: Path) -> None:
    (tmp_path / "mine" / "partition-1").mkdir(parents=True)
    (tmp_path / "mine" / "partition-1" / "notes").write_text("kept")
    done = shoal("job", "get", "fish", "--output-dir", "mine")
    assert done.code == 4
    assert "mine/partition-1 is there already" in done.err
    assert listing(tmp_path / "mine") == ["partition-1/notes"]


def test_a_fetch_that_fails_leaves_the_former_results(api: FakeApi, shoal: Shoal, tmp_path: Path) -> None:
    shoal("job", "get", "fish")
    before = {name: (tmp_path / name).read_bytes() for name in listing(tmp_path)}
    api.on("GET", f"{JOBS}/[^/]+/results/0.tar.gz", archive_of(0, {"stdout": b"new"}))
    api.on("GET", f"{JOBS}/[^/]+/results/1.tar.gz", b"no archive")
    assert shoal("job", "get", "fish").code == 1
    assert {name: (tmp_path / name).read_bytes() for name in listing(tmp_path)} == before


def test_archives_and_unpacked_results_do_not_stand_side_by_side(shoal: Shoal, tmp_path: Path) -> None:
    shoal("job", "get", "fish", "--raw")
    shoal("job", "get", "fish")
    assert not [name for name in listing(tmp_path / "job-fish") if name.startswith("raw/")]
    shoal("job", "get", "fish", "--raw")
    assert listing(tmp_path / "job-fish") == ["manifest.json", "raw/0.tar.gz", "raw/1.tar.gz"]
