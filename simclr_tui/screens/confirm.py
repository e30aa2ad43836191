"""One question with two answers."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label, Static


class ConfirmScreen(ModalScreen[bool]):
    """Answers True or False; the harmless answer has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape,q", "answer(False)", "no", id="confirm.no", tooltip="Leave it"),
        Binding("left,right,tab", "other", "other answer", id="confirm.other", tooltip="The other answer"),
    ]

    def __init__(self, question: str, consequence: str, *, yes: str, no: str) -> None:
        """Args: the question, what follows from yes, and the words of both answers."""
        super().__init__()
        self._texts = (question, consequence, yes, no)

    def compose(self) -> ComposeResult:
        """The question, its consequence and the answers."""
        question, consequence, yes, no = self._texts
        with Vertical(id="dialog"):
            yield Label(question, id="question", markup=False)
            yield Static(consequence, id="consequence", markup=False)
            with Horizontal(id="answers"):
                yield Button(f"{no} (n)", id="no", compact=True)
                yield Button(f"{yes} (y)", id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        """The harmless answer has the focus."""
        self.query_one("#no").focus()

    def action_answer(self, is_sure: bool) -> None:
        """Close with an answer."""
        self.dismiss(is_sure)

    def action_other(self) -> None:
        """Move the focus to the other answer."""
        self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Close with the answer that was pressed."""
        self.dismiss(event.button.id == "yes")
