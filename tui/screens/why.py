"""Why partitions wait: the server's reasons, counted, and what each node lacks."""

from orchestrator.client import ClientError, OrchestratorClient
from orchestrator.contract.partitions import Explanation
from tui.background import begin
from tui.model.moments import counted
from tui.model.text import clip
from tui.places import Focus
from tui.screens.reader import Reader
from tui.widgets.lines import Piece


class WhyReader(Reader, inherit_bindings=False):
    """Asks when it is opened."""

    BINDINGS = Reader.BINDINGS

    def __init__(self, client: OrchestratorClient, focus: Focus, select: str = "") -> None:
        super().__init__(
            f"Why partitions of {clip(focus.job_name or focus.job_id, 60)} wait", [[("asking …", "muted")]]
        )
        self._client = client
        self._focus = focus
        self._select = select

    def on_mount(self) -> None:
        """Ask."""
        begin(self, "", self._ask)

    async def _ask(self) -> None:
        try:
            found = (await self._client.explain(self._focus.job_id, self._select)).items
        except ClientError as error:
            self.fill(self._title, [[(error.message, "failed")]])
            return
        lines: list[list[Piece]] = []
        for item in found:
            lines += reason_lines(item)
        self.fill(self._title, lines or [[("Nothing waits: every partition runs or is finished.", "muted")]])


def reason_lines(item: Explanation) -> list[list[Piece]]:
    """A reason: how many partitions, which, and what each node says."""
    lines: list[list[Piece]] = [
        [(f"{counted(item.count, 'partition')}  ", "title"), (item.reason, "")],
        [("  which  ", "muted"), (clip(item.partitions, 100), "muted")],
    ]
    lines += [[(f"  {clip(node.node_id, 24):<24} ", "key"), (node.reason, "")] for node in item.nodes]
    return [*lines, [("", "")]]
