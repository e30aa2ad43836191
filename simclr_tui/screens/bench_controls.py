"""The key of the laboratory: a benchmark's own screen, or the form of a new one for another run's settings."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.screens.mixin import BoardKeys

if TYPE_CHECKING:
    from simclr_tui.screens.benchmark import BenchmarkScreen


class BenchControls(BoardKeys):
    """Mixed into the main screen. What a benchmark needs is imported on its first use."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("b", "benchmark", "benchmark", id="run.benchmark", tooltip="Which settings are fast: the laboratory"),
    ]

    benchmark_screen: "BenchmarkScreen | None" = None
    """The screen above this one that shows a benchmark, if it is open."""

    def action_benchmark(self) -> None:
        """Open the cursor's benchmark; of another run ask how its settings are measured, and start that."""
        row = self.board.cursor
        if row is None or row.run.kind != "benchmark":
            self._ask_benchmark()
            return
        from simclr_tui.screens.benchmark import BenchmarkScreen

        self.benchmark_screen = BenchmarkScreen(self.board, row.run.id)
        self.app.push_screen(self.benchmark_screen, lambda _: self._leave_benchmark())

    def _leave_benchmark(self) -> None:
        self.benchmark_screen = None

    def _ask_benchmark(self) -> None:
        from simclr_tui.lab.form import BenchForm
        from simclr_tui.screens.benchmark_form import BenchmarkForm
        from trainer.devices import gpus
        from trainer.errors import ConfigError
        from trainer.store.records import TRAINED_KINDS

        row = self.board.cursor
        if row is not None and row.run.source_run_id:  # of an evaluation the run that it looks at
            row = self.board.row_of(row.run.source_run_id)
        run = row.run if row is not None and row.run.kind in TRAINED_KINDS else None
        form = BenchForm(run, has_gpu=bool(gpus()))
        try:
            form.usual  # noqa: B018 - raises where the stored settings can't be used
        except ConfigError as error:
            self.notify(str(error), severity="warning")
            return

        def start(answer: tuple[str, dict[str, Any]] | None) -> None:
            if answer is not None:
                self.dashboard.do(partial(self.dashboard.actions.benchmark, *answer))

        self.app.push_screen(BenchmarkForm(form), start)

    def show_digest(self) -> None:
        """Show the trials and the verdict in the place of the charts where the cursor's run is a benchmark."""
        row = self.board.cursor
        is_benchmark = row is not None and row.run.kind == "benchmark"
        self.set_class(is_benchmark, "-benchmark")
        if row is None or not is_benchmark:
            return
        from simclr_tui.widgets.digest import BenchDigest

        known = self.query(BenchDigest)
        if not known:
            self.query_one("#run").mount(BenchDigest(self.show_digest, id="digest"))
        elif known.first().is_composed:
            known.first().show(self.board.benchmark_of(row.run.id), row.state)
