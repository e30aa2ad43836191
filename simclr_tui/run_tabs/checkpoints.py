"""The checkpoints of a run: what each is kept for, and what can be done with it."""

import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from simclr_tui.format import count
from simclr_tui.run.checkpoint_words import HEADING, state_of, table, totals, what_goes_next, written
from simclr_tui.run_tabs.listing import Listing
from simclr_tui.run_tabs.tab import RunLook, RunTab
from simclr_tui.screens.controls import ask_evaluation, ask_fork
from simclr_tui.screens.group import do_to_own
from simclr_tui.theme import MUTED
from trainer.paths import home_or_here, typed_path
from trainer.store.records import TRAINED_KINDS, Checkpoint

_NUMBERS = 5
"""The first columns, which are at the right of their room."""
_PINNED, _LOOSE = "⊙", " "


class CheckpointsTab(RunTab):
    """A table with a cursor; nothing is deleted here, since that is what retention does."""

    OWN_KEYS: ClassVar[list[BindingType]] = [
        Binding(
            "c", "check", "check", id="checkpoints.check", tooltip="Read the checkpoint back and compare its SHA-256"
        ),
        Binding("C", "check_all", "check all", id="checkpoints.check-all", tooltip="Read back every checkpoint of it"),
        Binding("m", "pin", "pin", id="checkpoints.pin", tooltip="Keep the checkpoint for good, or no longer"),
        Binding("e", "evaluate", "evaluate", id="checkpoints.evaluate", tooltip="Evaluate from this checkpoint"),
        Binding("f", "fork", "fork", id="checkpoints.fork", tooltip="Make a child run from this checkpoint"),
        Binding("x", "export", "export", id="checkpoints.export", tooltip="Copy the checkpoint to a file of your own"),
        Binding("escape", "cancel", "cancel", show=False, id="checkpoints.cancel", tooltip="Export nothing"),
    ]
    BINDINGS = OWN_KEYS

    _rows: Sequence[Checkpoint] = ()
    _cells: Sequence[Sequence[str]] = ()
    _widths: Sequence[int] = ()

    @property
    def keys(self) -> list[Binding]:
        """Those that do something with a checkpoint, where there is one."""
        return super().keys if self._rows else []

    def compose(self) -> ComposeResult:
        """The table, the path of an export, the totals."""
        yield Listing(id="checkpoint-list")
        yield Input(id="export-path", compact=True, placeholder="where to: a file or a folder")
        yield Static(id="checkpoint-words", markup=False)

    def on_mount(self) -> None:
        """Ages go on."""
        super().on_mount()
        self.set_interval(10.0, self.again)

    def show(self, look: RunLook) -> None:
        """Draw the table; the cursor stays with its checkpoint where a newer one came."""
        at = self.chosen
        self._rows = look.curves.checkpoints
        now = time.time()
        self._cells = table(look.row.run, self._rows, look.opened.pinned, now)
        listing = self.query_one(Listing)
        said = f"  {totals(self._rows)}" if self._rows else ""
        listing.border_title = Content.assemble(("checkpoints", "bold"), (said, MUTED))
        every = (HEADING, *self._cells)
        self._widths = [max(len(cells[column]) for cells in every) for column in range(len(HEADING))]
        listing.heading = Content.styled(f"  {self._text(HEADING, ' ')}", MUTED) if self._rows else None
        if not self._rows:
            listing.fill([Content.styled(_why_none(look), MUTED)])
        else:
            listing.show(len(self._rows), self._row, range(len(self._rows)))
            steps = [row.step for row in self._rows]
            if at is not None and at.step in steps and steps.index(at.step) != listing.cursor:
                listing.put(steps.index(at.step))
        self._show_words(look, now)

    @property
    def chosen(self) -> Checkpoint | None:
        """The one under the cursor."""
        at = self.query_one(Listing).cursor
        return self._rows[at] if at < len(self._rows) else None

    def _row(self, number: int) -> Content:
        assert self.look is not None
        row, cells = self._rows[number], self._cells[number]
        is_pinned = row.step in self.look.opened.pinned
        style = "" if row.verified_at is not None else "$warning"
        return Content.styled(self._text(cells, _PINNED if is_pinned else _LOOSE), style)

    def _text(self, cells: Sequence[str], sign: str) -> str:
        """A line of the table, each column as wide as it needs to be."""
        shown = [
            f"{cell:>{width}}" if column < _NUMBERS else f"{cell:<{width}}"
            for column, (cell, width) in enumerate(zip(cells, self._widths, strict=True))
        ]
        return f"{sign} {'  '.join(shown)}".rstrip()

    def _show_words(self, look: RunLook, now: float) -> None:
        words = what_goes_next(look.row.run, self._rows, look.opened.pinned, now)
        chosen = self.chosen
        about = ""
        if chosen is not None:
            about = f"\nstep {count(chosen.step)}: {written(chosen.reason)}, {state_of(chosen)} · {chosen.path}"
        self.query_one("#checkpoint-words", Static).update(Content.styled(words + about, MUTED))

    def on_listing_moved(self) -> None:
        """Another one is chosen."""
        if self.look is not None:
            self._show_words(self.look, time.time())

    def move(self, delta: int) -> None:
        """Move the cursor."""
        self.query_one(Listing).move(delta)

    def _asked(self) -> tuple[RunLook, Checkpoint] | None:
        """The run and the checkpoint under the cursor, or a sentence."""
        if self.look is None or self.chosen is None:
            self.notify("there is no checkpoint here to do that with", severity="warning")
            return None
        return self.look, self.chosen

    def action_check(self) -> None:
        """Read it back."""
        asked = self._asked()
        if asked is not None:
            look, row = asked
            self.notify(f"reading step {count(row.step)} back")
            self.dashboard.do(partial(self.dashboard.actions.checkpoint, look.row.run.id, "check", [row.step]))

    def action_check_all(self) -> None:
        """Read all of them back."""
        asked = self._asked()
        if asked is not None:
            steps = [row.step for row in self._rows]
            self.notify(f"reading {totals(self._rows)} back")
            self.dashboard.do(partial(self.dashboard.actions.checkpoint, asked[0].row.run.id, "check", steps))

    def action_pin(self) -> None:
        """Pin it, or leave it to retention again."""
        asked = self._asked()
        if asked is not None:
            look, row = asked
            deed = "unpin" if row.step in look.opened.pinned else "pin"
            act = partial(self.dashboard.actions.checkpoint, look.row.run.id, deed, [row.step])
            do_to_own(self.dashboard, deed, [look.row], act, what="a checkpoint of ")

    def action_evaluate(self) -> None:
        """Ask in which way, with this one chosen."""
        asked = self._asked()
        if asked is not None:
            ask_evaluation(self.dashboard, asked[0].row, asked[0].curves, step=asked[1].step)

    def action_fork(self) -> None:
        """Ask with which settings, with this one chosen."""
        asked = self._asked()
        if asked is not None:
            ask_fork(self.dashboard, asked[0].row, asked[0].curves, step=asked[1].step)

    def action_export(self) -> None:
        """Ask where to."""
        asked = self._asked()
        if asked is not None:
            field = self.query_one("#export-path", Input)
            field.value = str(home_or_here() / f"{asked[0].row.run.id}-step-{asked[1].step}.pt")
            field.add_class("-shown")
            field.focus()

    @on(Input.Submitted, "#export-path")
    def export(self, event: Input.Submitted) -> None:
        """Copy it there."""
        asked = self._asked()
        self._close_path()
        if asked is not None and event.value.strip():
            target = typed_path(event.value.strip())
            deed = partial(self.dashboard.actions.checkpoint, asked[0].row.run.id, "export", [asked[1].step], target)
            self.dashboard.do(deed)

    def action_cancel(self) -> None:
        """Close the path, or else the screen."""
        if self.query_one("#export-path").has_class("-shown"):
            self._close_path()
        else:
            self.screen.dismiss()

    def _close_path(self) -> None:
        self.query_one("#export-path").remove_class("-shown")
        self.focus()


def _why_none(look: RunLook) -> str:
    run = look.row.run
    if run.kind not in TRAINED_KINDS:
        return f"{run.name} is of kind {run.kind}, which has no checkpoints"
    return (
        "no checkpoint yet; the first comes within a minute of training" if look.curves.is_read else "reading the store"
    )
