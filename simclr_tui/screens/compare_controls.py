"""The key of the comparison: the marked runs and the cursor's side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.keys import key
from simclr_tui.screens.mixin import BoardKeys
from simclr_tui.verbs import named
from trainer.store.records import COMPARED_KINDS

if TYPE_CHECKING:
    from simclr_tui.messages import Polled
    from simclr_tui.model import RunRow
    from simclr_tui.screens.compare import CompareScreen


class CompareControls(BoardKeys):
    """Mixed into the main screen. What a comparison needs is imported on its first use."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("c", "compare", "compare", id="runs.compare", tooltip="The marked runs and this one side by side"),
    ]

    compare_screen: "CompareScreen | None" = None
    """The screen above this one that compares runs, if it is open."""

    def action_compare(self) -> None:
        """Compare the marked runs and the cursor's; where that is one run only, ask which others."""
        from simclr_tui.compare.side import MOST_RUNS

        wanted = self._wanted()
        comparable = [row for row in wanted if row.run.kind in COMPARED_KINDS]
        if len(comparable) > MOST_RUNS:
            self._refuse(f"{len(comparable)} runs are too many for a table; leave {MOST_RUNS} of them marked at most")
        elif len(comparable) > 1:
            left_out = [row.run.name for row in wanted if row.run.kind not in COMPARED_KINDS]
            if left_out:
                self._refuse(f"left out, since it trains nothing of its own: {named(left_out)}")
            self._open([row.run.id for row in comparable])
        elif not comparable and wanted:
            self._refuse(_other_way(wanted[0]))
        elif not comparable:
            self._refuse(f"there is no run to compare; {key('n', 'runs.new')} makes one")
        else:
            self._ask(comparable[0])

    def _wanted(self) -> "list[RunRow]":
        """The cursor's run, and the marked ones as charts draw them, oldest first."""
        cursor = self.board.cursor
        marked = sorted(self.board.marked_rows, key=lambda row: row.place)
        return ([cursor] if cursor is not None else []) + [row for row in marked if row is not cursor]

    def _ask(self, first: "RunRow") -> None:
        """Ask which runs stand beside one, if there is any."""
        from simclr_tui.screens.pick import Item, PickScreen

        others = [row for row in self.board.rows if row is not first and _is_offered(row)]
        if not others:
            makes = f"{key('n', 'runs.new')} makes one"
            self._refuse(f"{first.run.name} is the only run that trains, and a comparison needs two; {makes}")
            return
        items = [
            Item(row.run.id, row.run.name, f"{row.state} · {row.run.preset or 'no preset'}") for row in [first, *others]
        ]
        title = f"Compare {first.run.name} with …"
        self.app.push_screen(PickScreen(title, items, [first.run.id], many=True), self._take_choice)

    def _take_choice(self, chosen: list[str] | None) -> None:
        from simclr_tui.compare.side import MOST_RUNS

        if chosen is None:
            return
        if not 2 <= len(chosen) <= MOST_RUNS:
            words = "1 run was" if len(chosen) == 1 else f"{len(chosen)} runs were"
            again = f"{key('c', 'runs.compare')} asks again, space chooses"
            self._refuse(f"{words} chosen, and a comparison needs 2 to {MOST_RUNS}; {again}")
            return
        self._open(chosen)

    def _open(self, run_ids: Sequence[str]) -> None:
        """Read these runs from now on, and show them."""
        from simclr_tui.screens.compare import CompareScreen

        self.board.compared, self.board.totals = tuple(run_ids), {}
        self.show_board()
        self.compare_screen = CompareScreen(self.board)
        self.app.push_screen(self.compare_screen, lambda _: self._leave_comparison())

    def _leave_comparison(self) -> None:
        self.board.compared, self.board.totals, self.compare_screen = (), {}, None
        self.show_board()

    def take_compared(self, message: "Polled") -> None:
        """Hand what is new on to the comparison, if it is open."""
        self.board.totals |= message.totals or {}
        if self.compare_screen is not None and (message.rows is not None or message.curves or message.totals):
            self.compare_screen.show_comparison()

    def _refuse(self, sentence: str) -> None:
        self.notify(sentence, severity="warning")


def _is_offered(row: "RunRow") -> bool:
    """Whether a run can be compared and was not put away; one that was can still be marked."""
    return row.run.kind in COMPARED_KINDS and not row.labels.is_hidden


def _other_way(row: "RunRow") -> str:
    """Where a run that can't be compared is looked at."""
    if row.run.kind == "benchmark":
        shows = f"{key('b', 'run.benchmark')} shows it"
        return f"{row.run.name} is a benchmark, whose trials have a table of their own; {shows}"
    return f"{row.run.name} is of kind {row.run.kind}, which trains nothing; put the cursor on the run that it looks at"
