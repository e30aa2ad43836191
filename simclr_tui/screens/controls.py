"""The keys that ask something of a run: new, pause, resume, stop, evaluate, learning."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from textual.binding import Binding, BindingType

from simclr_tui.keys import key
from simclr_tui.screens.group import do_to_own, refusal_of
from simclr_tui.screens.mixin import BoardKeys
from simclr_tui.verbs import useful
from trainer.people import named_with_owner
from trainer.store.records import SUBMITTED, TRAINED_KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.screen import Screen

    from simclr_tui.app import DashboardApp
    from simclr_tui.model import Curves, RunRow
    from simclr_tui.screens.learning import LearningScreen
    from trainer.store.records import Checkpoint


class RunControls(BoardKeys):
    """Mixed into the main screen; every action runs in a thread, and a wrong key is answered with a sentence."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("n", "new_run", "new", id="runs.new", tooltip="Launch a new run from a form"),
        Binding("p", "pause", "pause", id="run.pause", tooltip="Pause the run: checkpoint, end, free the device"),
        Binding("r", "resume", "resume", id="run.resume", tooltip="Go on with the run from its newest checkpoint"),
        Binding("s", "stop", "stop", id="run.stop", tooltip="Stop the run for good; it can still be resumed by name"),
        Binding("f", "fork", "fork", id="run.fork", tooltip="Make a child run from a checkpoint, with other settings"),
        Binding("v", "learning", "learning", id="run.learning", tooltip="Verdict, layers, labels, invariance and map"),
        Binding("e", "evaluate", "evaluate", id="run.evaluate", tooltip="Look at a checkpoint in one of five ways"),
    ]

    learning_screen: "LearningScreen | None" = None
    """The screen above this one that shows what a run has learnt, if it is open."""

    def action_new_run(self) -> None:
        """Open the form of a new run."""
        from simclr_tui.screens.new_run import NewRunScreen

        self.app.push_screen(NewRunScreen())

    def action_pause(self) -> None:
        """Pause the cursor's run; nothing is lost, so nothing is asked where it is one's own."""
        row = self._allowed("pause")
        if row is not None:
            ask_pause(self.dashboard, row)

    def action_resume(self) -> None:
        """Resume the cursor's run."""
        row = self.board.cursor
        if row is not None and row.turn is not None:
            hold, sooner, out = key("h", "line.hold"), key("<", "line.up"), key("p", "run.pause")
            held = f"{hold} lets it take its turn" if row.turn.is_held else f"{sooner} moves it sooner"
            self.notify(f"{row.run.name} waits in line already and starts by itself; {held}, {out} takes it out")
        elif (row := self._allowed("resume")) is not None:
            ask_resume(self.dashboard, row)

    def action_evaluate(self) -> None:
        """Ask in which way the cursor's run is evaluated, and do it."""
        row = self._allowed("evaluate")
        if row is not None:
            ask_evaluation(self.dashboard, row, self.board.curves_of(row))

    def action_fork(self) -> None:
        """Ask from which checkpoint and with which settings the cursor's run is forked, and do it."""
        row = self._allowed("fork")
        if row is not None:
            ask_fork(self.dashboard, row, self.board.curves_of(row))

    def action_learning(self) -> None:
        """Show what the cursor's run, or the one that it evaluates, has learnt."""
        from simclr_tui.screens.learning import LearningScreen

        row = self._allowed("look at")
        if row is None:
            return
        if row.run.kind == "benchmark":
            self.notify(
                f"{row.run.name} is a benchmark, which learns nothing; {key('b', 'run.benchmark')} shows it",
                severity="warning",
            )
            return
        run_id = row.run.source_run_id or row.run.id
        if self.board.row_of(run_id) is None:
            self.notify(f"the run that {row.run.name} evaluates is not in this store any more", severity="warning")
            return
        self.board.learning_id = run_id
        self.show_board()
        self.learning_screen = LearningScreen(self.board, run_id)
        self.app.push_screen(self.learning_screen, lambda _: self._leave_learning())

    def _leave_learning(self) -> None:
        self.board.learning_id = self.learning_screen = None
        self.show_board()

    def action_stop(self) -> None:
        """Stop the cursor's run once it is confirmed."""
        row = self._allowed("stop")
        if row is not None:
            ask_stop(self.dashboard, row)

    def _allowed(self, verb: str) -> "RunRow | None":
        """The cursor's run if the verb can be done to it; else a sentence, and None."""
        row = self.board.cursor
        if row is None:
            instead = "esc clears the filter" if self.board.rows else f"{key('n', 'runs.new')} makes one"
            self.notify(f"there is no run to {verb}; {instead}", severity="warning")
            return None
        return row if is_allowed(self, verb, row) else None


