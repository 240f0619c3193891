"""The variables that an execution gets, but for those that only its engine knows."""

import re
from collections.abc import Mapping

from orchestrator.contract.agent import Assignment
from orchestrator.contract.ids import NodeId
from orchestrator.contract.job import Job

FORWARD = "env:"
"""A value `env:NAME` of a task stands for the node's own variable NAME."""


class VariableError(Exception):
    """A variable that the task asks for cannot be given."""


class Environment:
    """Makes variables; `host` are the node's own, of which those that match one of `allowed` may be forwarded."""

    def __init__(self, node_id: NodeId, host: Mapping[str, str], allowed: tuple[str, ...]) -> None:
        self._node_id = node_id
        self._host = host
        self._allowed = [re.compile(pattern) for pattern in allowed]

    def of(self, job: Job, assignment: Assignment) -> dict[str, str]:
        """All variables of one execution. Those of ours win over the task's.

        Raises VariableError when the node may not forward a variable, or does not have it.
        """
        environment = {name: self._resolve(name, value) for name, value in job.task.env.items()}
        environment |= {
            "BACALHAU_EXECUTION_ID": assignment.execution_id,
            "BACALHAU_JOB_ID": job.id,
            "BACALHAU_JOB_NAME": job.name,
            "BACALHAU_JOB_TYPE": job.type.value,
            "BACALHAU_PARTITION_INDEX": str(assignment.index),
            "BACALHAU_PARTITION_COUNT": str(assignment.count or job.count),
            "BACALHAU_ATTEMPT": str(assignment.attempt),
            "BACALHAU_NODE_ID": self._node_id,
        }
        for port in job.task.network.ports:
            if port.static:
                environment[f"BACALHAU_HOST_PORT_{port.name}"] = str(port.static)
            target = port.target or port.static
            if target:
                environment[f"BACALHAU_PORT_{port.name}"] = str(target)
        return environment

    def _resolve(self, name: str, value: str) -> str:
        if not value.startswith(FORWARD):
            return value
        wanted = value.removeprefix(FORWARD)
        if not any(pattern.fullmatch(wanted) for pattern in self._allowed):
            message = (
                f"this node does not resolve environment variable {name}: environment variable '{wanted}' is not in "
                f"allowed patterns"
            )
            raise VariableError(message)
        if wanted not in self._host:
            message = f"required environment variable '{wanted}' not found"
            raise VariableError(message)
        return self._host[wanted]
