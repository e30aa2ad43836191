"""Which run gets the winner of a benchmark, or is forked with it; what that changes stands below."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from simclr_tui.format import fit
from simclr_tui.keys import key
from simclr_tui.lab.bench import Bench
from simclr_tui.lab.offer import nothing_to_apply, offer, refuse_apply
from simclr_tui.model import RunRow
from simclr_tui.theme import MUTED
from simclr_tui.widgets.key_line import KeyLine
from simclr_tui.words import Part
from trainer.errors import UsageError

_ROWS = 8
_NAME = 28


class ApplyScreen(ModalScreen[str | None]):
    """Answers the id of the run, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "answer", "do it", id="apply.yes", tooltip="Apply the settings to the run, or fork it"),
        Binding("up,k", "move(-1)", "up", show=False, id="apply.up", tooltip="The run above"),
        Binding("down,j", "move(1)", "another run", id="apply.down", tooltip="The run below"),
        Binding("escape,n,q", "close", "leave it", id="apply.no", tooltip="Change nothing"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, bench: Bench, rows: Sequence[RunRow], *, way: Literal["apply", "fork"]) -> None:
        """Args: the benchmark, the runs to choose from (one at least), and what is done to the chosen one."""
        super().__init__()
        self._bench, self._rows, self._way = bench, rows, way
        ids = [row.run.id for row in rows]
        self._at = ids.index(bench.config.of) if bench.config.of in ids else 0

    def compose(self) -> ComposeResult:
        """The runs, what changes, the keys."""
        with Vertical(id="dialog"):
            yield Static(id="choices", markup=False)
            yield Static(id="told", markup=False)
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Name the window."""
        words = "Apply the winner to a run" if self._way == "apply" else "Fork a run with the winner"
        self.query_one("#dialog").border_title = Content.styled(words, "bold")
        self._show()

    def _show(self) -> None:
        first = max(0, min(self._at - _ROWS // 2, len(self._rows) - _ROWS))
        parts: list[Part] = []
        for number, row in list(enumerate(self._rows))[first : first + _ROWS]:
            is_chosen = number == self._at
            sign, style = ("▸", "bold $primary") if is_chosen else (" ", "")
            of = "  benchmarked" if row.run.id == self._bench.config.of else ""
            parts += [(f"{sign} {fit(row.run.name, _NAME)} {row.state:<11}", style), (f"{of}\n", MUTED)]
        self.query_one("#choices", Static).update(Content.assemble(*parts))
        error, words = self._told(self._rows[self._at])
        told = Content.styled(f"✗ {error}", "$error") if error else Content.assemble(*words)
        self.query_one("#told", Static).update(told)
        keys = [b for b in self.BINDINGS if isinstance(b, Binding) and b.show]
        wanted = [
            b for b in keys if (b.action != "answer" or not error) and (len(self._rows) > 1 or "move" not in b.action)
        ]
        self.query_one(KeyLine).keys = wanted

    def _told(self, row: RunRow) -> tuple[str, list[Part]]:
        """Why it can't be done, or what it changes."""
        try:
            found = offer(self._bench, row.run)
        except UsageError as error:
            return str(error), []
        scale = f"\nMeasured at scale {self._bench.config.scale:g}." if self._bench.config.scale != 1 else ""
        if self._way == "fork":
            if not found.fork:
                return f"{row.run.name} has nothing to gain from a fork by this benchmark", []
            return "", [
                ("A child run with ", ""),
                (found.fork_changes, "bold"),
                (f"; {row.run.name} stays.{scale}", MUTED),
            ]
        sentence = refuse_apply(row.run, row.state)
        if sentence is None and not found.values:
            sentence = nothing_to_apply(self._bench, row.run, found)
        if sentence is not None:
            return sentence, []
        how = "pauses and goes on" if row.is_live else "goes on"
        words: list[Part] = [
            (found.changes, "bold"),
            f"\n{row.run.name} {how} with it; its result stays the same.{scale}",
        ]
        if found.fork_changes:
            words.append((f"\nOnly in a fork, which {key('f', 'benchmark.fork')} makes: {found.fork_changes}", MUTED))
        return "", words

    def action_move(self, delta: int) -> None:
        """Another run."""
        self._at = (self._at + delta) % len(self._rows)
        self._show()

    def action_answer(self) -> None:
        """Close with the run, unless nothing can be done to it."""
        row = self._rows[self._at]
        if not self._told(row)[0]:
            self.dismiss(row.run.id)

    def action_close(self) -> None:
        """Close without."""
        self.dismiss(None)
