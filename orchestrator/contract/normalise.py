"""From the given fields of a job to the whole job: defaults, trimmed text, canonical words, and the warnings of it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.contract.api import Problem
from orchestrator.contract.job import Job, JobStateType, JobType
from orchestrator.contract.legacy_wasm import with_modules
from orchestrator.contract.units import squeezed
from orchestrator.contract.walk import listed, nearest, shown

DEFAULT_CPU = "500m"
DEFAULT_MEMORY = "512mb"
DEFAULT_NAMESPACE = "default"
NETWORKS = ("Default", "None", "Host", "Full", "HTTP", "Bridge")
RESERVED_META = "bacalhau.org/"
"""Meta keys that begin so are the server's."""

_IGNORED = {
    "State": "job state is ignored when submitting a job",
    "Revision": "job revision is ignored when submitting a job",
    "Version": "job version is ignored when submitting a job",
    "CreateTime": "job create time is ignored when submitting a job",
    "ModifyTime": "job modify time is ignored when submitting a job",
}
_STATES = frozenset(state.lower() for state in JobStateType) - {JobStateType.UNDEFINED.lower()}

Given = dict[str, Any]


class Normal(msgspec.Struct, frozen=True, kw_only=True):
    """A whole job. Where something was missing that nothing can stand for, a stand-in is there and a problem says so."""

    job: Job
    problems: list[Problem]
    warnings: tuple[str, ...]


def normalise(given: Mapping[str, Any], servers: Mapping[str, Any]) -> Normal:
    """The job of its given fields (by their names on the wire). `servers`: what the client sent of the server's fields."""
    problems: list[Problem] = []
    warnings = [sentence for name, sentence in _IGNORED.items() if _carries(name, servers.get(name))]
    job_type = given.get("Type", "")
    client_id = servers.get("ID") if isinstance(servers.get("ID"), str) else ""
    if not job_type:
        problems.append(_missing("Type", listed(JobType), "missing job type"))
        job_type = JobType.BATCH.value
    is_everywhere = job_type in (JobType.OPS, JobType.DAEMON)
    is_once = job_type in (JobType.BATCH, JobType.OPS)
    if client_id and is_once:
        warnings.append("job ID is ignored when submitting a batch job")
    count = given.get("Count", 0 if is_everywhere else 1)
    if is_everywhere and count > 1:
        message = f"{job_type} jobs cannot specify count > 1 as they run on all matching nodes"
        problems.append(Problem(path="Count", found=shown(count), allowed="0 or 1", message=message))
    tasks = given.get("Tasks", [])
    if len(tasks) > 1:
        warnings.append("only one task is supported per job")
    meta = given.get("Meta", {})
    reserved = sorted(key for key in meta if key.startswith(RESERVED_META))
    warnings += [f'job meta key "{key}" is reserved and will be ignored' for key in reserved]
    whole = {
        "Priority": 0,
        "Labels": {},
        **given,
        "ID": "" if is_once else client_id,
        "Name": given.get("Name") or client_id,
        "Namespace": given.get("Namespace") or DEFAULT_NAMESPACE,
        "Type": job_type,
        "Count": 0 if is_everywhere else count,
        "Constraints": [{"Key": "", "Operator": ""} | one for one in given.get("Constraints", [])],
        "Meta": {key: value for key, value in meta.items() if key not in reserved},
        "Tasks": [_task(task, f"Tasks[{at}]", problems) for at, task in enumerate(tasks[:1])],
        "State": {"StateType": JobStateType.PENDING.value},
        "Version": 0,
        "Revision": 0,
        "CreateTime": 0,
        "ModifyTime": 0,
    }
    return Normal(job=msgspec.convert(whole, Job), problems=problems, warnings=tuple(warnings))


def _carries(name: str, value: object) -> bool:
    """Whether a field of the server's says anything."""
    if name != "State":
        return bool(value)
    if isinstance(value, dict):
        value = next((word for key, word in value.items() if str(key).lower() == "statetype"), "")
    return isinstance(value, str) and value.lower() in _STATES


def _task(given: Given, path: str, problems: list[Problem]) -> Given:
    name = given.get("Name", "")
    if "Engine" not in given:
        message = f"task {name} validation failed: invalid engine: nil spec config"
        problems.append(_missing(f"{path}.Engine", "an engine: {Type: ..., Params: {...}}", message))
    results = [
        {"Name": one.get("Name", "").strip(), "Path": one.get("Path", "").strip()}
        for one in given.get("ResultPaths", [])
    ]
    publisher = _config(given.get("Publisher", {}))
    if results and publisher == {"Type": ""}:
        publisher = {"Type": "orchestrator"}
    given = with_modules(given)
    asked = {key: squeezed(text) for key, text in given.get("Resources", {}).items()}
    return given | {
        "Name": name,
        "Engine": _config(given.get("Engine", {})),
        "Publisher": publisher,
        "InputSources": [
            _input(one, f"{path}.InputSources[{at}]", name, problems)
            for at, one in enumerate(given.get("InputSources", []))
        ],
        "ResultPaths": results,
        "Resources": asked | {"CPU": asked.get("CPU") or DEFAULT_CPU, "Memory": asked.get("Memory") or DEFAULT_MEMORY},
        "Network": _network(given.get("Network", {}), f"{path}.Network", problems),
        "Timeouts": given.get("Timeouts", {}),
    }


def _config(given: Given) -> Given:
    """A spec config with its type trimmed; empty params are left out."""
    config = {"Type": given.get("Type", "").strip()}
    return config | {"Params": given["Params"]} if given.get("Params") else config


def _input(given: Given, path: str, task: str, problems: list[Problem]) -> Given:
    if "Source" not in given:
        message = f"task {task} validation failed: invalid input sources: invalid input source: nil spec config"
        problems.append(_missing(f"{path}.Source", "a source: {Type: ..., Params: {...}}", message))
    return {
        "Source": _config(given.get("Source", {})),
        "Alias": given.get("Alias", "").strip(),
        "Target": given.get("Target", "").strip(),
    }


def _network(given: Given, path: str, problems: list[Problem]) -> Given:
    by_lower = {word.lower(): word for word in NETWORKS}
    word = given.get("Type") or "Default"
    network = by_lower.get(word.strip().lower())
    if network is None:
        problems.append(
            Problem(path=f"{path}.Type", found=shown(word), allowed=listed(NETWORKS), hint=nearest(word, NETWORKS))
        )
    ports = [{"Name": ""} | port for port in given.get("Ports", [])]
    domains = [domain.strip().lower() for domain in given.get("Domains", [])]
    return {"Type": network or "Default", "Domains": domains, "Ports": ports}


def _missing(path: str, allowed: str, message: str) -> Problem:
    return Problem(path=path, found="nothing", allowed=allowed, message=message)
