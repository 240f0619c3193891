"""Jobs as users write them, for tests with real processes."""

from typing import Any


def shell_job(name: str, script: str, *, count: int = 1, cpu: str = "100m", **fields: Any) -> dict[str, Any]:
    """A batch job of `count` partitions that runs `script` with sh in the process engine.

    `fields` are further fields of the job; those of the task (`Env`, `InputSources`, `ResultPaths`, `Publisher`,
    `Timeouts`, `Resources`, `Network`) go into the task.
    """
    of_task = ("Env", "InputSources", "ResultPaths", "Publisher", "Timeouts", "Resources", "Network")
    task = {key: fields.pop(key) for key in of_task if key in fields}
    return {
        "Name": name,
        "Type": "batch",
        "Count": count,
        **fields,
        "Tasks": [
            {
                "Name": "main",
                "Engine": {"Type": "process", "Params": {"Command": "sh", "Arguments": ["-c", script]}},
                "Resources": {"CPU": cpu, "Memory": "32mb", "Disk": "1mb"},
                **task,
            }
        ],
    }


def docker_job(name: str, image: str, *parameters: str, count: int = 1, **fields: Any) -> dict[str, Any]:
    """A batch job of `count` containers of `image`."""
    job = shell_job(name, "", count=count, **fields)
    job["Tasks"][0]["Engine"] = {"Type": "docker", "Params": {"Image": image, "Parameters": list(parameters)}}
    return job


ONCE = {"MaxAttempts": 1}
"""A retry policy: no second attempt."""
QUICK = {"MaxAttempts": 2, "Backoff": {"Initial": 0.1, "Jitter": False}}
"""A retry policy: one more attempt, almost at once."""
