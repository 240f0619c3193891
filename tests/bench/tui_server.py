"""An orchestrator that only pretends: one job of many partitions that change all the time, one long log. For benchmarks.

python -m tests.bench.tui_server PORT PARTITIONS CHANGES_PER_SECOND SHAPE(front|random) LOG_LINES
"""

import asyncio
import base64
import json
import random
import sys
from array import array
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec.structs import replace

from orchestrator.contract.decode import decode_job
from orchestrator.contract.ids import JobId
from orchestrator.contract.job import JobState, JobStateType

JOB = "j-00000000-0000-4000-8000-000000000001"
RATE = 20
"""Frames a second, as the orchestrator sends."""
NAMES = ("Unselected", "Waiting", "Retrying", "Assigned", "Running", "Publishing", "Completed", "Failed", "Stopped")


class Job:
    """The states of all partitions, and how they go on."""

    def __init__(self, count: int, changes: int, shape: str, lines: int) -> None:
        self.count, self.changes, self.shape = count, changes, shape
        self.states = bytearray(b"\1" * count)
        self.attempts = bytearray(count)
        self.front = count // 2
        for index in range(self.front):
            self.states[index], self.attempts[index] = (7 if index % 431 == 0 else 6), 1
        self.log = b"".join(
            b"INFO step %07d of the job: rows=254976 all of them are fine, nothing to see here, go on\n" % n
            for n in range(lines)
        )
        self.log = self.log[:-90] + b"ValueError: the needle in the haystack\n" if lines else b""

    def summary(self) -> dict[str, int]:
        return {name: self.states.count(at) for at, name in enumerate(NAMES) if self.states.count(at)}

    def frame(self) -> bytes:
        """The next delta."""
        number = self.changes // RATE
        if self.shape == "random":
            chosen = sorted(random.sample(range(self.count), number))
            for index in chosen:
                self.states[index] = random.choice((1, 3, 4, 6, 6, 2, 7))
        else:
            chosen = [(self.front + at) % self.count for at in range(number)]
            for index in chosen:
                self.states[index] = 4 if self.states[index] in (1, 6, 7) else 6
                self.attempts[index] = 1
            self.front = (self.front + number // 2) % self.count
        return json.dumps(
            {
                "Cursor": "c.1",
                "Indices": packed(array("I", chosen)),
                "States": packed(bytes(self.states[index] for index in chosen)),
                "Attempts": packed(bytes(self.attempts[index] for index in chosen)),
                "Nodes": packed(array("H", (index % 16 for index in chosen))),
                "NodeIDs": [],
                "Summary": self.summary(),
                "JobState": "Running",
                "JobMessage": "",
                "JobVersion": 1,
            }
        ).encode()

    def log_range(self, query: dict[str, list[str]]) -> bytes:
        """A piece of the log, made without going through every byte as text."""
        offset = int(query.get("offset", ["0"])[0])
        log = self.log if query["stream"][0] == "out" else b""
        end = min(len(log), offset + int(query["limit"][0]))
        head = b'{"Offset":%d,"NextOffset":%d,"Size":%d,"End":%s,' % (
            offset,
            end,
            len(log),
            b"true" if end >= len(log) else b"false",
        )
        stamps = b'"Stamps":[[%d,"2026-01-01T00:00:00Z"]],"Data":"' % len(log)
        return head + stamps + base64.b64encode(log[offset:end]) + b'"}'

    def answer(self, path: str) -> dict[str, object]:
        if "/partitions/" in path:
            index = int(path.rpartition("/")[2])
            row = {
                "Index": index,
                "State": "failed",
                "Attempts": 1,
                "NodeID": "n1",
                "ExecutionID": "e-1",
                "Cause": "exit",
            }
            attempt = {
                "Attempt": 1,
                "ExecutionID": "e-1",
                "NodeID": "n1",
                "State": "failed",
                "Created": "2026-01-01T00:00:00Z",
                "Started": "2026-01-01T00:00:00Z",
                "Finished": "2026-01-01T00:01:00Z",
                "ExitCode": 1,
                "Cause": "exit",
                "Message": "bad",
            }
            return {"JobID": JOB, "JobVersion": 1, "Partition": row, "Attempts": [attempt]}
        if path.endswith("/partitions"):
            return {
                "Cursor": "c.0",
                "JobID": JOB,
                "JobVersion": 1,
                "Count": self.count,
                "States": packed(self.states),
                "Attempts": packed(self.attempts),
                "Nodes": packed(array("H", (index % 16 for index in range(self.count)))),
                "NodeIDs": [f"n{at}" for at in range(16)],
                "Summary": self.summary(),
                "JobState": "Running",
            }
        if path.endswith("/nodes"):
            return {"NextToken": "", "Nodes": []}
        if path.endswith("/watch"):
            return {"Cursor": "c.0"}
        if path.endswith("/jobs"):
            return {"NextToken": "", "Items": [self.listed()]}
        return {"NextToken": "", "Items": []}

    def listed(self) -> dict[str, object]:
        """The job as a list tells it."""
        task = {"Name": "main", "Engine": {"Type": "process", "Params": {"Command": "true"}}}
        job = decode_job({"Name": "bench-job", "Type": "batch", "Count": self.count, "Tasks": [task]}).job
        assert job is not None
        told = replace(job, id=JobId(JOB), state=JobState(state_type=JobStateType.RUNNING), version=1)
        progress = {"Attempts": self.count, "Retries": 0, "Failed": 116, "Share": 0.5}
        listed: dict[str, object] = msgspec.to_builtins(told)
        return listed | {"Summary": self.summary(), "Progress": progress}


def packed(content: "bytes | bytearray | array[int]") -> str:
    return base64.b64encode(bytes(content) if not isinstance(content, array) else content.tobytes()).decode()


async def serve(port: int, job: Job) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                parts = urlsplit(head.split(" ")[1])
                if "/jobs/" in parts.path and parts.path.endswith("/watch"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n")
                    while True:
                        writer.write(job.frame() + b"\n")
                        await writer.drain()
                        await asyncio.sleep(1 / RATE)
                query = parse_qs(parts.query)
                is_log = parts.path.endswith("/log")
                body = job.log_range(query) if is_log else json.dumps(job.answer(parts.path)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    print("ready", flush=True)  # noqa: T201 - its starter waits for the word
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Job(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))))
