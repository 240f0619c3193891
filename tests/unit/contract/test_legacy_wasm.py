from typing import Any

import pytest

from orchestrator.contract.decode import decode_job
from orchestrator.contract.params import wasm_params


def job(**params: Any) -> dict[str, Any]:
    return {"Type": "batch", "Tasks": [{"Name": "main", "Engine": {"Type": "wasm", "Params": params}}]}


def module(url: str = "data:,x") -> dict[str, Any]:
    return {"Source": {"Type": "inline", "Params": {"URL": url}}, "Alias": "", "Target": "elsewhere"}


def test_modules_that_are_inputs_inside_the_params_become_inputs() -> None:
    decoded = decode_job(
        job(
            EntryModule=module(), ImportModules=[module(), {"source": {"type": "inline", "params": {"URL": "data:,y"}}}]
        )
    )
    assert decoded.problems == ()
    assert decoded.job is not None
    params = wasm_params(decoded.job.task.engine)
    assert params.entry_module == "/wasm/entry.wasm"
    assert params.import_modules == ("/wasm/imports/module_0.wasm", "/wasm/imports/module_1.wasm")
    assert [source.target for source in decoded.job.task.input_sources] == [params.entry_module, *params.import_modules]
    assert decoded.job.task.input_sources[2].source.params == {"URL": "data:,y"}


def test_targets_stay_as_they_are() -> None:
    raw = job(EntryModule="/main.wasm")
    raw["Tasks"][0]["InputSources"] = [module() | {"Target": "/main.wasm"}]
    decoded = decode_job(raw)
    assert decoded.job is not None
    assert [source.target for source in decoded.job.task.input_sources] == ["/main.wasm"]


@pytest.mark.parametrize(
    "entry", [{}, {"Source": 1}, {"Source": {"Type": 3}}, {"Source": {"Type": "inline", "Params": []}}, [1], 7]
)
def test_what_is_neither_is_refused_with_its_path(entry: Any) -> None:
    decoded = decode_job(job(EntryModule=entry))
    assert any(problem.path.startswith("Tasks[0].Engine.Params.EntryModule") for problem in decoded.problems)


@pytest.mark.parametrize("network", ["None", "Default"])
def test_a_module_has_no_network_whatever_is_asked_but_both_are_taken(network: str) -> None:
    raw = job(EntryModule=module())
    raw["Tasks"][0]["Network"] = {"Type": network}
    assert decode_job(raw).problems == ()
