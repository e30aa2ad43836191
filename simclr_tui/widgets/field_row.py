"""One setting of the form: its name, its value, and beside it what is allowed or what is wrong."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import Input, Label, Select

from simclr_tui.launch.draft import hint
from trainer.settings import Field

_SEVERAL = "several …"


class Choice(Select[str], inherit_bindings=False):
    """A list of words that leaves the arrows to the form until it is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "show_overlay", "choose", id="form.choose", tooltip="Open the list of words")
    ]

    def _watch_value(self, value: Any) -> None:
        # A form that is closed while it still grows takes a list apart before it is whole.
        with suppress(NoMatches):
            super()._watch_value(value)


class FieldRow(Horizontal):
    """Posts what is typed; the screen keeps it."""

    @dataclass
    class Typed(Message):
        """The text of a setting was changed by a person."""

        field: Field
        text: str

    @dataclass
    class Several(Message):
        """Somebody wants to choose several words for a setting."""

        field: Field

    def __init__(self, field: Field, text: str, *, can_vary: bool = False) -> None:
        """Args: the setting, the text that it shows, and whether several words of a list may be chosen."""
        super().__init__(id=f"row-{field.name}", classes="row")
        self.field = field
        self._text = text
        self._can_vary = can_vary
        self._words = ("yes", "no") if field.kind is bool else field.choices
        self._shown = (hint(field), False, False)

    def compose(self) -> ComposeResult:
        """Name, control, hint."""
        yield Label(self.field.name.replace("_", "-"), classes="name", markup=False)
        if self._words:
            yield Choice(self._options(), value=self._text, allow_blank=False, compact=True)
        else:
            yield Input(self._text, compact=True)
        yield Label(hint(self.field), classes="hint", markup=False)

    def _options(self) -> list[tuple[str, str]]:
        """The words, with the text that stands there if it is none of them: a list, or what an old draft has."""
        words = [*self._words, *([self._text] if self._text not in self._words else [])]
        several = [(_SEVERAL, _SEVERAL)] if self._can_vary else []
        return [(word or "none", word) for word in words] + several

    @on(Input.Changed)
    @on(Select.Changed)
    def _changed(self, event: Input.Changed | Select.Changed) -> None:
        event.stop()
        text = str(event.value)
        if text == _SEVERAL and isinstance(event, Select.Changed):
            self.query_one(Choice).value = self._text
            self.post_message(self.Several(self.field))
        elif text != self._text:  # what show_text put in is no wish of the person's
            self._text = text
            self.post_message(self.Typed(self.field, text))

    @property
    def words(self) -> tuple[str, ...]:
        """The words that may be chosen, if the setting is one of them."""
        return self._words

    def show_text(self, text: str) -> None:
        """Show another text, that nobody typed."""
        if text == self._text:
            return
        self._text = text
        for control in self.query(Input):
            control.value = text
        for choice in self.query(Choice):
            with choice.prevent(Select.Changed):
                choice.set_options(self._options())
                choice.value = text

    def show_state(self, *, error: str, is_changed: bool, note: str = "") -> None:
        """Show what is wrong, or a note, or what is allowed; a changed setting has a sign."""
        shown = (f"✗ {error}" if error else note or hint(self.field), bool(error), is_changed)
        if shown == self._shown:
            return
        self._shown = shown
        self.set_class(bool(error), "-error")
        self.set_class(is_changed, "-changed")
        self.query_one(".hint", Label).update(shown[0])
        name = self.field.name.replace("_", "-")
        self.query_one(".name", Label).update(f"{name} •" if is_changed else name)

    def take_focus(self) -> None:
        """Put the focus on the control."""
        next(iter(self.query("Input, Select"))).focus()
