from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.contract.api import JobList
from orchestrator.contract.job import JobStateType
from tests.helpers.cli import Shoal
from tests.helpers.fake_api import JOBS, FakeApi, job_of
from tui.cli.diagnostics import UsageError
from tui.cli.locations import input_source, publisher, result_path


def submitted(api: FakeApi, shoal: Shoal, *argv: str) -> dict[str, Any]:
    done = shoal(*argv, "--wait=false") if "--" not in argv else shoal(*argv[:2], "--wait=false", *argv[2:])
    assert done.code == 0, done
    job: dict[str, Any] = api.sent("PUT")[-1]["Job"]
    return job


def test_the_command_of_the_announcement(api: FakeApi, shoal: Shoal) -> None:
    script = "echo Partition=$BACALHAU_PARTITION_INDEX"
    job = submitted(api, shoal, "docker", "run", "--count", "3", "ubuntu", "--", "sh", "-c", script)
    assert (job["Count"], job["Type"], job["Tasks"][0]["Name"]) == (3, "batch", "main")
    assert job["Tasks"][0]["Engine"] == {
        "Type": "docker",
        "Params": {"Image": "ubuntu", "Parameters": ["sh", "-c", script]},
    }


def test_every_flag_has_its_field(api: FakeApi, shoal: Shoal) -> None:
    argv = (
        "process run --name n --namespace s -l a=b,c=d --priority 5 --count 2 --constraints region=eu,gpu --task-name t"
        " -e A=1 -e B=x=y -o out:/outputs --cpu 250m --memory 1gib --disk 2gb --gpu 1 --network None --timeout 90"
        " --queue-timeout 1m -w /tmp -i file:///data:/in -- prog -x"
    )
    job = submitted(api, shoal, *argv.split())
    assert (job["Name"], job["Namespace"], job["Priority"], job["Count"]) == ("n", "s", 5, 2)
    assert job["Labels"] == {"a": "b", "c": "d"}
    assert job["Constraints"] == [
        {"Key": "region", "Operator": "=", "Values": ["eu"]},
        {"Key": "gpu", "Operator": "exists"},
    ]
    task = job["Tasks"][0]
    assert task["Engine"] == {
        "Type": "process",
        "Params": {"Command": "prog", "Arguments": ["-x"], "WorkingDirectory": "/tmp"},
    }
    assert (task["Name"], task["Env"]) == ("t", {"A": "1", "B": "x=y"})
    assert task["ResultPaths"] == [{"Name": "out", "Path": "/outputs"}]
    assert task["Resources"] == {"CPU": "250m", "Memory": "1gib", "Disk": "2gb", "GPU": "1"}
    assert task["Network"] == {"Type": "None"}
    assert task["Timeouts"] == {"TotalTimeout": 90, "QueueTimeout": 60}
    assert task["InputSources"][0]["Source"]["Params"]["SourcePath"] == "/data"
    assert task["Publisher"] == {"Type": "orchestrator"}


