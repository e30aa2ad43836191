"""Every key and what it does, made from the bindings themselves."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from simclr_tui.screens.apply_benchmark import ApplyScreen
from simclr_tui.screens.benchmark import BenchmarkScreen
from simclr_tui.screens.benchmark_form import BenchmarkForm
from simclr_tui.screens.evaluate import EvaluateScreen
from simclr_tui.screens.fork import ForkScreen
from simclr_tui.screens.learning import LearningScreen
from simclr_tui.screens.main import MainScreen
from simclr_tui.screens.new_run import NewRunScreen
from simclr_tui.widgets.key_line import key_text
from simclr_tui.words import Part

_KEY_WIDTH = 12

_WORDS = """Charts: the raw values are faint, from the lowest to the highest of each column; the line is their
moving average. A dashed line is what a model that knows nothing would reach, a dotted one is where the run was
resumed, forked or given other settings. What a fork continues is drawn faint before it. Runs belong to their own
processes: closing the dashboard leaves them going, and opening it finds them again."""


class HelpScreen(ModalScreen[None]):
    """The keys of every screen and of everywhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "close", id="help.close", tooltip="Close the help"),
    ]

    def compose(self) -> ComposeResult:
        """One section for each screen."""
        with Vertical(id="dialog"), VerticalScroll(id="help"):
            sections = (
                ("Runs", MainScreen),
                ("Learning", LearningScreen),
                ("Benchmark", BenchmarkScreen),
                ("New benchmark", BenchmarkForm),
                ("Apply a benchmark", ApplyScreen),
                ("Evaluate", EvaluateScreen),
                ("Fork", ForkScreen),
                ("New run", NewRunScreen),
                ("Everywhere", type(self.app)),
            )
            for title, owner in sections:
                yield Static(Content.styled(title, "bold $primary"), classes="section")
                yield Static(_table(bindings_of(owner.BINDINGS)))
            yield Static(" ".join(_WORDS.split()), classes="section", markup=False)

    def on_mount(self) -> None:
        """Name the window."""
        self.query_one("#dialog").border_title = "keys"
        self.query_one("#dialog").border_subtitle = "esc closes"


def bindings_of(bindings: Sequence[BindingType]) -> list[Binding]:
    """The bindings that have an id, which is all of them."""
    return [binding for binding in bindings if isinstance(binding, Binding) and binding.id]


def _table(bindings: Sequence[Binding]) -> Content:
    parts: list[Part] = []
    for binding in bindings:
        keys = " ".join(key_text(Binding(key, "", "")) for key in binding.key.split(","))
        parts += [(f"  {keys:<{_KEY_WIDTH}}", "bold $accent"), f"{binding.tooltip}\n"]
    return Content.assemble(*parts)
