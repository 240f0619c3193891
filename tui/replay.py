"""The UI over a recording: an orchestrator of its own answers every request from the moment that is played."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import msgspec
from textual.widgets import Input

from orchestrator.client import JOBS, NODES, NodeAnswer, OrchestratorClient
from orchestrator.contract.api import GetJobResponse, HistoryList, JobList, NodeList
from orchestrator.contract.ids import NodeId
from orchestrator.contract.job import Job, JobState, JobStateType
from orchestrator.contract.overview import ListedJob, ListedJobs, Progress
from orchestrator.contract.partitions import PartitionDetail, PartitionState, Row, Rows, state_word
from orchestrator.contract.selection import Selection, parse_ranges
from tui.app import ShoalApp
from tui.bindings import bindings
from tui.feed import JobView, pack
from tui.model.moments import countdown
from tui.model.replay import Player, changed
from tui.model.scan import Columns, scan
from tui.options import Options
from tui.recording import load
from tui.screens.list_page import ListPage
from tui.screens.page import Page

TICK = 0.1
MINUTE = 60.0
JOB = f"{JOBS}/[^/]+"
LACKING = {
    "/log": "logs",
    "/logs": "logs",
    "/logs/search": "logs",
    "/history": "events",
    "/events": "events",
    "/inputs": "inputs",
    "/explain": "reasons why partitions wait",
}
"""What nobody records: by the end of the path that asks for it."""
STATES = {state.value: state for state in JobStateType}
MANY = 10_000


class NotRecordedError(Exception):
    """A question that a recording has no answer to; the message says what it lacks."""


class ReplayTransport(httpx.AsyncBaseTransport):
    """Answers as the recorded orchestrator did at the moment that is played, and says of all else that it was not recorded."""

    def __init__(self, player: Player) -> None:
        self.player = player

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request."""
        path = request.url.path
        if request.method != "GET":
            return _refused(403, "Forbidden", "this is a replay: nothing can be changed")
        if re.fullmatch(f"{JOB}/watch", path):
            return httpx.Response(200, stream=_Frames(self.player))
        try:
            return httpx.Response(200, content=msgspec.json.encode(self._answer(path, request.url.params)))
        except NotRecordedError as error:
            return _refused(404, "NotRecorded", str(error))

    def _answer(self, path: str, query: httpx.QueryParams) -> msgspec.Struct:
        player, view = self.player, self.player.view
        job = self._job()
        if path == JOBS:
            return ListedJobs(next_token="", items=(_listed(job, view),)) if job else JobList(next_token="", items=())
        if path == NODES:
            return NodeList(next_token="", nodes=player.nodes)
        for node in player.nodes:
            if path == f"{NODES}/{node.info.node_id}":
                return NodeAnswer(node=node)
        if job is not None and re.fullmatch(JOB, path):
            return GetJobResponse(job=job, history=HistoryList(next_token="", items=()))
        if re.fullmatch(f"{JOB}/partitions", path):
            return self._rows(query["select"]) if "select" in query else pack(view)
        if re.fullmatch(f"{JOB}/failures", path):
            return player.failures
        one = re.fullmatch(rf"{JOB}/partitions/(\d+)", path)
        if one and int(one[1]) < view.count and job:
            row = self._row(int(one[1]))
            return PartitionDetail(job_id=job.id, job_version=view.version, partition=row, attempts=())
        lacking = next((what for end, what in LACKING.items() if path.endswith(end)), "")
        raise NotRecordedError(f"a recording holds no {lacking}" if lacking else "this was not recorded")

    def _job(self) -> Job | None:
        job, view = self.player.job, self.player.view
        if job is None or not view.job_state:
            return job
        state = STATES.get(view.job_state, job.state.state_type)
        return msgspec.structs.replace(job, state=JobState(state_type=state, message=view.job_message))

    def _rows(self, select: str) -> Rows:
        view = self.player.view
        columns = Columns(states=view.states, attempts=view.attempts, nodes=view.nodes, node_ids=view.node_ids)
        group = re.fullmatch(r"group:(\w+)", select)
        if group:
            found = next((one for one in self.player.failures.items if one.group == group[1]), None)
            indices = [index for part in parse_ranges(found.partitions) for index in part] if found else []
        else:
            try:
                mask = scan(Selection.parse(select), columns)
            except (ValueError, LookupError) as error:
                message = f"a recording does not hold what {select} asks for"
                raise NotRecordedError(message) from error
            indices = [index for index, byte in enumerate(mask) if byte]
        return Rows(next_token="", items=tuple(self._row(index) for index in indices[:MANY]))

    def _row(self, index: int) -> Row:
        view = self.player.view
        state = view.states[index]
        message = cause = ""
        if state == PartitionState.FAILED:
            for group in self.player.failures.items:
                if any(index in part for part in parse_ranges(group.partitions)):
                    message, cause = group.message, group.cause
        return Row(
            index=index,
            state=state_word(state),
            attempts=view.attempts[index],
            node_id=NodeId(view.node_of(index)),
            message=message,
            cause=cause,
        )


