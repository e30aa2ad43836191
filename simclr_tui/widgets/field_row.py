"""One setting of the form: its name, its value, and beside it what is allowed or what is wrong."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label, Select

from simclr_tui.draft import hint
from trainer.settings import Field


class Choice(Select[str], inherit_bindings=False):
    """A list of words that leaves the arrows to the form until it is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "show_overlay", "choose", id="form.choose", tooltip="Open the list of words")
    ]


class FieldRow(Horizontal):
    """Posts what is typed; the screen keeps it."""

    @dataclass
    class Typed(Message):
        """The text of a setting was changed by a person."""

        field: Field
        text: str

    def __init__(self, field: Field, text: str) -> None:
        """Args: the setting and the text that it shows."""
        super().__init__(id=f"row-{field.name}", classes="row")
        self.field = field
        self._text = text

    def compose(self) -> ComposeResult:
        """Name, control, hint."""
        yield Label(self.field.name.replace("_", "-"), classes="name", markup=False)
        words = ("yes", "no") if self.field.kind is bool else self.field.choices
        if words:
            yield Choice([(word or "none", word) for word in words], value=self._text, allow_blank=False, compact=True)
        else:
            yield Input(self._text, compact=True, select_on_focus=False)
        yield Label(hint(self.field), classes="hint", markup=False)

    @on(Input.Changed)
    @on(Select.Changed)
    def _changed(self, event: Input.Changed | Select.Changed) -> None:
        event.stop()
        text = str(event.value)
        if text != self._text:  # what show_text put in is no wish of the person's
            self._text = text
            self.post_message(self.Typed(self.field, text))

    def show_text(self, text: str) -> None:
        """Show another text, that nobody typed."""
        self._text = text
        for control in self.query(Input):
            control.value = text
        for choice in self.query(Select):
            choice.value = text

    def show_state(self, *, error: str, is_changed: bool) -> None:
        """Show what is wrong, or what is allowed; a changed setting has a sign."""
        self.set_class(bool(error), "-error")
        self.set_class(is_changed, "-changed")
        self.query_one(".hint", Label).update(f"✗ {error}" if error else hint(self.field))
        name = self.field.name.replace("_", "-")
        self.query_one(".name", Label).update(f"{name} •" if is_changed else name)

    def take_focus(self) -> None:
        """Put the focus on the control."""
        next(iter(self.query("Input, Select"))).focus()
