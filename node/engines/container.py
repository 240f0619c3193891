"""What a Docker engine is told about an execution's container."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from node.engines.base import Launch, Mount, Owner
from node.engines.layout import shown
from orchestrator.contract.job import Port
from orchestrator.contract.params import DockerParams

CLUSTER, NODE, EXECUTION = "shoal.cluster", "shoal.node", "shoal.execution"
"""Labels of every container of ours."""
LOG = {"Type": "local", "Config": {"max-size": "16g", "max-file": "1", "compress": "false"}}
"""The one log driver that gives back the very bytes; no rotation before the output limit ends the execution."""
HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def owner_labels(owner: Owner) -> dict[str, str]:
    """The labels of all containers of one agent."""
    return {CLUSTER: owner.cluster_id, NODE: owner.node_id}


def container_config(
    launch: Launch, params: DockerParams, network: str, ports: Sequence[Port], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The body of a create request. `network`: `none`, `host` or `bridge`; `environment`: on top of the launch's."""
    environment = {
        **launch.environment,
        **params.environment,
        **environment,
        **shown(launch, lambda mount: mount.target),
    }
    config: dict[str, Any] = {
        "Image": params.image,
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": {**owner_labels(launch.owner), EXECUTION: launch.execution_id},
        "NetworkDisabled": network == "none",
        "HostConfig": _host_config(launch, network),
    }
    if params.entrypoint:
        config["Entrypoint"] = list(params.entrypoint)
    if params.parameters:
        config["Cmd"] = list(params.parameters)
    if params.working_directory:
        config["WorkingDir"] = params.working_directory
    if network == "bridge" and ports:
        config["ExposedPorts"] = {f"{port.target}/tcp": {} for port in ports}
        config["HostConfig"]["PortBindings"] = {
            f"{port.target}/tcp": [{"HostIp": port.host_network, "HostPort": str(port.static)}] for port in ports
        }
    return config


def _host_config(launch: Launch, network: str) -> dict[str, Any]:
    mounts = [_mount(mount, is_writable=mount.is_writable) for mount in launch.inputs]
    mounts += [_mount(mount, is_writable=True) for mount in launch.outputs]
    if network == "none" and not any(mount["Target"] in {"/etc", "/etc/hosts"} for mount in mounts):
        mounts.append(_mount(Mount(source=_hosts(launch.directory), target="/etc/hosts"), is_writable=False))
    config: dict[str, Any] = {"NetworkMode": network, "LogConfig": LOG, "Mounts": mounts}
    if launch.need.memory:
        config |= {"Memory": launch.need.memory, "MemorySwap": launch.need.memory}
    if launch.need.cpu:
        config["NanoCpus"] = math.ceil(launch.need.cpu * 1e9)
    if launch.need.gpu:
        config["DeviceRequests"] = [{"Driver": "nvidia", "Count": launch.need.gpu, "Capabilities": [["gpu"]]}]
    if network == "bridge":
        config["ExtraHosts"] = ["host.docker.internal:host-gateway"]
    return config


def _mount(mount: Mount, *, is_writable: bool) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(mount.source), "Target": mount.target, "ReadOnly": not is_writable}


def _hosts(directory: Path) -> Path:
    """A file that makes `localhost` resolve: without a network the engine writes none."""
    path = directory / "hosts"
    path.write_text(HOSTS)
    return path
