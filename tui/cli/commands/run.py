"""`docker run`, `process run` and `wasm run`: a job from flags, as Bacalhau's `docker run`."""

from collections.abc import Sequence
from typing import Any

import click

from orchestrator.contract.selectors import LabelSelector
from tui.cli.context import Context
from tui.cli.diagnostics import UsageError
from tui.cli.locations import input_source, module_input, publisher, result_path
from tui.cli.options import together
from tui.cli.submission import RunOptions, checked, run_options, submit

job_options = together(
    click.option("--name", default="", help="Name of the job."),
    click.option("--namespace", default="", help="Namespace of the job (default: default)."),
    click.option("-l", "--labels", multiple=True, metavar="K=V", help="Labels of the job."),
    click.option("--priority", type=int, default=0, help="Higher goes first."),
    click.option("--count", type=int, default=1, help="Number of partitions (default: 1)."),
    click.option("--target", type=click.Choice(["any", "all"]), default="any", help="all: one on every node."),
    click.option("--constraints", multiple=True, metavar="K=V", help="Labels that a node must have: region=eu,gpu!=none."),
    click.option("--task-name", default="main", help="Name of the task."),
    click.option("-e", "--env", multiple=True, metavar="K=V", help="Environment variables."),
    click.option("-i", "--input", "inputs", multiple=True, metavar="URI[:PATH]", help="file:///path, or src=,dst=,opt=."),
    click.option("-o", "--output", "outputs", multiple=True, metavar="NAME:PATH", help="A path whose content is kept as NAME."),
    click.option("-p", "--publisher", default="", help="Where results go: orchestrator, local, s3://bucket/key."),
    click.option("--cpu", default="", help="Cores of a partition: 500m, 2."),
    click.option("--memory", default="", help="512mb, 1gib."),
    click.option("--disk", default="", help="Disk of a partition."),
    click.option("--gpu", default="", help="GPUs of a partition."),
    click.option("--network", default="", help="Default, None, Host, HTTP or Bridge."),
    click.option("--domain", "domains", multiple=True, help="Host that HTTP networking may reach."),
    click.option("--timeout", default="", metavar="D", help="Limit of the whole job."),
    click.option("--queue-timeout", default="", metavar="D", help="Limit of its waiting."),
    click.option("-w", "--workdir", default="", help="Working directory of the program."),
    run_options,
)  # fmt: skip
MODULE = "main.wasm"
"""Where the module is, as Bacalhau's `wasm run` has it."""
RUN_FIELDS = RunOptions.__struct_fields__


@click.command()
@click.argument("image")
@click.argument("words", nargs=-1)
@job_options
@click.option("--entrypoint", multiple=True, metavar="WORD,...", help="In place of the image's own.")
@click.pass_obj
def docker_run(
    context: Context, /, image: str, words: tuple[str, ...], entrypoint: tuple[str, ...], **given: Any
) -> int:
    """Run a container image in --count partitions, and wait for the end of all.

    Each sees its number as BACALHAU_PARTITION_INDEX, and BACALHAU_PARTITION_COUNT:

    shoal docker run --count 3 ubuntu -- sh -c 'echo $BACALHAU_PARTITION_INDEX'
    """
    params = {
        "Image": image,
        "Parameters": list(words),
        "Entrypoint": [word for part in entrypoint for word in part.split(",")],
        "WorkingDirectory": given["workdir"],
    }
    return _run(context, "docker", params, given)


@click.command()
@click.argument("module")
@click.argument("words", nargs=-1)
@job_options
@click.option("--entry-point", default="_start", metavar="NAME", help="The exported function that is called.")
@click.option("-I", "--import-modules", multiple=True, metavar="FILE", help="Further modules that it needs.")
@click.pass_obj
def wasm_run(
    context: Context,
    /,
    module: str,
    words: tuple[str, ...],
    entry_point: str,
    import_modules: tuple[str, ...],
    **given: Any,
) -> int:
    """Run a WASM module (WASI preview 1) in --count partitions, and wait for the end of all.

    The module is a file here, which is sent with the job, or a URI as --input takes it.
    """
    imports = [f"import-{at}.wasm" for at in range(len(import_modules))]
    params = {
        "EntryModule": MODULE,
        "Entrypoint": entry_point,
        "Parameters": list(words),
        "ImportModules": imports,
    }
    modules = dict(zip([MODULE, *imports], [module, *import_modules], strict=True))
    return _run(context, "wasm", params, given, [module_input(uri, target) for target, uri in modules.items()])


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="PROGRAM")
@job_options
@click.pass_obj
def process_run(context: Context, /, words: tuple[str, ...], **given: Any) -> int:
    """Run a program of the nodes in --count partitions, and wait for the end of all.

    shoal process run --count 3 -- sh -c 'echo $BACALHAU_PARTITION_INDEX'
    """
    params = {"Command": words[0], "Arguments": list(words[1:]), "WorkingDirectory": given["workdir"]}
    return _run(context, "process", params, given)


def _run(
    context: Context,
    engine: str,
    params: dict[str, Any],
    given: dict[str, Any],
    modules: Sequence[dict[str, Any]] = (),
) -> int:
    plain = _job(engine, {key: value for key, value in params.items() if value}, given)
    if modules:
        plain["Tasks"][0]["InputSources"] = [*modules, *plain["Tasks"][0].get("InputSources", ())]
    job = checked(plain)
    return submit(context, job, RunOptions(**{name: given[name] for name in RUN_FIELDS}))


def _job(engine: str, params: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The job as a job file would say it; what was not given is left out."""
    network = {"Type": given["network"], "Domains": list(given["domains"])}
    task = {
        "Name": given["task_name"],
        "Engine": {"Type": engine, "Params": params},
        "Publisher": publisher(given["publisher"]) if given["publisher"] else None,
        "Env": _pairs("--env", given["env"]),
        "InputSources": [input_source(text) for text in given["inputs"]],
        "ResultPaths": [result_path(text) for text in given["outputs"]],
        "Resources": _given({name: given[name.lower()] for name in ("CPU", "Memory", "Disk", "GPU")}),
        "Network": _given(network),
        "Timeouts": _given({"TotalTimeout": given["timeout"], "QueueTimeout": given["queue_timeout"]}),
    }
    return {
        "Name": given["name"],
        "Namespace": given["namespace"],
        "Type": "ops" if given["target"] == "all" else "batch",
        "Priority": given["priority"],
        "Count": 0 if given["target"] == "all" else given["count"],
        "Constraints": _constraints(given["constraints"]),
        "Labels": _pairs("--labels", [part for text in given["labels"] for part in text.split(",")], needs_value=False),
        "Tasks": [_given(task)],
    }


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _pairs(option: str, texts: tuple[str, ...] | list[str], *, needs_value: bool = True) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name or (needs_value and not sign):
            message = f"{option}: found {text!r}, allowed: name=value"
            raise UsageError(message)
        pairs[name] = value
    return pairs


def _constraints(texts: tuple[str, ...]) -> list[dict[str, Any]]:
    try:
        selector = LabelSelector.parse(",".join(texts))
    except ValueError as error:
        message = f"--constraints: {error}"
        raise UsageError(message) from error
    return [{"Key": one.key, "Operator": one.operator, "Values": list(one.values)} for one in selector.constraints()]
