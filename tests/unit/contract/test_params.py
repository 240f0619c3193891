"""Typed views of params."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.contract.job import SpecConfig
from orchestrator.contract.params import (
    CreateAs,
    DockerParams,
    LocalSource,
    ParamsError,
    ProcessParams,
    docker_params,
    inline_source,
    local_source,
    no_params,
    process_params,
)


def config(**params: Any) -> SpecConfig:
    return SpecConfig(type="any", params=params)


def test_docker_params_match_in_any_case_and_null_is_absent() -> None:
    params = docker_params(
        config(
            IMAGE="ubuntu",
            entrypoint=None,
            parameters=["a"],
            EnvironmentVariables=["A=1", "B=x=y"],
            WorkingDirectory="",
        )
    )

    assert params == DockerParams(image="ubuntu", parameters=("a",), environment_variables=("A=1", "B=x=y"))
    assert params.environment == {"A": "1", "B": "x=y"}


def test_process_params() -> None:
    params = process_params(
        config(Command="sh", Arguments=["-c", ""], EnvironmentVariables=["A="], WorkingDirectory="/x")
    )

    assert params == ProcessParams(
        command="sh", arguments=("-c", ""), environment_variables=("A=",), working_directory="/x"
    )
    assert params.environment == {"A": ""}


Reader = Callable[[SpecConfig], object]


@pytest.mark.parametrize(
    ("read", "params", "path", "says"),
    [
        (docker_params, {}, "Params.Image", "invalid docker engine param: 'Image' cannot be empty"),
        (docker_params, {"Image": " "}, "Params.Image", "invalid docker engine param: 'Image' cannot be empty"),
        (docker_params, {"Image": 5}, "Params.Image", "quote it"),
        (docker_params, {"Image": "x", "Parameters": "a"}, "Params.Parameters", "a list"),
        (docker_params, {"Image": "x", "Parameters": ["a", 1]}, "Params.Parameters[1]", "quote it"),
        (docker_params, {"Image": "x", "Entrypoints": []}, "Params.Entrypoints", "did you mean Entrypoint?"),
        (
            docker_params,
            {"Image": "x", "EnvironmentVariables": ["BACALHAU_A=1"]},
            "Params.EnvironmentVariables[0]",
            "invalid docker engine param: environment variable 'BACALHAU_A' cannot start with BACALHAU_",
        ),
        (
            docker_params,
            {"Image": "x", "WorkingDirectory": "y"},
            "Params.WorkingDirectory",
            "invalid docker engine param: 'WorkingDirectory' (\"y\") must contain absolute path",
        ),
        (process_params, {}, "Params.Command", "'Command' cannot be empty"),
        (process_params, {"Command": "sh", "Arguments": ["\0"]}, "Params.Arguments[0]", "null character"),
        (
            process_params,
            {"Command": "sh", "EnvironmentVariables": ["A"]},
            "Params.EnvironmentVariables[0]",
            "no value",
        ),
        (process_params, {"Command": "sh", "EnvironmentVariables": ["=A"]}, "Params.EnvironmentVariables[0]", "empty"),
        (process_params, {"Command": "sh", "WorkingDirectory": "x"}, "Params.WorkingDirectory", "absolute path"),
        (local_source, {}, "Params.SourcePath", "an absolute path"),
        (local_source, {"SourcePath": "a"}, "Params.SourcePath", "an absolute path"),
        (local_source, {"SourcePath": "/a", "ReadWrite": "maybe"}, "Params.ReadWrite", "true or false"),
        (local_source, {"SourcePath": "/a", "CreateAs": "x"}, "Params.CreateAs", "invalid CreateAs value x"),
        (inline_source, {}, "Params.URL", "begins with data:"),
        (inline_source, {"URL": "http://x"}, "Params.URL", "begins with data:"),
        (inline_source, {"URL": "data:text/plain"}, "Params.URL", "comma"),
        (inline_source, {"URL": "data:x y,a"}, "Params.URL", "media type"),
        (inline_source, {"URL": "data:;base64,a!"}, "Params.URL", "base64"),
        (no_params, {"x": 1}, "Params.x", "unknown key"),
    ],
)
def test_bad_params_are_told_with_path_and_reason(read: Reader, params: dict[str, Any], path: str, says: str) -> None:
    with pytest.raises(ParamsError) as caught:
        read(config(**params))

    (problem,) = caught.value.problems
    assert problem.path == path
    assert says in f"{problem} {problem.hint}"


def test_every_problem_of_params_is_told() -> None:
    with pytest.raises(ParamsError) as caught:
        docker_params(config(Imag="x", Parameters="y", WorkingDirectory="z"), "E")

    assert {problem.path for problem in caught.value.problems} == {
        "E.Imag",
        "E.Image",
        "E.Parameters",
        "E.WorkingDirectory",
    }


def test_local_source_is_normal_and_read_only_unless_asked() -> None:
    assert local_source(config(SourcePath="/a//b/../c", CreateAs="")) == LocalSource(source_path="/a/c")
    assert local_source(config(sourcepath="/a", readwrite="true", createas="DIR")) == LocalSource(
        source_path="/a", read_write=True, create_as=CreateAs.DIR
    )


@pytest.mark.parametrize(
    ("url", "media_type", "content"),
    [
        ("data:,hello%20world", "text/plain", b"hello world"),
        ("data:;base64,aGk=", "text/plain", b"hi"),
        ("data:;base64,aGk", "text/plain", b"hi"),
        ("DATA:text/csv;charset=utf-8,a,b", "text/csv", b"a,b"),
        (f"data:application/gzip;base64,{base64.b64encode(b'zip').decode()}", "application/gzip", b"zip"),
        ("data:application/octet-stream;base64,AAEC", "application/octet-stream", b"\0\1\2"),
    ],
)
def test_inline_source_is_its_data(url: str, media_type: str, content: bytes) -> None:
    source = inline_source(config(URL=url))

    assert (source.media_type, source.content) == (media_type, content)
    assert source.is_archive == (media_type == "application/gzip")
