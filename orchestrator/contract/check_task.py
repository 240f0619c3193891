"""Rules of a task: engine, inputs, results, variables, resources, timeouts. Sentences are Bacalhau's where it has one."""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import msgspec

from orchestrator.contract.api import Problem
from orchestrator.contract.check_network import network_problems
from orchestrator.contract.job import ResourcesConfig, ResultPath, SpecConfig, Task, TimeoutConfig
from orchestrator.contract.params import (
    ENGINES,
    INPUT_SOURCES,
    PUBLISHERS,
    RESERVED,
    UNBUILT_ENGINES,
    UNBUILT_INPUT_SOURCES,
    UNBUILT_PUBLISHERS,
    ParamsError,
    docker_params,
    inline_source,
    local_source,
    no_params,
    process_params,
    wasm_params,
)
from orchestrator.contract.units import MAX_SECONDS, format_duration, parse_cpu, parse_gpu, parse_size
from orchestrator.contract.walk import MAX_PROBLEMS, below, listed, nearest, shown

RESULT_FILES = frozenset({"stdout", "stderr", "exitCode"})
"""What every archive of results holds beside the result paths."""

_READERS: dict[str, Callable[[SpecConfig, str], object]] = {
    "docker": docker_params,
    "process": process_params,
    "wasm": wasm_params,
    "local": local_source,
    "localdirectory": local_source,
    "inline": inline_source,
}


def task_problems(task: Task, path: str) -> list[Problem]:
    """Everything that is wrong with a task; `path` is where it is in its job."""
    prefix = f"task {task.name} validation failed: "
    problems = [
        *_name_problems(task.name, f"{path}.Name"),
        *_config_problems(task.engine, f"{path}.Engine", "engine", ENGINES, UNBUILT_ENGINES),
        *_publisher_problems(task.publisher, f"{path}.Publisher"),
        *islice(_environment_problems(task, f"{path}.Env"), MAX_PROBLEMS),
        *islice(_input_problems(task, f"{path}.InputSources"), MAX_PROBLEMS),
        *islice(_result_problems(task, f"{path}.ResultPaths"), MAX_PROBLEMS),
        *resource_problems(task.resources, f"{path}.Resources"),
        *network_problems(task.network, f"{path}.Network", task.engine.type),
        *_timeout_problems(task.timeouts, f"{path}.Timeouts"),
    ]
    return [
        msgspec.structs.replace(problem, message=prefix + problem.message) if problem.message else problem
        for problem in problems
    ]


def _name_problems(name: str, path: str) -> Iterator[Problem]:
    if not name.strip():
        yield Problem(
            path=path, found=shown(name) if name else "nothing", allowed="a name", message="missing task name"
        )
    elif "\0" in name:
        message = "task name cannot contain null characters"
        yield Problem(path=path, found=shown(name), allowed="printable text", message=message)
    elif not name.isprintable() or len(name) > 253:
        yield Problem(path=path, found=shown(name), allowed="printable text of at most 253 characters")


def _config_problems(
    config: SpecConfig, path: str, what: str, known: Sequence[str], unbuilt: Sequence[str]
) -> Iterator[Problem]:
    """Whether an engine, input source or publisher is known, works already, and has the params that it takes."""
    place, kind = f"{path}.Type", config.type.lower()
    if not kind:
        message = f"invalid {what}: missing spec type"
        yield Problem(path=place, found="nothing", allowed=listed(known), message=message)
    elif kind in {word.lower() for word in unbuilt}:
        message = f"{what} {config.type!r} is not built yet; there {'are' if len(known) > 1 else 'is'} {listed(known)}"
        yield Problem(path=place, found=shown(config.type), allowed=listed(known), message=message)
    elif kind not in {word.lower() for word in known}:
        hint = nearest(kind, (*known, *unbuilt))
        yield Problem(path=place, found=shown(config.type), allowed=listed(known), hint=hint)
    else:
        try:
            (no_params if what == "publisher" else _READERS[kind])(config, f"{path}.Params")
        except ParamsError as error:
            yield from error.problems


def _publisher_problems(publisher: SpecConfig, path: str) -> Iterator[Problem]:
    if publisher.type or publisher.params:
        yield from _config_problems(publisher, path, "publisher", PUBLISHERS, UNBUILT_PUBLISHERS)


def _environment_problems(task: Task, path: str) -> Iterator[Problem]:
    for name, value in task.env.items():
        letters = name.replace("_", "")
        message = ""
        if not name:
            message = "environment variable name cannot be empty"
        elif name != name.upper():
            message = f"environment variable '{name}' must be uppercase"
        elif not (name[0].isascii() and name[0].isalpha()):
            message = f"environment variable '{name}' must start with a letter"
        elif not (name.isascii() and (letters.isalnum() or not letters)):
            message = f"environment variable '{name}' can only contain letters, numbers, and underscores"
        elif name.startswith(RESERVED):
            message = f"environment variable '{name}' cannot start with {RESERVED}"
        elif not value:
            message = f"environment variable '{name}' cannot have empty value"
        if message:
            found = "no value" if name and not value else f"name {shown(name)}"
            yield Problem(path=below(path, name), found=found, allowed="NAME: value, A-Z, 0-9 and _", message=message)


