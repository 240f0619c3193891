"""Older clients name the modules of a wasm task as inputs inside its params: they become inputs, the params their targets."""

from collections.abc import Mapping
from typing import Any

ENTRY = "/wasm/entry.wasm"
IMPORT = "/wasm/imports/module_{}.wasm"

Given = dict[str, Any]


def with_modules(task: Given) -> Given:
    """A task (by its names on the wire) with such modules as inputs; any other is returned as it is."""
    engine = task.get("Engine", {})
    if engine.get("Type", "").strip().lower() != "wasm":
        return task
    params: Given = dict(engine.get("Params", {}))
    inputs: list[Given] = []

    def target_of(module: object, target: str) -> object:
        source = source_of(module)
        if source is None:
            return module
        inputs.append(source | {"Target": target})
        return target

    for name, value in params.items():
        if name.lower() == "entrymodule":
            params[name] = target_of(value, ENTRY)
        elif name.lower() == "importmodules" and isinstance(value, list):
            params[name] = [target_of(module, IMPORT.format(at)) for at, module in enumerate(value)]
    if not inputs:
        return task
    return task | {"Engine": engine | {"Params": params}, "InputSources": [*task.get("InputSources", []), *inputs]}


def source_of(module: object) -> Given | None:
    """An input source, its keys in any case; None = it is none, and refused where params are read."""
    if not isinstance(module, Mapping):
        return None
    source = named(module, "source")
    kind, params = named(source, "type"), named(source, "params")
    params = {} if params is None else params
    if not isinstance(kind, str) or not isinstance(params, dict):
        return None
    alias = named(module, "alias")
    return {"Source": {"Type": kind, "Params": params}, "Alias": alias if isinstance(alias, str) else ""}


def named(plain: object, name: str) -> object:
    """What plain data has under a name, whatever its case; None = nothing."""
    if not isinstance(plain, Mapping):
        return None
    return next((value for key, value in plain.items() if isinstance(key, str) and key.lower() == name), None)