class _Frames(httpx.AsyncByteStream):
    """A watch: what differs from what was told, ten times a second, whichever way the time goes."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.told = JobView()
        self.told.load(pack(player.view))  # type: ignore[arg-type]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Lines, without end."""
        number = silent = 0
        while True:
            view, told = self.player.view, self.told
            is_same = (view.count, view.version) == (told.count, told.version)
            indices = changed(told, view) if is_same else []
            silent += 1
            if indices or view.summary != told.summary or view.job_state != told.job_state or not is_same:
                number, silent = number + 1, 0
                frame = pack(view, indices)
                frame = msgspec.structs.replace(frame, cursor=f"r{number}")
                self.told.load(pack(view))  # type: ignore[arg-type]
                yield msgspec.json.encode(frame) + b"\n"
            elif silent >= 20:
                silent = 0
                yield msgspec.json.encode({"Cursor": f"r{number}"}) + b"\n"
            await asyncio.sleep(TICK)


def _listed(job: Job, view: JobView) -> ListedJob:
    """The job as a list has it, with how far it was."""
    begun = len(view.attempts) - view.attempts.count(0)
    attempts, failed = sum(view.attempts), view.summary.get("Failed", 0)
    share = view.summary.get("Completed", 0) / view.count if view.count else 1.0
    progress = Progress(attempts=attempts, retries=attempts - begun, failed=failed, share=share)
    fields = {name: getattr(job, name) for name in job.__struct_fields__}
    return ListedJob(**fields, summary=view.summary, progress=progress)


def _refused(status: int, code: str, message: str) -> httpx.Response:
    body = {"Status": status, "Message": message, "RequestID": "", "Code": code, "Component": "Replay"}
    return httpx.Response(status, json=body)


class ReplayApp(ShoalApp, inherit_bindings=False):
    """Nothing can be changed; the clock is the recording's."""

    BINDINGS = bindings("app", "replay")

    def __init__(self, options: Options, player: Player) -> None:
        self.player = player
        client = OrchestratorClient("http://replay", transport=ReplayTransport(player))
        job = player.job.id if player.job else player.view.job_id
        replayed = msgspec.structs.replace(options, read_only=True, profile="REPLAY", job=job)
        super().__init__(replayed, client=client)

    def wall(self) -> float:
        """The moment that is played."""
        return self.player.now

    async def on_mount(self) -> None:
        """Begin to play."""
        self.set_interval(TICK, self._play)

    def _play(self) -> None:
        self.player.advance(TICK)
        player = self.player
        mark = "▶" if player.is_playing else "‖"
        said = f"{mark} {countdown(player.now - player.began)} of {countdown(player.ended - player.began)}"
        if said != self.said:
            self.said = said
            if isinstance(self.screen, Page):
                self.screen.show_header()

    def _period(self) -> float:
        """Seconds between two looks at the job's line: they cost nothing here."""
        return 5 * TICK

    def _went(self) -> None:
        """Another moment: what asks only now and then asks at once."""
        self.reconnect()
        if isinstance(self.screen, ListPage):
            self.screen.reconnect()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Letters that are typed are text."""
        if action.startswith("replay_"):
            return not isinstance(self.focused, Input)
        return super().check_action(action, parameters)

    def run_command(self, text: str) -> None:
        """`at 12:40` goes to a time; the rest as everywhere."""
        word, _, rest = text.strip().removeprefix(":").partition(" ")
        if word == "at":
            self.player.at(rest)
            self._went()
        else:
            super().run_command(text)

    def action_replay_play(self) -> None:
        """Play, or stand still; from its end: again from the start."""
        player = self.player
        if player.now >= player.ended:
            player.seek(player.began)
            player.is_playing = True
        else:
            player.is_playing = not player.is_playing
        self._went()

    def action_replay_step(self, number: int) -> None:
        """To the next or the previous change."""
        self.player.step(number)
        self._went()

    def action_replay_skip(self, seconds: int) -> None:
        """So many seconds on or back."""
        self.player.seek(self.player.now + seconds)
        self._went()


def open_recording(options: Options) -> ReplayApp:
    """The app over the recording of `options.replay`. Raises RecordingError."""
    assert options.replay is not None
    _, entries = load(options.replay)
    return ReplayApp(options, Player(entries))
