"""Typed views of the free-form params of engines and input sources; the server checks with them what nodes then use.

Names match in any case. Everything that is wrong is in one ParamsError.
"""

import base64
import binascii
import enum
import posixpath
import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from orchestrator.contract.api import Problem
from orchestrator.contract.job import SpecConfig
from orchestrator.contract.spec import Spec
from orchestrator.contract.walk import Walk, below, listed, plain_problems, shown

ENGINES = ("docker", "process", "wasm")
UNBUILT_ENGINES: tuple[str, ...] = ()
INPUT_SOURCES = ("local", "localDirectory", "inline")
UNBUILT_INPUT_SOURCES = ("urlDownload", "s3", "ipfs", "gcs", "azure", "job")
PUBLISHERS = ("orchestrator", "local")
"""Both are kept by the orchestrator."""
UNBUILT_PUBLISHERS = ("s3", "s3managed", "ipfs")

RESERVED = "BACALHAU_"
"""Variables that begin so are ours to set."""

P = TypeVar("P", bound=Spec)


class ParamsError(ValueError):
    """Params that make no sense. `problems` names each; paths begin with the `path` that was given."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class DockerParams(Spec, frozen=True, kw_only=True):
    """What the docker engine runs."""

    image: str = ""
    entrypoint: tuple[str, ...] = ()
    """Empty = the image's own."""
    parameters: tuple[str, ...] = ()
    """Arguments of the entrypoint; empty = the image's own command."""
    environment_variables: tuple[str, ...] = ()
    """`K=V` each."""
    working_directory: str = ""
    """Absolute; empty = the image's own."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables by name; the last of a name counts."""
        return dict(_split(pair) for pair in self.environment_variables)


class ProcessParams(Spec, frozen=True, kw_only=True):
    """What the process engine runs."""

    command: str = ""
    """A path, or a name to be found in PATH."""
    arguments: tuple[str, ...] = ()
    environment_variables: tuple[str, ...] = ()
    """`K=V` each."""
    working_directory: str = ""
    """Absolute; empty = the execution's own work directory."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables by name; the last of a name counts."""
        return dict(_split(pair) for pair in self.environment_variables)


class WasmParams(Spec, frozen=True, kw_only=True):
    """What the wasm engine runs."""

    entry_module: str = ""
    """Target of the input that holds the module."""
    entrypoint: str = "_start"
    """The exported function that is called."""
    parameters: tuple[str, ...] = ()
    """argv of the module after its own name."""
    import_modules: tuple[str, ...] = ()
    """Targets of inputs that hold further modules."""


class CreateAs(enum.StrEnum):
    """What becomes of a local path that does not exist."""

    DIR = "dir"
    FILE = "file"
    NO_CREATE = "noCreate"


class LocalSource(Spec, frozen=True, kw_only=True):
    """A file or directory of the node."""

    source_path: str
    """Absolute and normal."""
    read_write: bool = False
    create_as: CreateAs = CreateAs.NO_CREATE


class InlineSource(Spec, frozen=True, kw_only=True):
    """Data that came with the job."""

    media_type: str
    content: bytes

    @property
    def is_archive(self) -> bool:
        """Whether it is a gzipped tar file, to be unpacked as a directory; else it is one file."""
        return self.media_type == "application/gzip"


class _LocalParams(Spec, frozen=True, kw_only=True):
    source_path: str = ""
    read_write: bool = False
    create_as: str = ""


class _InlineParams(Spec, frozen=True, kw_only=True):
    url: str = ""


class _NoParams(Spec, frozen=True, kw_only=True):
    pass


def docker_params(config: SpecConfig, path: str = "Params") -> DockerParams:
    """The params of a docker engine. Raises ParamsError."""
    params, problems = _read(config.params, DockerParams, path)
    if not params.image.strip() and not _is_named(problems, below(path, "Image")):
        message = "invalid docker engine param: 'Image' cannot be empty"
        problems.append(
            Problem(path=below(path, "Image"), found="nothing", allowed="an image, like ubuntu:24.04", message=message)
        )
    problems += _environment_problems(params.environment_variables, path, "docker")
    problems += _directory_problems(params.working_directory, path, "docker")
    return _result(params, problems)


def process_params(config: SpecConfig, path: str = "Params") -> ProcessParams:
    """The params of a process engine. Raises ParamsError."""
    params, problems = _read(config.params, ProcessParams, path)
    if not params.command.strip() and not _is_named(problems, below(path, "Command")):
        message = "invalid process engine param: 'Command' cannot be empty"
        problems.append(
            Problem(path=below(path, "Command"), found="nothing", allowed="a program, like sh", message=message)
        )
    problems += _environment_problems(params.environment_variables, path, "process")
    problems += _directory_problems(params.working_directory, path, "process")
    return _result(params, problems)


def wasm_params(config: SpecConfig, path: str = "Params") -> WasmParams:
    """The params of a wasm engine. Raises ParamsError."""
    params, problems = _read(config.params, WasmParams, path)
    place = below(path, "EntryModule")
    if not params.entry_module.strip() and not _is_named(problems, place):
        message = "invalid wasm engine param: 'EntryModule' cannot be empty"
        allowed = "the target of an input that holds the module"
        problems.append(Problem(path=place, found="nothing", allowed=allowed, message=message))
    return _result(msgspec.structs.replace(params, entrypoint=params.entrypoint or "_start"), problems)


