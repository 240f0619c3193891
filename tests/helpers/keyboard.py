"""Keys pressed in a pilot, counted: how far something is away is a promise like any other."""

from textual.pilot import Pilot


class Keyboard:
    """Presses one key after the other. `count` is how many that were; a text that is typed counts letter by letter."""

    def __init__(self, pilot: Pilot[int]) -> None:
        self.pilot = pilot
        self.count = 0

    async def press(self, *keys: str) -> None:
        """Press keys, by Textual's names (`enter`, `colon`, `E`)."""
        self.count += len(keys)
        await self.pilot.press(*keys)
