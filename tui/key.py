"""What a key binding of ours is; all of them stand in `tui/bindings.py` and `tui/tool_keys.py`."""

import msgspec


class Key(msgspec.Struct, frozen=True):
    """One binding: `id`, keys with commas between them, action, what the footer says, what help says."""

    id: str
    keys: str
    action: str
    label: str
    tooltip: str
    order: int = 0
    """Place in the footer, 1 = most used; 0 = not in the footer."""
    acts: bool = False
    """Whether it changes the cluster: hidden when read-only, greyed while offline."""
    role: str = "operator"
    """Of what acts: the least role that may do it; hidden from others."""

    @property
    def context(self) -> str:
        """What has to be active for the key to count."""
        return self.id.partition(".")[0]
