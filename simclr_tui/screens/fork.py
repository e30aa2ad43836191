"""From which checkpoint a run is forked, and with which settings."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from simclr_tui.launch.branch import Branch
from simclr_tui.model import Curves, RunRow
from simclr_tui.theme import MUTED
from simclr_tui.widgets.key_line import KeyLine, window_keys
from trainer.store.records import Checkpoint


class ForkScreen(ModalScreen[dict[str, Any] | None]):
    """Answers what `Actions.fork` needs, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "launch", "fork", id="fork.launch", tooltip="Make the child run and start it"),
        Binding("f6", "queue", "queue", id="fork.queue", tooltip="Make the child run and put it in line"),
        Binding("up", "checkpoint(-1)", "newer", show=False, id="fork.newer", tooltip="The checkpoint before"),
        Binding("down", "checkpoint(1)", "checkpoint", id="fork.checkpoint", tooltip="Another checkpoint of the run"),
        Binding(
            "tab", "app.focus_next", "next field", id="fork.next", tooltip="From the settings to the name and back"
        ),
        Binding("escape", "close", "close", id="fork.close", tooltip="Fork nothing"),
    ]

    AUTO_FOCUS = "#words"

    def __init__(self, row: RunRow, curves: Curves, *, words: str = "", step: int = 0) -> None:
        """Args: the run, what is known of it, and the settings and the checkpoint's step that stand there at first."""
        super().__init__()
        self.branch = Branch(row.run, curves.checkpoints, words=words)
        self.branch.choose(step)

    @property
    def run_id(self) -> str:
        """The run that is forked."""
        return self.branch.run.id

    def take_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Offer those that there are now; the one that was chosen stays chosen."""
        if checkpoints == self.branch.checkpoints:
            return
        step, self.branch.checkpoints = self.branch.step, checkpoints
        self.branch.choose(step)
        self._show()

    def compose(self) -> ComposeResult:
        """The checkpoint, the settings, the name, what comes of it, the keys."""
        with Vertical(id="dialog"):
            with Horizontal(classes="row"):
                yield Label("checkpoint", classes="name")
                yield Label(id="checkpoint", markup=False)
            with Horizontal(classes="row"):
                yield Label("settings", classes="name")
                yield Input(
                    self.branch.words,
                    compact=True,
                    id="words",
                    placeholder="what changes, such as epochs=800 learning-rate=1e-4",
                    select_on_focus=False,
                )
            with Horizontal(classes="row"):
                yield Label("name", classes="name")
                yield Input(compact=True, id="name", placeholder="made from the name of the run", select_on_focus=False)
            yield Static(id="told", markup=False)
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Name the window."""
        self.query_one("#dialog").border_title = Content.assemble(
            ("Fork ", "bold"), (self.branch.run.name, "bold $primary")
        )
        self.query_one(KeyLine).keys = window_keys(self.BINDINGS)
        self._show()

    def _show(self) -> None:
        branch = self.branch
        words = branch.choices[branch.choice][1]
        more = len(branch.choices) > 1
        at = f"  {branch.choice + 1} of {len(branch.choices)}"
        self.query_one("#checkpoint", Label).update(f"▴ {words} ▾{at}" if more else words)
        error = branch.error
        row = self.query_one("#words").parent
        assert row is not None
        row.set_class(bool(error), "-error")
        told = self.query_one("#told", Static)
        told.update(Content.styled(f"✗ {error}", "$error") if error else Content.styled(branch.told, MUTED))

    def action_checkpoint(self, delta: int) -> None:
        """The checkpoint before or after."""
        self.branch.move(delta)
        self._show()

    @on(Input.Changed, "#words")
    def take_words(self, event: Input.Changed) -> None:
        """Keep what was typed and judge it."""
        self.branch.words = event.value
        self._show()

    @on(Input.Changed, "#name")
    def take_name(self, event: Input.Changed) -> None:
        """Keep the name."""
        self.branch.name = event.value

    @on(Input.Submitted)
    def action_launch(self) -> None:
        """Close with what was chosen, unless something is wrong with it."""
        if not self.branch.error:
            self.dismiss(self.branch.chosen)

    def action_queue(self) -> None:
        """Close with what was chosen and the wish to wait in line, unless something is wrong with it."""
        if not self.branch.error:
            self.dismiss(self.branch.chosen | {"in_line": True})

    def action_close(self) -> None:
        """Close without."""
        self.dismiss(None)
