"""How a field gets its name on the wire, and the base of everything that goes over it.

Fields without a default are always sent; fields with one are left out while they hold it. That is how one declaration
tells Bacalhau's "always present" from its "omitted when empty".
"""

import msgspec

ACRONYMS = {"id": "ID", "ids": "IDs", "cpu": "CPU", "gpu": "GPU", "gpus": "GPUs", "url": "URL", "pci": "PCI"}

DURATION = msgspec.Meta(extra={"unit": "seconds"})
"""Marks a number of seconds that people may also write as `1m30s`; an integer takes whole seconds only."""


def wire_name(field: str) -> str:
    """The PascalCase name of a field: `node_id` is `NodeID`, `create_time` is `CreateTime`."""
    return "".join(ACRONYMS.get(word, word.capitalize()) for word in field.split("_"))


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=wire_name):
    """Base of all wire models: frozen, keyword-only, PascalCase keys, unknown keys ignored when read."""
