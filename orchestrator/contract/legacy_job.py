"""Jobs as programs for Bacalhau 1.3 and before say them: one struct of everything, to a job of today as plain data.

Their names match in any case, with or without `_`. What such a job asks and nothing here does is a problem, never left out.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import field

from orchestrator.contract.api import Problem
from orchestrator.contract.job import ResourcesConfig
from orchestrator.contract.spec import Spec
from orchestrator.contract.walk import covers, listed, nearest, shown

Given = dict[str, Any]

OPAQUE = frozenset({"params", "environmentvariables", "metadata", "s3"})
"""Objects whose keys are the user's."""
ENGINES = {"docker": "Docker", "wasm": "Wasm", "process": "Process"}
PUBLISHERS = {"": "local", "local": "local", "orchestrator": "local", "ipfs": "local", "noop": ""}
"""By which of today's. Results that were to go to IPFS are kept here: there, too, the next job asks for them by their CID."""
SOURCES = ("Inline", "LocalDirectory")
RESULT = re.compile(r"(j-[0-9a-f-]{36})\.(\d{1,6})", re.ASCII)
"""What names a partition's results where programs of that time want a CID; without `:` and `,`, at which they cut it."""
NAMES = (
    ("Tasks[0].Resources", "Spec.Resources"),
    ("Tasks[0].Publisher", "Spec.Publisher"),
    ("Tasks[0].Network", "Spec.Network"),
    ("Tasks[0].Timeouts.ExecutionTimeout", "Spec.Timeout"),
    ("Tasks[0].ResultPaths", "Spec.outputs"),
    ("Tasks[0].InputSources", "Spec.inputs"),
    ("Tasks[0].Env", "Spec.Wasm.EnvironmentVariables"),
    ("Constraints", "Spec.NodeSelectors"),
    ("Labels", "Spec.Annotations"),
    ("Count", "Spec.Deal.Concurrency"),
)
"""Where something of today's job stood in the one that was sent."""


class Config(Spec, frozen=True, kw_only=True):
    """An engine or publisher with its params, as versions 1.1 to 1.3 say it."""

    type: str = ""
    params: dict[str, Any] = field(default_factory=dict)


class Storage(Spec, frozen=True, kw_only=True):
    """An input, a module, or an output."""

    storage_source: str = ""
    name: str = ""
    cid: str = field(default="", name="CID")
    url: str = ""
    path: str = field(default="", name="path")
    source_path: str = ""
    read_write: bool = False
    repo: str = ""
    s3: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


class Docker(Spec, frozen=True, kw_only=True):
    """What the docker engine runs."""

    image: str = ""
    entrypoint: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    environment_variables: tuple[str, ...] = ()
    working_directory: str = ""


class Wasm(Spec, frozen=True, kw_only=True):
    """What the wasm engine runs."""

    entry_module: Storage = Storage()
    entry_point: str = ""
    parameters: tuple[str, ...] = ()
    environment_variables: dict[str, str] = field(default_factory=dict)
    import_modules: tuple[Storage, ...] = ()


class Network(Spec, frozen=True, kw_only=True):
    """What network a task sees."""

    type: str = ""
    domains: tuple[str, ...] = ()


