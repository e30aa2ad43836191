"""A benchmark beside the list of runs: its trials and the verdict, in the place of charts that it has none of."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from simclr_tui.keys import key
from simclr_tui.theme import MUTED
from simclr_tui.widgets.bench_grid import BenchGrid

if TYPE_CHECKING:
    from simclr_tui.lab.bench import BenchLook


class BenchDigest(Vertical):
    """Shown where the cursor's run is a benchmark."""

    def __init__(self, ready: Callable[[], object], *, id: str) -> None:
        """Args: called once it can be shown something, and the widget's id."""
        super().__init__(id=id)
        self._ready = ready

    def compose(self) -> ComposeResult:
        """The trials, and the verdict below."""
        yield BenchGrid(id="digest-grid", has_cursor=False)
        with VerticalScroll(id="digest-verdict", can_focus=False):
            yield Static(id="digest-words", markup=False)

    @property
    def is_composed(self) -> bool:
        """Whether it has its parts, and can be shown something."""
        return bool(self.query("#digest-words"))

    def on_mount(self) -> None:
        """Ask for what is known, now that it can be shown."""
        self.call_after_refresh(self._ready)

    def show(self, known: "BenchLook | None", state: str) -> None:
        """Show what was read."""
        grid, box, words = (
            self.query_one(BenchGrid),
            self.query_one("#digest-verdict"),
            self.query_one("#digest-words", Static),
        )
        bench = known.bench if known else None
        grid.show(bench)
        box.border_title = Content.assemble(("verdict" if bench and bench.verdict.is_final else "so far", "bold"))
        if bench is None:
            words.update(Content.styled(known.problem if known else "reading the benchmark", MUTED))
            return
        from simclr_tui.lab.words import status_words

        trouble = (f"✗ {bench.failure}\n", "$error") if bench.failure else ""
        scale = f"\n{bench.scale_words}" if bench.scale_words else ""
        words.update(
            Content.assemble(
                (f"{status_words(bench, state, time.time())} · {key('b', 'run.benchmark')} opens it\n", "bold"),
                trouble,
                bench.said,
                (scale, MUTED),
            )
        )
