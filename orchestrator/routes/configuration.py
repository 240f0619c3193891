"""The orchestrator's configuration under Bacalhau's names: every key of its tree, so that a client may look any of them up.

What has no counterpart here is empty, zero or off, as nothing of the kind is done.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from orchestrator.contract.units import format_duration
from orchestrator.core.cluster import Cluster
from orchestrator.routes.backend import Backend
from orchestrator.routes.wire import HttpRequest, answer

NONE = "0s"
DEFAULTS = {"Resources": {"CPU": "500m", "Memory": "512Mb"}}
"""What a task gets that asks for nothing."""
ENDING: Mapping[str, Any] = {"Publisher": {}, "Timeouts": {}}
"""Of the types that end, too: no defaults."""


@get("/api/v1/agent/config")
async def agent_config(request: HttpRequest, backend: NamedDependency[Backend]) -> Response[bytes]:
    """The configuration, by Bacalhau's names."""
    url = request.base_url
    is_safe = url.scheme == "https"
    config = tree(
        host=url.hostname or "",
        port=url.port or (443 if is_safe else 80),
        is_safe=is_safe,
        data_dir=str(backend.tokens.path.parent),
        methods={} if backend.tokens.is_required() else {"ClientKey": {"Type": "challenge"}},
        cluster=backend.reactor.cluster,
    )
    return await answer(request, msgspec.json.encode({"config": config}))


def tree(
    *, host: str, port: int, is_safe: bool, data_dir: str, methods: Mapping[str, Any], cluster: Cluster
) -> dict[str, Any]:
    """All of it. Nodes and results are served where the API is; a node holds its lease by a word in a third of it."""
    scheme = "https" if is_safe else "http"
    tls = {"UseTLS": True} if is_safe else {}
    manager = {"DisconnectTimeout": format_duration(cluster.lease)}
    return {
        "API": {
            "Host": host,
            "Port": port,
            "TLS": {**tls, "Insecure": False},
            "Auth": {"Methods": methods, "Oauth2": {}},
        },
        "NameProvider": "puuid",
        "DataDir": data_dir,
        "Orchestrator": {
            "Enabled": True,
            "Host": host,
            "Port": port,
            "Auth": {},
            "TLS": {},
            "Cluster": {},
            "NodeManager": manager | ({"ManualApproval": True} if cluster.approves_by_hand else {}),
            "Scheduler": {
                "WorkerCount": 1,
                "QueueBackoff": NONE,
                "HousekeepingInterval": NONE,
                "HousekeepingTimeout": NONE,
            },
            "EvaluationBroker": {"VisibilityTimeout": NONE, "MaxRetryCount": 0},
            "SupportReverseProxy": False,
        },
        "Compute": {
            "Orchestrators": [f"{scheme}://{host}:{port}"],
            "Network": {"PortRangeStart": 20_000, "PortRangeEnd": 32_000},
            "Auth": {},
            "Heartbeat": {"InfoUpdateInterval": NONE, "Interval": format_duration(cluster.lease / 3)},
            "AllocatedCapacity": {"CPU": "100%", "Memory": "100%", "Disk": "100%", "GPU": "100%"},
            "AllowListedLocalPaths": [],
            "TLS": {},
            "Env": {},
        },
        "WebUI": {"Listen": ""},
        "InputSources": {"ReadTimeout": NONE, "MaxRetryCount": 0, "Types": {"IPFS": {}}},
        "Publishers": {
            "Types": {
                "IPFS": {},
                "S3": {},
                "S3Managed": {"PreSignedURLExpiration": NONE},
                "Local": {"Address": host, "Port": port},
            }
        },
        "Engines": {
            "Types": {"Docker": {"ManifestCache": {"Size": 0, "TTL": NONE, "Refresh": NONE}}, "WASM": {}},
        },
        "ResultDownloaders": {"Types": {"IPFS": {}}},
        "JobDefaults": {
            "Batch": {"Task": {**DEFAULTS, **ENDING}},
            "Ops": {"Task": {**DEFAULTS, **ENDING}},
            "Daemon": {"Task": DEFAULTS},
            "Service": {"Task": DEFAULTS},
        },
        "JobAdmissionControl": {"Locality": "anywhere"},
        "Logging": {"Level": "info", "Mode": "default", "LogDebugInfoInterval": NONE},
        "UpdateConfig": {},
        "FeatureFlags": {},
        "DisableAnalytics": True,
    }
