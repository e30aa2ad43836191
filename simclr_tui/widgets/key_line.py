"""The last line: the keys that matter now, made from the bindings and cut to what fits."""

from collections.abc import Sequence
from functools import cache

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.keys import REPLACED_KEYS, key_to_character
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.comfort.keymap import remapped
from simclr_tui.words import Part

_DISPLAY = {"enter": "↵", "space": "space", "escape": "esc", "pageup": "page up", "pagedown": "page down"}
_DISPLAY |= {"left": "←", "right": "→", "up": "↑", "down": "↓"}
_MODIFIERS = {"ctrl": "^", "shift": "⇧"}


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
        keymap = getattr(self.app, "keymap", {})
        for binding in (remapped(binding, keymap) for binding in self.keys):
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


def window_keys(bindings: Sequence[BindingType]) -> list[Binding]:
    """What a window names: what it is for, then how it is left, then the rest."""
    first, *rest = [one for one in bindings if isinstance(one, Binding) and one.show]
    return [first, *sorted(rest, key=lambda one: "escape" not in one.key)]


def key_text(binding: Binding) -> str:
    """A key as it is written for people."""
    return binding.key_display or one_key_text(binding.key.split(",")[0])


def one_key_text(key: str) -> str:
    """One key as it is written for people: its character or sign, with ^ for ctrl and ⇧ for shift."""
    *modifiers, last = key.split("+")
    signs = "".join(_MODIFIERS.get(modifier, f"{modifier}-") for modifier in modifiers)
    return signs + (_DISPLAY.get(last) or _character(last))


@cache
def _character(name: str) -> str:
    """The character of a key that Textual calls by its Unicode name: plus, comma, number_sign."""
    if name[:1] == "f" and name[1:].isdigit():
        return name.upper()
    character = key_to_character(REPLACED_KEYS.get(name, name))
    return character if character is not None and character.isprintable() else name