class Selector(Spec, frozen=True, kw_only=True):
    """What a node's label must be."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class Deal(Spec, frozen=True, kw_only=True):
    """How many nodes run the job; here: how many partitions it has."""

    concurrency: int = 0
    confidence: int = 0
    min_bids: int = 0
    targeting_mode: str = ""


class LegacySpec(Spec, frozen=True, kw_only=True):
    """A whole job."""

    engine: str = ""
    engine_spec: Config = Config()
    verifier: str = ""
    publisher: str = ""
    publisher_spec: Config = Config()
    docker: Docker = Docker()
    wasm: Wasm = Wasm()
    language: dict[str, Any] = field(default_factory=dict)
    resources: ResourcesConfig = ResourcesConfig()
    network: Network = Network()
    timeout: float = 0
    inputs: tuple[Storage, ...] = field(default=(), name="inputs")
    outputs: tuple[Storage, ...] = field(default=(), name="outputs")
    annotations: tuple[str, ...] = ()
    node_selectors: tuple[Selector, ...] = ()
    do_not_track: bool = False
    deal: Deal = Deal()


class LegacyPayload(Spec, frozen=True, kw_only=True):
    """What is signed to submit a job."""

    api_version: str = field(default="", name="APIVersion")
    client_id: str
    spec: LegacySpec


def squeezed(plain: Any) -> Any:
    """Plain data with the `_` taken out of its keys, but for those that are the user's."""
    if isinstance(plain, list):
        return [squeezed(one) for one in plain]
    if not isinstance(plain, dict):
        return plain
    short = [(key.replace("_", ""), value) for key, value in plain.items()]
    return {key: value if key.lower() in OPAQUE else squeezed(value) for key, value in short}


def result_inputs(spec: LegacySpec) -> dict[str, list[tuple[str, int]]]:
    """The mounts that hold results kept here: of each, the job and partition whose they are."""
    found: dict[str, list[tuple[str, int]]] = {}
    for one in spec.inputs:
        named = RESULT.fullmatch(one.cid)
        if named and one.storage_source.lower() == "ipfs":
            found.setdefault(one.path, []).append((named[1], int(named[2])))
    return found


def modern(spec: LegacySpec, results: Mapping[str, str]) -> tuple[Given, tuple[Problem, ...]]:
    """The job as plain data, and what of it cannot be had here. `results`: data URLs of `result_inputs`."""
    problems: list[Problem] = []
    engine, env = _engine(spec, problems)
    problems += _impossible(spec)
    inputs = [
        source
        for at, one in enumerate(spec.inputs)
        if not (RESULT.fullmatch(one.cid) and one.path in results)
        for source in _source(one, f"Spec.inputs[{at}]", problems)
    ]
    inputs += [_target({"Type": "inline", "Params": {"URL": url}}, path) for path, url in results.items()]
    task: Given = {
        "Name": "main",
        "Engine": engine,
        "Publisher": {"Type": _publisher(spec, problems)},
        "Env": env,
        "InputSources": inputs,
        "ResultPaths": [{"Name": one.name, "Path": one.path} for one in spec.outputs],
        "Resources": _plain(spec.resources),
        "Timeouts": {"ExecutionTimeout": math.ceil(spec.timeout)},
    }
    if spec.network.type:
        task["Network"] = {"Type": spec.network.type, "Domains": list(spec.network.domains)}
    labels = (text.partition("=") for text in spec.annotations)
    job = {
        "Type": "ops" if spec.deal.targeting_mode.lower() == "all" else "batch",
        "Count": spec.deal.concurrency or 1,
        "Constraints": [_plain(one) for one in spec.node_selectors],
        "Labels": {key: value for key, _, value in labels},
        "Tasks": [task],
    }
    return job, tuple(problems)


def as_sent(problems: Sequence[Problem], spec: LegacySpec) -> tuple[Problem, ...]:
    """Problems of today's job by the names of the one that was sent."""
    name = spec.engine or spec.engine_spec.type
    params = "Spec.EngineSpec.Params" if spec.engine_spec.type else f"Spec.{ENGINES.get(name.lower(), 'Engine')}"
    names = (("Tasks[0].Engine.Params", params), ("Tasks[0].Engine", "Spec.Engine"), *NAMES)

    def renamed(path: str) -> str:
        return next((new + path[len(old) :] for old, new in names if covers(old, path)), path)

    return tuple(msgspec.structs.replace(one, path=renamed(one.path)) for one in problems)


def _plain(struct: Spec) -> Given:
    """A struct as it would be read from JSON."""
    plain: Given = msgspec.json.decode(msgspec.json.encode(struct))
    return plain


