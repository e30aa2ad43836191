"""Keys that arrive together are taken one after the other, each where the one before it has led.

Over a slow link what was typed in a second comes in one piece. Textual (8.2) hands all keys of a piece on before the
first of them has done anything, so that of `/run` the letters would be keys of the list: `r` resumes. Here a key waits
until the one before has gone its way: from the widget that it was handed to, through those around it, to the binding
that it means, and to the widget that this has given the focus.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode

GROWS = "grow"
"""The group of the workers that make a form's rows."""

_LONGEST_SECONDS = 1.0
"""A key whose way can't be followed to its end holds the next one up no longer than that."""
_LOOK_SECONDS = 0.02


class KeysInOrder(App[str]):
    """An app in which a key finds everything as the key before it has left it."""

    def __init__(self, **options: Any) -> None:
        """Args: Textual's own options."""
        super().__init__(**options)
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._on_its_way = 0
        """The number of the key that is on its way; 0 where none is."""
        self._taken = 0

    async def on_event(self, event: events.Event) -> None:
        """Hand a key on, or let it wait for the one before; all else goes on as it does."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self._waiting.append(event)
        if not self._on_its_way:
            await self._hand_on()
        elif len(self._waiting) == 1:
            self.set_timer(_LONGEST_SECONDS, partial(self._arrived, self._on_its_way))

    async def _hand_on(self) -> None:
        """Hand the first key on that waits, and send a call after it that goes the same way."""
        self._taken += 1
        self._on_its_way = self._taken
        place = self._place()
        way = [] if place[-1] is None else [node for node in place[-1].ancestors_with_self if node is not self]
        try:
            await super().on_event(self._waiting.popleft())
        finally:
            # Once behind the key on its way to the binding, and once behind what the binding has posted on that way.
            self._follow(self._on_its_way, place, [*way, self, *way, self])

    def _place(self) -> tuple[DOMNode | None, ...]:
        """The screen, and what on it a key is handed to."""
        screen = next(reversed(self.screen_stack), None)
        return screen, (self.focused or screen) if screen is not None else None

    def _follow(self, number: int, place: tuple[DOMNode | None, ...], way: Sequence[DOMNode]) -> None:
        """Go to the next pump on the way, behind all that it has been told by now."""
        for passed, node in enumerate(way, start=1):
            if node.call_later(self._follow, number, place, way[passed:]):
                return
        self._settled(number, place)

    def _settled(self, number: int, place: tuple[DOMNode | None, ...]) -> None:
        """Where the key has led somewhere else, that has to be there first: its widgets made, and laid out."""
        arrives = partial(self.call_later, self._arrived, number)
        if any(worker.group == GROWS and not worker.is_finished for worker in self.workers):
            self.set_timer(_LOOK_SECONDS, partial(self._settled, number, place))
        elif self._place() == place or not self.screen.call_after_refresh(arrives):
            arrives()

    async def _arrived(self, number: int) -> None:
        if number == self._on_its_way:
            self._on_its_way = 0
            if self._waiting:
                await self._hand_on()
                if self._waiting:
                    self.set_timer(_LONGEST_SECONDS, partial(self._arrived, self._on_its_way))