def can_be_asked(verb: str, row: "RunRow") -> bool:
    """Whether a verb is worth naming in the footer of a run's own screen: it is of use, and would not be refused."""
    starts_by_itself = row.turn or row.run.lifecycle == SUBMITTED
    return useful(verb, row.state) and not (verb == "resume" and starts_by_itself) and refusal_of(verb, row) is None


def is_allowed(screen: "Screen[None]", verb: str, row: "RunRow") -> bool:
    """Whether the verb can be done to a run; says in a sentence why not."""
    sentence = refusal_of(verb, row)
    if sentence is not None:
        screen.notify(sentence, severity="warning")
    return sentence is None


def ask_pause(dashboard: "DashboardApp", row: "RunRow") -> None:
    """Pause a run; another person's once that is confirmed."""
    do_to_own(dashboard, "pause", [row], partial(dashboard.actions.pause, row.run.id), or_runner=True)


def ask_resume(dashboard: "DashboardApp", row: "RunRow") -> None:
    """Resume a run; another person's once that is confirmed."""
    do_to_own(dashboard, "resume", [row], partial(dashboard.actions.resume, row.run.id))


def ask_stop(dashboard: "DashboardApp", row: "RunRow") -> None:
    """Stop a run once it is confirmed."""
    from simclr_tui.screens.confirm import ConfirmScreen

    run_id = row.run.id
    how = "finishes its step, saves a checkpoint and frees the device" if row.turn is None else "leaves the line"
    if row.run.kind == "benchmark" and row.turn is None:
        how = "leaves the turn that is under way and frees the device; what was measured stays"
    if row.run.lifecycle == SUBMITTED:
        how = "leaves Slurm's queue"

    def stop(is_sure: bool | None) -> None:
        if is_sure:
            dashboard.do(partial(dashboard.actions.stop, run_id))

    dashboard.push_screen(
        ConfirmScreen(
            f"Stop {named_with_owner(row.run)}?",
            f"It {how}. It counts as ended from then on; it can still be resumed by name.",
            yes="stop",
            no="keep it running",
        ),
        stop,
    )


@runtime_checkable
class OffersCheckpoints(Protocol):
    """A window in which one of a run's checkpoints is chosen."""

    run_id: str

    def take_checkpoints(self, checkpoints: "Sequence[Checkpoint]") -> None:
        """Offer those that there are now."""


def offer_checkpoints(window: object, curves: "Sequence[Curves]") -> None:
    """Tell a window of checkpoints that have come since it was opened, or that had not been read by then."""
    if isinstance(window, OffersCheckpoints):
        for one in curves:
            if one.run_id == window.run_id:
                window.take_checkpoints(one.checkpoints)


def ask_evaluation(
    dashboard: "DashboardApp", row: "RunRow", curves: "Curves", *, way: str = "layers", step: int = 0
) -> None:
    """Open the window of ways and start what was chosen; a run that can't be evaluated is refused at once.

    Args:
        dashboard: the app.
        row: the run.
        curves: what was read of it.
        way: the one that is chosen at first.
        step: of the checkpoint that is chosen at first, 0 for the newest.
    """
    from simclr_tui.screens.evaluate import EvaluateScreen

    run_id = row.run.id

    def start(values: dict[str, Any] | None) -> None:
        if values is not None:
            dashboard.do(partial(dashboard.actions.evaluate, run_id, values))

    if curves.is_read and not curves.checkpoints:
        start({"what": way})  # comes to nothing, and says why
        return
    dashboard.push_screen(EvaluateScreen(row, curves, way=way, step=step), start)


def ask_fork(dashboard: "DashboardApp", row: "RunRow", curves: "Curves", *, words: str = "", step: int = 0) -> None:
    """Open the window of a fork and start what was chosen; a run that can't be forked is refused at once.

    Args:
        dashboard: the app.
        row: the run.
        curves: what was read of it.
        words: settings that stand in the window at first.
        step: of the checkpoint that is chosen at first, 0 for the newest.
    """
    from simclr_tui.screens.fork import ForkScreen

    run_id = row.run.id

    def start(chosen: dict[str, Any] | None) -> None:
        if chosen is not None:
            dashboard.do(partial(dashboard.actions.fork, run_id, **chosen))

    if row.run.kind not in TRAINED_KINDS or (curves.is_read and not curves.checkpoints):
        start({"step": 0, "name": "", "values": {}, "fresh_optimizer": False})  # comes to nothing, and says why
        return
    dashboard.push_screen(ForkScreen(row, curves, words=words, step=step), start)
