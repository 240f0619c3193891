"""The keys of errors, nodes, events, logs of all, compare, compose, profiles and replay: see `tui/bindings.py`."""

from tui.key import Key

TOOL_KEYS = (
    # lists: errors, nodes, a node, events, profiles
    Key("list.sort", "O", "sort", "sort", "Sort by the next column", 33),
    Key("list.save", "s", "save", "save", "Save the list as CSV", 34),
    Key("list.save-json", "ctrl+s", "save_json", "save JSON", "Save the list as JSON"),
    Key("list.copy", "y", "copy", "copy", "Copy what is under the cursor", 32),
    Key("list.menu", "a", "app.action_menu", "actions", "All that can be done here"),
    # failure groups
    Key("errors.log", "l", "log", "sample log", "The log of one partition of the group", 2),
    Key("errors.retry", "r", "retry", "retry group", "Retry the partitions of the group", 3, acts=True),
    Key("errors.logs", "L", "app.open_tool('logs')", "all logs", "Logs of all partitions of the job", 10),
    Key("errors.events", "v", "app.open_tool('events')", "events", "What happened to the job", 11),
    # nodes
    Key("nodes.drain", "D", "drain", "drain", "Drain the node, or take it in again", 2, acts=True),
    Key("node.log", "l", "log", "log", "The log of the partition under the cursor", 2),
    Key("node.drain", "D", "drain", "drain", "Drain the node, or take it in again", 3, acts=True),
    Key("node.grid", "t", "grid", "grid", "The job's grid, filtered to this node", 4),
    # events
    Key("events.follow", "f", "follow", "follow", "Stay at the newest", 2),
    Key("events.trouble", "e", "trouble", "errors only", "Only what went wrong, and back", 3),
)
TOOL_TOGETHER = (
    ("app", "page", "move", "list", "errors"),
    ("app", "page", "move", "list", "nodes"),
    ("app", "page", "move", "list", "node"),
    ("app", "page", "move", "list", "events"),
)
TOOL_SHADOWS: tuple[tuple[str, str], ...] = ()
"""Pairs that share a key on purpose: the second one is what happens."""
