"""Rules of a task's network: what domains and ports may be, and in which mode."""

import ipaddress
import re
from collections.abc import Iterator, Sequence

from orchestrator.contract.api import Problem
from orchestrator.contract.job import NetworkConfig, Port
from orchestrator.contract.walk import listed, shown

BUILT = ("Default", "None", "Host", "Full", "Bridge")
_WITH_PORTS = ("Host", "Full", "Bridge")
_MAX_PORT_NAME = 237
_DOMAIN = re.compile(r"\b([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}\b")
_PORT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def network_problems(network: NetworkConfig, path: str, engine: str) -> Iterator[Problem]:
    """Everything that is wrong with a network; messages begin with `invalid network: `."""
    if network.type not in BUILT:
        message = f"network type {network.type} is not built yet"
        yield Problem(path=f"{path}.Type", found=shown(network.type), allowed=listed(BUILT), message=message)
    elif network.type == "Bridge" and engine.lower() == "process":
        message = "a process has no bridge network: use Host"
        yield Problem(
            path=f"{path}.Type", found=shown(network.type), allowed="Default, None, Host, Full", message=message
        )
    yield from _domain_problems(network, f"{path}.Domains")
    yield from _port_problems(network, f"{path}.Ports")


def _domain_problems(network: NetworkConfig, path: str) -> Iterator[Problem]:
    if network.domains and network.type != "HTTP":
        message = "invalid network: domains can only be set for HTTP network mode"
        yield Problem(path=path, found=shown(list(network.domains)), allowed="no domains", message=message)
    for at, domain in enumerate(network.domains):
        if not _is_domain(domain):
            message = f'invalid network: invalid domain "{domain}"'
            yield Problem(
                path=f"{path}[{at}]", found=shown(domain), allowed="a domain or an IP address", message=message
            )


def _is_domain(text: str) -> bool:
    return len(text) <= 253 and (_DOMAIN.search(text) is not None or _is_address(text))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _port_problems(network: NetworkConfig, path: str) -> Iterator[Problem]:
    if network.ports and network.type not in _WITH_PORTS:
        message = "invalid network: ports can only be set for Host or Bridge network modes"
        yield Problem(path=path, found=shown(list(network.ports)), allowed="no ports", message=message)
    for at, port in enumerate(network.ports):
        earlier = network.ports[:at]
        for key, found, allowed, message in _wrong(port, earlier, network.type):
            place = f"{path}[{at}].{key}"
            yield Problem(path=place, found=shown(found), allowed=allowed, message=f"invalid network: {message}")


def _wrong(port: Port, earlier: Sequence[Port], mode: str) -> Iterator[tuple[str, object, str, str]]:
    """Key, what was found, what is allowed, message."""
    name, static, target = port.name, port.static, port.target
    variable = "letters, numbers and underscores, no number first"
    if not name.strip():
        yield "Name", name, variable, "port mapping name is required"
    elif not _PORT_NAME.fullmatch(name):
        message = (
            "port name must be a valid environment variable name: start with letter/underscore"
            " and contain only letters, numbers, and underscores"
        )
        yield "Name", name, variable, message
    elif len(name) > _MAX_PORT_NAME:
        message = f"port name too long (max {_MAX_PORT_NAME} characters)"
        yield "Name", name, f"at most {_MAX_PORT_NAME} characters", message
    elif any(other.name == name for other in earlier):
        yield "Name", name, "each name once", f'duplicate port mapping name "{name}"'
    ports = "0 (any) or 1024 to 65535"
    if static < 0:
        yield "Static", static, ports, f"invalid static port {static}"
    elif 0 < static < 1024:
        yield "Static", static, ports, f"static port {static} is in privileged port range (1-1023)"
    elif static > 65535:
        yield "Static", static, ports, f"static port {static} is above maximum valid port 65535"
    elif static and any(other.static == static for other in earlier):
        yield "Static", static, "each static port once", f"duplicate port mapping static port {static}"
    if not 0 <= target <= 65535:
        yield "Target", target, "0 (as the host port) or 1 to 65535", f"invalid target port {target}"
    elif target and mode in ("Host", "Full"):
        yield "Target", target, "no target port", "target ports cannot be set for Host network mode"
    elif target and any(other.target == target for other in earlier):
        yield "Target", target, "each target port once", f"duplicate port mapping target port {target}"
    if port.host_network and not _is_address(port.host_network):
        message = f"invalid host network IP address: {port.host_network}"
        yield "HostNetwork", port.host_network, "an IP address", message
