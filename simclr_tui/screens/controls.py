"""The keys that ask something of a run: new, pause, resume, stop, evaluate."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from simclr_tui.verbs import refusal

if TYPE_CHECKING:
    from textual.screen import Screen

    from simclr_tui.app import DashboardApp
    from simclr_tui.board import Board
    from simclr_tui.model import RunRow

    _Base = Screen[None]
else:
    _Base = object


class RunControls(_Base):
    """Mixed into the main screen; every action runs in a thread, and a wrong key is answered with a sentence."""

    board: "Board"

    if TYPE_CHECKING:

        @property
        def dashboard(self) -> DashboardApp:
            """The app."""
            ...

    def action_new_run(self) -> None:
        """Open the form of a new run."""
        from simclr_tui.screens.new_run import NewRunScreen

        self.app.push_screen(NewRunScreen())

    def action_pause(self) -> None:
        """Pause the cursor's run; nothing is lost, so nothing is asked."""
        row = self._allowed("pause")
        if row is not None:
            self._start(partial(self.dashboard.actions.pause, row.run.id))

    def action_resume(self) -> None:
        """Resume the cursor's run."""
        row = self._allowed("resume")
        if row is not None:
            self._start(partial(self.dashboard.actions.resume, row.run.id))

    def action_evaluate(self) -> None:
        """Score the newest checkpoint of the cursor's run."""
        row = self._allowed("evaluate")
        if row is not None:
            self._start(partial(self.dashboard.actions.evaluate, row.run.id))

    def action_stop(self) -> None:
        """Stop the cursor's run once it is confirmed."""
        from simclr_tui.screens.confirm import ConfirmScreen

        row = self._allowed("stop")
        if row is None:
            return
        run_id = row.run.id

        def stop(is_sure: bool | None) -> None:
            if is_sure:
                self._start(partial(self.dashboard.actions.stop, run_id))

        self.app.push_screen(
            ConfirmScreen(
                f"Stop {row.run.name}?",
                "It finishes its step, saves a checkpoint and frees the device. It counts as ended from then on; "
                "it can still be resumed by name.",
                yes="stop",
                no="keep it running",
            ),
            stop,
        )

    def _allowed(self, verb: str) -> "RunRow | None":
        """The cursor's run if the verb can be done to it; else a sentence, and None."""
        row = self.board.cursor
        if row is None:
            self.notify(f"there is no run to {verb}; n makes one", severity="warning")
            return None
        sentence = refusal(verb, row.run.name, row.state)
        if sentence is not None:
            self.notify(sentence, severity="warning")
            return None
        return row

    def _start(self, work: Callable[[], Any]) -> None:
        self.app.run_worker(work, thread=True, group="actions", exit_on_error=False)