@pytest.mark.parametrize(
    ("flags", "path"),
    [
        ("--count -1", "Count"),
        ("--memory lots", "Tasks[0].Resources.Memory"),
        ("-e a=1", "Tasks[0].Env"),
        ("--network Moon", "Tasks[0].Network.Type"),
        ("--name a/b", "Name"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    api: FakeApi, shoal: Shoal, flags: str, path: str
) -> None:
    done = shoal("process", "run", *flags.split(), "--", "true")
    assert done.code == 2
    assert path in done.err or path.rpartition(".")[2].lower() in done.err
    assert api.requests == []


def test_inputs_are_read_as_bacalhau_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    def read(text: str) -> tuple[str, dict[str, Any], str]:
        source = input_source(text)
        return source["Source"]["Type"], source["Source"]["Params"], source["Target"]

    assert read("file:///a/b") == ("local", {"SourcePath": "/a/b", "ReadWrite": False}, "/inputs")
    assert read("file:///a:/in") == ("local", {"SourcePath": "/a", "ReadWrite": False}, "/in")
    assert read("src=file:///a,dst=/in,opt=rw=true") == ("local", {"SourcePath": "/a", "ReadWrite": True}, "/in")
    assert read("data") == ("local", {"SourcePath": str(tmp_path / "data"), "ReadWrite": False}, "/inputs")
    assert read("http://h:8080/x") == ("urlDownload", {"URL": "http://h:8080/x"}, "/inputs")
    assert read("http://h:8080/x:/in") == ("urlDownload", {"URL": "http://h:8080/x"}, "/in")
    assert read("src=s3://b/k/l,dst=/in,opt=region=eu") == ("s3", {"Bucket": "b", "Key": "k/l", "Region": "eu"}, "/in")


@pytest.mark.parametrize(
    "text", ["git://x", "", "src=file:///a,opt=moon=1", "dst=/in", "file:///a,b", "src=/a,opt=rw=maybe"]
)
def test_inputs_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--input"):
        input_source(text)


def test_outputs_and_publishers_are_read() -> None:
    assert result_path("out:/o") == {"Name": "out", "Path": "/o"}
    for text in ("out", "out:o", ":/o"):
        with pytest.raises(UsageError, match="NAME:/ABSOLUTE/PATH"):
            result_path(text)
    assert publisher("local") == {"Type": "local"}
    assert publisher("s3://b/k,opt=region=r") == {"Type": "s3", "Params": {"bucket": "b", "key": "k", "region": "r"}}
    with pytest.raises(UsageError, match="--publisher"):
        publisher("s3://b/k,region=r")


def test_a_job_file_with_mistakes_lists_all_with_their_lines(api: FakeApi, shoal: Shoal, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("Name: x\nType: btach\nCuont: 3\n")
    done = shoal("job", "run", "bad.yaml")
    assert (done.code, done.out) == (2, "")
    assert "line 2: " in done.err
    assert "line 3: " in done.err
    assert "Count" in done.err
    assert api.requests == []


def test_a_relative_source_path_counts_from_the_file(api: FakeApi, shoal: Shoal, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "job.yaml").write_text(
        "Type: batch\nTasks: [{Name: main, Engine: {Type: process, Params: {Command: 'true'}},"
        " InputSources: [{Source: {Type: local, Params: {SourcePath: data}}, Target: /in}]}]\n"
    )
    job = submitted(api, shoal, "job", "run", "sub/job.yaml")
    source = job["Tasks"][0]["InputSources"][0]["Source"]["Params"]["SourcePath"]
    assert source == str(tmp_path / "sub" / "data")


def test_template_variables_are_put_in(api: FakeApi, shoal: Shoal, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        "Name: '{{.who}}'\nType: batch\nTasks: [{Name: main, Engine: {Type: process, Params: {Command: '{{ .what }}'}}}]\n"
    )
    job = submitted(api, shoal, "job", "run", "job.yaml", "-V", "who=fish,what=true")
    assert (job["Name"], job["Tasks"][0]["Engine"]["Params"]["Command"]) == ("fish", "true")
    refused = shoal("job", "run", "job.yaml", "-V", "who=fish")
    assert refused.code == 2
    assert "line 3: " in refused.err
    assert "'what'" in refused.err


def test_last_is_the_newest_job_from_here(api: FakeApi, shoal: Shoal, tmp_path: Path) -> None:
    done = shoal("job", "describe", "@last")
    assert (done.code, done.out) == (3, "")
    assert "no job was submitted from here" in done.err
    mine = {"bacalhau.org/client.instance.id": (tmp_path / ".shoal" / "instance").read_text().strip()}
    theirs = {"bacalhau.org/client.instance.id": "somebody"}
    jobs = [
        msgspec.structs.replace(job_of(1, JobStateType.RUNNING), id=name, meta=meta)
        for name, meta in (("j-3", theirs), ("j-2", mine), ("j-1", mine))
    ]
    api.on("GET", JOBS, JobList(next_token="", items=tuple(jobs)))
    shoal("job", "stop", "@last")
    assert api.requests[-1].method == "DELETE"
    assert api.requests[-1].url.path == f"{JOBS}/j-2"
