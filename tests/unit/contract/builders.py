"""Jobs in plain data for the tests of the contract."""

from typing import Any


def plain_job(**fields: Any) -> dict[str, Any]:
    """A job that is fine, in keys of the wire. Fields with the name of a task's field go into the task."""
    task: dict[str, Any] = {"Name": "main", "Engine": {"Type": "docker", "Params": {"Image": "busybox"}}}
    job: dict[str, Any] = {"Name": "j", "Type": "batch", "Count": 1, "Tasks": [task]}
    for name, value in fields.items():
        in_task = name in {
            "Engine",
            "Publisher",
            "Env",
            "InputSources",
            "ResultPaths",
            "Resources",
            "Network",
            "Timeouts",
        }
        (task if in_task else job)[name] = value
    return job


def engine(kind: str, **params: Any) -> dict[str, Any]:
    """An engine."""
    return {"Type": kind, "Params": params}


def source(kind: str, target: str = "/in", alias: str = "", **params: Any) -> dict[str, Any]:
    """An input source."""
    return {"Source": {"Type": kind, "Params": params}, "Target": target, "Alias": alias}
