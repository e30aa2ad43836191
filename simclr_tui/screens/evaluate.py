"""Which way to look at a run's checkpoint."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from simclr_tui.launch.wish import ANSWERS, Wish
from simclr_tui.model import Curves, RunRow
from simclr_tui.theme import MUTED
from simclr_tui.widgets.key_line import KeyLine, window_keys
from simclr_tui.words import Part
from trainer.evaluate_config import WAYS
from trainer.store.records import Checkpoint


class EvaluateScreen(ModalScreen[dict[str, Any] | None]):
    """Answers the settings of an evaluation, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "launch", "evaluate", id="evaluate.launch", tooltip="Evaluate in the background"),
        Binding("up", "way(-1)", "way", show=False, id="evaluate.previous", tooltip="The way before"),
        Binding("down", "way(1)", "way", id="evaluate.next", tooltip="The next way"),
        *(
            Binding(str(number), f"choose('{way}')", way, show=False, id=f"evaluate.{way}", tooltip=f"Evaluate {way}")
            for number, way in enumerate(WAYS, start=1)
        ),
        Binding("left", "checkpoint(-1)", "newer", show=False, id="evaluate.newer", tooltip="The checkpoint before"),
        Binding(
            "right", "checkpoint(1)", "checkpoint", id="evaluate.checkpoint", tooltip="Another checkpoint of the run"
        ),
        Binding("tab", "dataset", "data set", id="evaluate.dataset", tooltip="To the data set's field and back"),
        Binding("escape", "close", "close", id="evaluate.close", tooltip="Evaluate nothing"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, row: RunRow, curves: Curves, *, way: str = "layers", step: int = 0) -> None:
        """Args: the run, what is known of it, and the way and the checkpoint's step that are chosen at first."""
        super().__init__()
        self.run_id = row.run.id
        self._run_name = row.run.name
        self.wish = Wish(curves.checkpoints, way)
        self.wish.choose(step)

    def take_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Offer those that there are now; the one that was chosen stays chosen."""
        if checkpoints == self.wish.checkpoints:
            return
        step, self.wish.checkpoints = self.wish.step, checkpoints
        self.wish.choose(step)
        self._show()

    def compose(self) -> ComposeResult:
        """The ways, the checkpoint, the data set, the keys."""
        with Vertical(id="dialog"):
            yield Static(id="ways")
            with Horizontal(classes="row"):
                yield Label("checkpoint", classes="name")
                yield Label(id="checkpoint", markup=False)
            with Horizontal(classes="row"):
                yield Label("another data set", classes="name")
                yield Input(compact=True, id="dataset", placeholder="the run's own", select_on_focus=False)
                yield Label("stl10, cifar10, shapes or folder:PATH", classes="hint", markup=False)
            yield Static(id="error", markup=False)
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Name the window."""
        self.query_one("#dialog").border_title = Content.assemble(
            ("Evaluate ", "bold"), (self._run_name, "bold $primary")
        )
        self.query_one(KeyLine).keys = window_keys(self.BINDINGS)
        self._show()

    def _show(self) -> None:
        parts: list[Part] = []
        width = max(len(answer) for answer, _ in ANSWERS.values())
        for number, way in enumerate(WAYS, start=1):
            answer, time = ANSWERS[way]
            is_chosen = way == self.wish.way
            sign, style = ("▸", "bold $primary") if is_chosen else (" ", "")
            parts += [(f"{sign} {number} {way:<11}", style), f"{answer:<{width}}", (f"  {time}", MUTED), "\n"]
        self.query_one("#ways", Static).update(Content.assemble(*parts[:-1]))
        chosen = self.wish.choices[self.wish.choice][1]
        more = len(self.wish.choices) > 1
        self.query_one("#checkpoint", Label).update(f"‹ {chosen} ›" if more else chosen)
        error = self.wish.error
        self.query_one("#error", Static).update(Content.styled(f"✗ {error}" if error else "", "$error"))

    def action_way(self, delta: int) -> None:
        """The way before or after."""
        self.wish.move(delta)
        self._show()

    def action_choose(self, way: str) -> None:
        """One way."""
        self.wish.way = way
        self._show()

    def action_checkpoint(self, delta: int) -> None:
        """The checkpoint before or after."""
        self.wish.move_checkpoint(delta)
        self._show()

    def action_dataset(self) -> None:
        """To the field, or back to the screen's own keys."""
        field = self.query_one("#dataset", Input)
        self.set_focus(None if field.has_focus else field)

    @on(Input.Changed, "#dataset")
    def take_dataset(self, event: Input.Changed) -> None:
        """Keep what was typed and judge it."""
        self.wish.dataset = event.value
        self._show()

    @on(Input.Submitted, "#dataset")
    def action_launch(self) -> None:
        """Close with the settings, unless one of them is wrong."""
        if not self.wish.error:
            self.dismiss(self.wish.values)

    def action_close(self) -> None:
        """Close without."""
        self.dismiss(None)
