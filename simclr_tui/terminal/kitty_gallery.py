"""Pictures on a terminal with Kitty's graphics: each is sent once, and its cells are text from then on."""

import random
from collections import deque
from functools import partial
from typing import ClassVar

from simclr_tui.terminal import kitty
from simclr_tui.terminal.gallery import AT_ONCE, Ask, Gallery, Held
from simclr_tui.terminal.graphics import Graphics
from simclr_tui.terminal.pixmap import Pixmap
from simclr_tui.terminal.placeholders import part
from simclr_tui.terminal.sequences import passed_on

_SENT = "sent"
"""The picture is being made ready, waits in the queue, or is there."""


class KittyGallery(Gallery):
    """Sends pictures and says how many cells each takes.

    A picture's id is its number in the highest byte and one of the 256 colours in the lowest: that colour is what cells
    are written in, which terminals of few colours and tmux leave as it is.
    """

    scales: ClassVar[bool] = True

    def __init__(self, graphics: Graphics, ask: Ask) -> None:
        """Args: how the terminal draws, and who does what takes too long for the event loop."""
        super().__init__(graphics, ask)
        self._colour = random.randrange(16, 256)
        """Other programs on the terminal have other ids, probably."""
        self._queue: deque[tuple[int, str]] = deque()
        """Sequences that wait, each with the number of its picture."""
        self._begun: int | None = None
        """The picture of which some was sent and not all."""
        self._there: set[int] = set()
        """Pictures of which the terminal has something."""

    def _id(self, number: int) -> int:
        return number << 24 | self._colour

    def _drawn(self, cells: list[str], _x: int, _y: int) -> str:
        for number in {found[0] for cell in cells if (found := part(cell))}:
            held = self._held.get(number)
            if held is not None and _SENT not in held.made:
                held.made[_SENT] = True
                work = partial(_sequences, self._id(number), held.picture)
                self._ask(work, partial(self._enqueue, number, held))
        return f"\x1b[38;5;{self._colour}m{''.join(cells)}"

    def _enqueue(self, number: int, held: Held, sequences: list[str]) -> None:
        if self._held.get(number) is not held:
            return
        self._queue.extend((number, sequence) for sequence in sequences)
        self._queue.append((number, kitty.placement(self._id(number), held.columns, held.lines)))

    def _reshaped(self, number: int) -> None:
        if number in self._there or any(one == number for one, _ in self._queue):
            held = self._held[number]
            self._queue.append((number, kitty.placement(self._id(number), held.columns, held.lines)))

    def _dropped(self, number: int) -> None:
        self._queue = deque(item for item in self._queue if item[0] != number)
        if self._begun == number:
            self._queue.appendleft((number, kitty.ABORT))
        if number in self._there:
            self._queue.append((number, kitty.deletion(self._id(number))))
            self._there.discard(number)

    @property
    def is_due(self) -> bool:
        """Whether sequences wait."""
        return bool(self._queue)

    def due(self) -> str:
        """The next sequences."""
        found = ""
        while self._queue and len(found) < AT_ONCE:
            number, sequence = self._queue.popleft()
            if number in self._held:
                self._there.add(number)
            self._begun = number if kitty.is_followed(sequence) else None
            found += passed_on(sequence) if self.graphics.in_tmux else sequence
        return found

    def forget(self) -> None:
        """Send each picture anew as soon as its cells are."""
        self._queue = deque(item for item in self._queue if item[0] not in self._held)
        if self._begun is not None:
            self._queue.appendleft((self._begun, kitty.ABORT))
        for held in self._held.values():
            held.made.clear()

    def end(self) -> str:
        """Free all that the terminal has."""
        self.release()
        found = ""
        while self._queue:
            found += self.due()
        return found


def _sequences(image_id: int, picture: Pixmap) -> list[str]:
    return list(kitty.transmission(image_id, picture))
