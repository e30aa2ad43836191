"""Whether a run learns and what it has learnt, in short; the learning screen has all of it."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from simclr_tui.keys import key
from simclr_tui.learning import health
from simclr_tui.learning.sections import SECTIONS
from simclr_tui.run_tabs.tab import RunLook, RunTab
from simclr_tui.theme import MUTED
from trainer.store.records import TRAINED_KINDS


class LearningTab(RunTab):
    """The verdict with its figures, then what each other section of the learning screen says in a line."""

    def compose(self) -> ComposeResult:
        """One text."""
        with VerticalScroll(id="learning-text", can_focus=False):
            yield Static(id="learning-words", markup=False)

    def show(self, look: RunLook) -> None:
        """Write it for the width that there is."""
        box, words = self.query_one("#learning-text"), self.query_one("#learning-words", Static)
        box.border_title = Content.styled("learning", "bold")
        found = look.findings
        if found is None or look.row.run.kind not in TRAINED_KINDS:
            run = look.row.run
            words.update(Content.styled(f"{run.name} is of kind {run.kind}, which learns nothing of its own", MUTED))
            return
        width = max(1, box.content_size.width - 1)
        parts = [health.body(found, width), Content("\n")]
        for name, section in SECTIONS.items():
            if name != "health":
                line = Content.assemble((f"\n{section.title:<12}", "bold"), section.digest(found).first_line)
                parts.append(line.truncate(width, ellipsis=True))
        parts.append(
            Content.assemble("\n\n", (key("v", "run.learning"), "bold $accent"), (" shows each of them in full", MUTED))
        )
        words.update(Content().join(parts))

    def move(self, delta: int) -> None:
        """Scroll."""
        self.query_one("#learning-text", VerticalScroll).scroll_relative(y=delta, animate=False)