def _input_problems(task: Task, path: str) -> Iterator[Problem]:
    aliases: set[str] = set()
    targets: set[str] = set()
    for at, source in enumerate(task.input_sources):
        place = f"{path}[{at}]"
        for problem in _config_problems(
            source.source, f"{place}.Source", "input source", INPUT_SOURCES, UNBUILT_INPUT_SOURCES
        ):
            message = f"invalid input sources: {problem.message}" if problem.message else ""
            yield msgspec.structs.replace(problem, message=message)
        target = posixpath.normpath(source.target) if source.target else ""
        if not target:
            message = "invalid input sources: input source is missing a target"
            yield Problem(path=f"{place}.Target", found="nothing", allowed="an absolute path", message=message)
        elif not _is_mountable(source.target) and task.engine.type.lower() != "wasm":
            yield Problem(path=f"{place}.Target", found=shown(source.target), allowed="an absolute path below /")
        elif target in targets:
            message = f"input source with target '{source.target}' already exists"
            yield Problem(
                path=f"{place}.Target", found=shown(source.target), allowed="each target once", message=message
            )
        if source.alias and source.alias in aliases:
            message = f"input source with alias '{source.alias}' already exists"
            yield Problem(path=f"{place}.Alias", found=shown(source.alias), allowed="each alias once", message=message)
        aliases.add(source.alias)
        targets.add(target)


def _result_problems(task: Task, path: str) -> Iterator[Problem]:
    names: set[str] = set()
    paths: set[str] = set()
    targets = {posixpath.normpath(source.target) for source in task.input_sources if source.target}
    for at, result in enumerate(task.result_paths):
        place = f"{path}[{at}]"
        yield from _result_name_problems(result, f"{place}.Name", names)
        normal = posixpath.normpath(result.path) if result.path else ""
        message = allowed = ""
        if not normal:
            message, allowed = "invalid output: missing path", "an absolute path"
        elif not normal.startswith("/"):
            message, allowed = f"invalid output: result path `{result.path}` must be absolute", "an absolute path"
        elif not _is_mountable(result.path):
            message, allowed = f"invalid output: result path `{result.path}` cannot be kept", "a path below /"
        elif normal in paths:
            message, allowed = f"result path '{result.path}' already exists", "each path once"
        elif normal in targets:
            message = f"invalid output: result path '{result.path}' is the target of an input, too"
            allowed = "a path that is no input's"
        if message:
            found = shown(result.path) if result.path else "nothing"
            yield Problem(path=f"{place}.Path", found=found, allowed=allowed, message=message)
        names.add(result.name)
        paths.add(normal)
    if task.result_paths and not task.publisher.type:
        message = "publisher must be set if result paths are set"
        where = f"{path.removesuffix('ResultPaths')}Publisher"
        yield Problem(path=where, found="nothing", allowed=listed(PUBLISHERS), message=message)


def _result_name_problems(result: ResultPath, path: str, names: set[str]) -> Iterator[Problem]:
    name = result.name
    is_file_name = name not in (".", "..") and "/" not in name and name.isprintable() and len(name.encode()) <= 255
    if not name:
        yield Problem(path=path, found="nothing", allowed="a name", message="invalid output: missing name")
    elif name in names:
        message = f"result path with name '{name}' already exists"
        yield Problem(path=path, found=shown(name), allowed="each name once", message=message)
    elif name in RESULT_FILES or not is_file_name:
        allowed = f"a file name, but not {listed(sorted(RESULT_FILES))}: the results hold a directory of this name"
        yield Problem(path=path, found=shown(name), allowed=allowed)


def _is_mountable(path: str) -> bool:
    normal = posixpath.normpath(path)
    return normal.startswith("/") and normal.strip("/") != "" and ".." not in path.split("/") and path.isprintable()


def resource_problems(config: ResourcesConfig, path: str) -> Iterator[Problem]:
    """What is wrong with amounts of resources."""
    amounts: tuple[tuple[str, str, str, Callable[[str], float], str], ...] = (
        ("CPU", "CPU", config.cpu, parse_cpu, "cores: 0.5, 500m, 2"),
        ("Memory", "memory", config.memory, parse_size, "bytes: 512mb, 1gib"),
        ("Disk", "disk", config.disk, parse_size, "bytes: 512mb, 1gib"),
        ("GPU", "GPU", config.gpu, parse_gpu, "a whole number"),
    )
    for key, word, text, parse, allowed in amounts:
        try:
            parse(text)
        except ValueError:
            message = f"invalid resources: invalid {word} value: {text}"
            yield Problem(path=f"{path}.{key}", found=shown(text), allowed=allowed, message=message)


def _timeout_problems(timeouts: TimeoutConfig, path: str) -> Iterator[Problem]:
    execution, queue, total = timeouts.execution_timeout, timeouts.queue_timeout, timeouts.total_timeout
    # Bacalhau prints the total timeout where the execution timeout is wrong, and where there is none.
    for key, word, value, printed in (
        ("ExecutionTimeout", "execution", execution, total),
        ("QueueTimeout", "queue", queue, queue),
        ("TotalTimeout", "total", total, total),
    ):
        if value < 0:
            message = f"invalid timeouts: invalid {word} timeout value: {format_duration(printed)}"
            yield Problem(path=f"{path}.{key}", found=shown(value), allowed="0 (none) or more seconds", message=message)
        elif value > MAX_SECONDS:
            yield Problem(path=f"{path}.{key}", found=shown(value), allowed=f"at most {MAX_SECONDS} seconds")
    if min(execution, queue) >= 0 and 0 < total < execution + queue:
        message = (
            f"task timeouts validation failed: execution timeout {format_duration(execution or total)}"
            f" and queue timeout {format_duration(queue)} should be less than total timeout {format_duration(total)}"
        )
        found = f"{execution} + {queue} > {total} seconds"
        yield Problem(
            path=f"{path}.TotalTimeout", found=found, allowed="the sum of the others or more", message=message
        )
