"""Ports of the node that executions ask for: those they name, or free ones of a range."""

import contextlib
import random
import socket
from collections.abc import Sequence

from node.engines.base import EngineError
from orchestrator.contract.execution import Cause
from orchestrator.contract.ids import ExecutionId
from orchestrator.contract.job import Port

ANYWHERE = "0.0.0.0"  # noqa: S104 (where a port is reachable unless its HostNetwork says otherwise)


class Ports:
    """Which execution has which of the node's ports; `first` to `last` are given to those that do not say."""

    def __init__(self, first: int = 20_000, last: int = 32_000) -> None:
        self._range = range(first, last + 1)
        self._taken: dict[ExecutionId, set[int]] = {}

    def take(self, execution: ExecutionId, wanted: Sequence[Port]) -> tuple[Port, ...]:
        """The ports with `static` (of the node) and `target` (of the program) filled in, taken until `give_back`.

        Raises EngineError (the node's fault, not the task's) when one is in use or none is free; then none is taken.
        """
        taken = self._taken.setdefault(execution, set())
        try:
            return tuple(self._fill(port, taken) for port in wanted)
        except EngineError:
            self.give_back(execution)
            raise

    def give_back(self, execution: ExecutionId) -> None:
        """Free all ports of an execution."""
        self._taken.pop(execution, None)

    def _fill(self, port: Port, taken: set[int]) -> Port:
        address = port.host_network or ANYWHERE
        if port.static:
            if not self._is_free(address, port.static):
                raise EngineError(Cause.AGENT, f"port {port.static} is already in use")
            number = port.static
        else:
            number = self._any(address)
        taken.add(number)
        return Port(name=port.name, static=number, target=port.target or number, host_network=port.host_network)

    def _any(self, address: str) -> int:
        start = random.randrange(len(self._range))
        for step in range(len(self._range)):
            number = self._range[(start + step) % len(self._range)]
            if self._is_free(address, number):
                return number
        raise EngineError(Cause.AGENT, f"no available ports in range {self._range[0]}-{self._range[-1]}")

    def _is_free(self, address: str, number: int) -> bool:
        if any(number in numbers for numbers in self._taken.values()):
            return False
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, number))
            except OSError:
                return False
        return True


def variables(ports: Sequence[Port]) -> dict[str, str]:
    """What tells a program its ports: `BACALHAU_HOST_PORT_<name>` and `BACALHAU_PORT_<name>`."""
    found = {}
    for port in ports:
        found[f"BACALHAU_HOST_PORT_{port.name}"] = str(port.static)
        found[f"BACALHAU_PORT_{port.name}"] = str(port.target)
    return found
