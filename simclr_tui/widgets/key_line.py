"""The last line: the keys that matter now, made from the bindings and cut to what fits."""

from collections.abc import Sequence

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.words import Part

_DISPLAY = {"enter": "↵", "space": "space", "slash": "/", "question_mark": "?", "ctrl+p": "^p", "escape": "esc"}
_DISPLAY |= {"left": "←", "right": "→", "up": "↑", "down": "↓"}
_DISPLAY |= {"left_square_bracket": "[", "right_square_bracket": "]", "ctrl+enter": "^↵", "f5": "F5", "f6": "F6"}
_DISPLAY |= {"less_than_sign": "<", "greater_than_sign": ">"}


class KeyLine(Widget):
    """Keys with their names; those first in the list are the last to go where room is short. Can be clicked."""

    keys: reactive[Sequence[Binding]] = reactive(())
    """The bindings to name, in order."""

    def render(self) -> Content:
        """The keys that fit."""
        parts: list[Part] = [" "]
        for _, _, binding in self._places():
            parts += [(key_text(binding), "bold $accent"), f" {binding.description}  "]
        return Content.assemble(*parts)

    def _places(self) -> list[tuple[int, int, Binding]]:
        """Where each binding that fits begins and ends."""
        places, column = [], 1
        for binding in self.keys:
            width = len(key_text(binding)) + 1 + len(binding.description)
            if column + width <= self.size.width:
                places.append((column, column + width, binding))
                column += width + 2
        return places

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        for start, end, binding in self._places():
            if start <= event.x < end:
                await self.screen.run_action(binding.action)


def key_text(binding: Binding) -> str:
    """A key as it is written for people."""
    first = binding.key.split(",")[0]
    return binding.key_display or _DISPLAY.get(first, first)
