"""Recordings of a real Bacalhau, and how an answer of ours is compared with what it answered."""

import json
import re
from pathlib import Path
from typing import Any

import httpx

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "contract" / "golden"
MISSING = "the recordings of a real Bacalhau are not beside this project"

MAY_BE_ZERO = {"PartitionIndex", "ExecutionID", "Message", "Details", "Params", "LastError", "LastOrchestratorSeqNum"}
FREE = {"MaxCapacity", "QueueCapacity", "AvailableCapacity", "MaxJobRequirements", "Details", "Params"}
"""Objects whose keys depend on what they say."""
SAME = {
    "Network",
    "Resources",
    "Type",
    "Topic",
    "Membership",
    "Connection",
    "Status",
    "Success",
    "NodeType",
    "StateType",
}
"""Keys whose values are compared."""


def differences(recorded: Any, ours: Any, path: str = "") -> list[str]:
    """Where an answer of ours has not what the recorded one has."""
    key = path.rpartition(".")[2].partition("[")[0]
    if recorded in (None, []) and ours in (None, []):
        return []
    if kind(recorded) != kind(ours):
        return [f"{path}: recorded {recorded!r}, ours {ours!r}"]
    found: list[str] = []
    if isinstance(recorded, dict):
        for name, value in recorded.items() if key not in FREE else ():
            if name in ours:
                found += differences(value, ours[name], f"{path}.{name}")
            elif name not in MAY_BE_ZERO:
                found.append(f"{path}.{name} is missing")
    elif isinstance(recorded, list):
        if bool(recorded) != bool(ours):
            found.append(f"{path}: recorded {len(recorded)} items, ours {len(ours)}")
        for at, (one, other) in enumerate(zip(recorded, ours, strict=False)):
            found += differences(one, other, f"{path}[{at}]")
    elif (key == "NextToken" and bool(recorded) != bool(ours)) or (key in SAME and recorded != ours):
        found.append(f"{path}: recorded {recorded!r}, ours {ours!r}")
    return found


def kind(value: Any) -> str:
    """The JSON type of a value."""
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


class Recorded:
    """A Bacalhau that answers as the recorded one did: a transport for our client. Unknown routes and jobs are its 404s."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, bytes]] = {}
        for path in sorted(GOLDEN.glob("cli/*.json")):
            for exchange in json.loads(path.read_text())["exchanges"]:
                if exchange["response"] is not None and "json" in exchange["response"]:
                    target = f"{exchange['path'].partition('?')[0]}?{included(exchange['path'])}"
                    self.answers[exchange["method"], target] = (
                        exchange["status"],
                        json.dumps(exchange["response"]["json"]).encode(),
                    )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if b'"drain"' in request.content:
            envelope = {"Status": 500, "Message": "Internal server error", "RequestID": "", "Code": "InternalError"}
            return httpx.Response(500, json={**envelope, "Component": "Unknown"})
        path = request.url.raw_path.decode()
        found = self.answers.get((request.method, f"{path.partition('?')[0]}?{included(path)}"))
        if found is None:
            is_route = re.fullmatch(
                r"/api/v1/orchestrator/(jobs|nodes)/[^/]+(/(history|executions|versions|results))?", path
            )
            component, message = ("JobStore", "job not found: x") if is_route else ("APIServer", "The requested ...")
            envelope = {"Status": 404, "Message": message, "RequestID": "", "Code": "NotFound", "Component": component}
            found = 404, json.dumps(envelope).encode()
        return httpx.Response(found[0], content=found[1], headers={"Content-Type": "application/json"})


def included(path: str) -> str:
    """What of a job a request wants beside it: of a query only that makes another answer."""
    return "executions" if "include=executions" in path else ""
