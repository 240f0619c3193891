"""What is said before there is anything to list: what is missing, and the line to type that helps."""

from tui.model.link import Link, LinkState
from tui.options import Options
from tui.widgets.lines import Piece

Text = list[list[Piece]]


def no_server(options: Options, link: Link, now: float) -> Text:
    """Nothing answers yet at the address."""
    url = options.settings.url
    lines: Text = [[("", "")], [("  No orchestrator yet", "title")], [("", "")]]
    lines.append([("  address   ", "muted"), (url, ""), (f"  (from {options.source})", "muted")])
    if link.state is LinkState.CONNECTING:
        lines.append([("  state     ", "muted"), ("connecting …", "")])
    elif link.state is LinkState.REFUSED:
        lines.append([("  reason    ", "muted"), (link.reason, "failed")])
        lines.append([("            set SHOAL_API_KEY to a token that is good here, then R", "muted")])
    else:
        lines.append([("  reason    ", "muted"), (link.reason, "failed")])
        lines.append([("  again in  ", "muted"), (f"{int(link.retry_in(now)) + 1} s", ""), ("   R now", "key")])
    lines += [
        [("", "")],
        [("  start a whole cluster here   ", "muted"), ("shoal devstack", "key")],
        [("  or only the orchestrator     ", "muted"), ("shoal serve", "key")],
        [("  or name another one          ", "muted"), ("shoal tui --api-host HOST --api-port PORT", "key")],
        [("", "")],
        [
            ("  This screen goes on by itself as soon as something answers.  ", "muted"),
            ("q", "key"),
            (" leaves", "muted"),
        ],
    ]
    return lines


def no_nodes(options: Options) -> Text:
    """The orchestrator has no nodes: nothing can run."""
    return [
        [("", "")],
        [("  No nodes yet", "title")],
        [("  The orchestrator is there; jobs wait until a node joins.", "muted")],
        [("", "")],
        [
            ("  on any machine that reaches it   ", "muted"),
            (f"shoal node run --orchestrator {options.settings.url}", "key"),
        ],
        [("  programs of the machine itself   ", "muted"), ("add --engines process", "key")],
    ]


def no_jobs(options: Options) -> Text:
    """Nothing was submitted yet."""
    port = options.settings.url.rpartition(":")[2]
    return [
        [("", "")],
        [("  No jobs yet", "title")],
        [("", "")],
        [("  a first one   ", "muted"), (f"shoal --api-port {port} process run --count 3 -- echo hello", "key")],
        [("  from a file   ", "muted"), (f"shoal --api-port {port} job run FILE", "key")],
    ]