def _engine(spec: LegacySpec, problems: list[Problem]) -> tuple[Given, dict[str, str]]:
    """The engine, and the variables that stand beside it today."""
    word = spec.engine_spec.type or spec.engine
    match word.lower():
        case name if name in ENGINES and spec.engine_spec.type:
            return {"Type": name, "Params": spec.engine_spec.params}, {}
        case "docker":
            return {"Type": "docker", "Params": _plain(spec.docker)}, {}
        case "wasm":
            wasm = spec.wasm
            params: Given = {"Parameters": list(wasm.parameters)}
            for module in _source(wasm.entry_module, "Spec.Wasm.EntryModule", problems):
                params["EntryModule"] = module
            params["ImportModules"] = [
                module
                for at, one in enumerate(wasm.import_modules)
                for module in _source(one, f"Spec.Wasm.ImportModules[{at}]", problems)
            ]
            if wasm.entry_point:
                params["Entrypoint"] = wasm.entry_point
            return {"Type": "wasm", "Params": params}, wasm.environment_variables
        case _:
            where = "Spec.EngineSpec.Type" if spec.engine_spec.type else "Spec.Engine"
            problems.append(_unknown(where, word, ENGINES.values()))
            return {}, {}


def _publisher(spec: LegacySpec, problems: list[Problem]) -> str:
    word = spec.publisher_spec.type or spec.publisher
    if word.lower() not in PUBLISHERS:
        where = "Spec.PublisherSpec.Type" if spec.publisher_spec.type else "Spec.Publisher"
        problems.append(_unknown(where, word, ("Local", "IPFS (kept as Local)", "Noop", "none (then as Local)")))
    return PUBLISHERS.get(word.lower(), "")


def _impossible(spec: LegacySpec) -> Iterator[Problem]:
    """What is said elsewhere than with engine, publisher and inputs, and nothing here does."""
    if spec.verifier.lower() not in ("", "noop"):
        yield _unknown("Spec.Verifier", spec.verifier, ("Noop",))
    if any(spec.language.values()):
        yield Problem(path="Spec.Language", found="an object", allowed="nothing: programs run in Docker or Wasm")
    if spec.deal.targeting_mode.lower() not in ("", "any", "all"):
        yield _unknown("Spec.Deal.TargetingMode", spec.deal.targeting_mode, ("any", "all"))
    for name, number in (("Confidence", spec.deal.confidence), ("MinBids", spec.deal.min_bids)):
        if number not in (0, 1):
            yield Problem(path=f"Spec.Deal.{name}", found=shown(number), allowed="0 or 1: a partition runs once")
    if not 0 <= spec.timeout < 2**31:
        yield Problem(path="Spec.Timeout", found=shown(spec.timeout), allowed="seconds, 0 = no limit")


def _source(storage: Storage, path: str, problems: list[Problem]) -> list[Given]:
    """The input source that a storage is; none where it cannot be had."""
    match storage.storage_source.lower():
        case "inline":
            return [_target({"Type": "inline", "Params": {"URL": storage.url}}, storage.path)]
        case "localdirectory":
            params = {"SourcePath": storage.source_path, "ReadWrite": storage.read_write}
            return [_target({"Type": "localDirectory", "Params": params}, storage.path)]
        case "ipfs":
            allowed = "<job id>.<partition>, as `results` names them: there is no IPFS"
            problems.append(Problem(path=f"{path}.CID", found=shown(storage.cid), allowed=allowed))
        case "" if storage == Storage():
            return []
        case _:
            problems.append(_unknown(f"{path}.StorageSource", storage.storage_source, (*SOURCES, "IPFS (own results)")))
    return []


def _target(source: Given, path: str) -> Given:
    return {"Source": source, "Target": path}


def _unknown(path: str, word: str, known: Any) -> Problem:
    words = tuple(known)
    found = shown(word) if word else "nothing"
    return Problem(path=path, found=found, allowed=listed(words), hint=nearest(word, words))