def local_source(config: SpecConfig, path: str = "Params") -> LocalSource:
    """The params of a `local` (or `localDirectory`) input. Raises ParamsError."""
    params, problems = _read(config.params, _LocalParams, path)
    source, place = params.source_path, below(path, "SourcePath")
    if not source.startswith("/") and not _is_named(problems, place):
        problems.append(
            Problem(path=place, found=shown(source) if source else "nothing", allowed="an absolute path of the node")
        )
    by_lower = {word.lower(): word for word in CreateAs}
    create_as = by_lower.get(params.create_as.lower() or CreateAs.NO_CREATE.lower())
    if create_as is None:
        message = f"invalid CreateAs value {params.create_as}"
        place = below(path, "CreateAs")
        problems.append(Problem(path=place, found=shown(params.create_as), allowed=listed(CreateAs), message=message))
        create_as = CreateAs.NO_CREATE
    normal = posixpath.normpath(source) if source else ""
    return _result(LocalSource(source_path=normal, read_write=params.read_write, create_as=create_as), problems)


def inline_source(config: SpecConfig, path: str = "Params") -> InlineSource:
    """The data of an `inline` input: its `URL` is an RFC 2397 data URL. Raises ParamsError."""
    params, problems = _read(config.params, _InlineParams, path)
    source = InlineSource(media_type="", content=b"")
    if not problems:
        try:
            source = _data_url(params.url)
        except ValueError as error:
            allowed = "data:[<media type>][;base64],<data>"
            problems.append(Problem(path=below(path, "URL"), found=shown(params.url), allowed=allowed, hint=str(error)))
    return _result(source, problems)


def no_params(config: SpecConfig, path: str = "Params") -> None:
    """For what takes no params. Raises ParamsError if there are some."""
    _result(*_read(config.params, _NoParams, path))


def environment_name_problem(name: str) -> str:
    """What is wrong with a variable's name in `EnvironmentVariables`; empty = nothing."""
    if not name:
        return "environment variable name cannot be empty"
    if name.upper().startswith(RESERVED):
        return f"environment variable '{name}' cannot start with {RESERVED}"
    return ""


def _read(raw: Mapping[str, object], kind: type[P], path: str) -> tuple[P, list[Problem]]:
    plain = [_under(path, problem) for problem in plain_problems(dict(raw))]
    if plain:
        raise ParamsError(plain)
    walk = Walk()
    given = walk.struct(raw, kind, path)
    return msgspec.convert(given, kind), walk.problems


def _under(path: str, problem: Problem) -> Problem:
    return msgspec.structs.replace(problem, path=below(path, problem.path) if problem.path else path)


def _result(params: P, problems: list[Problem]) -> P:
    if problems:
        raise ParamsError(problems)
    return params


def _is_named(problems: list[Problem], path: str) -> bool:
    return any(problem.path == path for problem in problems)


def _split(pair: str) -> tuple[str, str]:
    name, _, value = pair.partition("=")
    return name, value


def _environment_problems(pairs: tuple[str, ...], path: str, engine: str) -> list[Problem]:
    problems = []
    for at, pair in enumerate(pairs):
        name, equals, _ = pair.partition("=")
        reason = environment_name_problem(name) or ("" if equals else f"environment variable '{name}' has no value")
        if reason:
            message = f"invalid {engine} engine param: {reason}"
            place = f"{below(path, 'EnvironmentVariables')}[{at}]"
            problems.append(Problem(path=place, found=shown(pair), allowed="NAME=value", message=message))
    return problems


def _directory_problems(directory: str, path: str, engine: str) -> list[Problem]:
    if not directory or directory.startswith("/"):
        return []
    message = f"invalid {engine} engine param: 'WorkingDirectory' (\"{directory}\") must contain absolute path"
    place = below(path, "WorkingDirectory")
    return [Problem(path=place, found=shown(directory), allowed="an absolute path", message=message)]


_MEDIA_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)


def _data_url(url: str) -> InlineSource:
    """Read an RFC 2397 data URL. Raises ValueError with what is wrong with it."""
    if url[:5].lower() != "data:":
        message = "it begins with data:"
        raise ValueError(message)
    head, comma, body = url[5:].partition(",")
    if not comma:
        message = "the data follows a comma"
        raise ValueError(message)
    media_type, *attributes = head.split(";")
    media_type = media_type.strip().lower() or "text/plain"
    if not _MEDIA_TYPE.fullmatch(media_type):
        message = f"{media_type!r} is no media type"
        raise ValueError(message)
    content = unquote_to_bytes(body)
    if attributes and attributes[-1].strip().lower() == "base64":
        try:
            squeezed = b"".join(content.split())
            content = base64.b64decode(squeezed + b"=" * (-len(squeezed) % 4), validate=True)
        except binascii.Error as error:
            message = f"the data is no base64: {error}"
            raise ValueError(message) from error
    return InlineSource(media_type=media_type, content=content)
