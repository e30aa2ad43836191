"""The table of a comparison: the runs' names stay, the rows below them scroll."""

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from simclr_tui.compare.layout import Layout
from simclr_tui.compare.table import Comparison
from simclr_tui.theme import MUTED


class CompareTable(Container):
    """As many runs beside each other as fit, the first of them always."""

    def __init__(self, *, id: str) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._shown: tuple[Comparison | None, int, bool, str, int] | None = None

    def compose(self) -> ComposeResult:
        """The names, and the rows."""
        yield Static(id="compare-names", markup=False)
        with VerticalScroll(id="compare-scroll", can_focus=False):
            yield Static(id="compare-rows", markup=False)

    def show(self, comparison: Comparison | None, *, cursor: int, unfolded: bool, sentence: str = "") -> None:
        """Show a comparison, or a sentence where there is none."""
        asked = (comparison, cursor, unfolded, sentence, self._width)
        if asked != self._shown:
            self._shown = asked
            self._draw(*asked)

    def on_resize(self) -> None:
        """Lay the rows out for the width that the charts beside it leave, which is known after they are placed."""
        if self._shown is not None:
            comparison, cursor, unfolded, sentence, _ = self._shown
            self.show(comparison, cursor=cursor, unfolded=unfolded, sentence=sentence)

    @property
    def _width(self) -> int:
        return max(1, self.query_one("#compare-scroll").size.width - 1)  # with one left for the scroll bar

    def _draw(self, comparison: Comparison | None, cursor: int, unfolded: bool, sentence: str, width: int) -> None:
        names, rows = self.query_one("#compare-names", Static), self.query_one("#compare-rows", Static)
        if comparison is None:
            names.update("")
            rows.update(Content.styled(sentence, MUTED))
            return
        layout = Layout(comparison=comparison, width=width, unfolded=unfolded, cursor=cursor)
        names.update(Content.assemble(*layout.heading()))
        rows.update(Content("\n").join(Content.assemble(*row) for row in layout.body()))
        place = f"  {layout.place}" if layout.place else ""
        self.border_title = Content.assemble(("side by side", "bold"), (place, MUTED))
        self.border_subtitle = Content.styled("★ best of its row · @ epoch · deltas against the first run", MUTED)

    def scroll_lines(self, delta: int) -> None:
        """Scroll by so many rows."""
        self.query_one("#compare-scroll", VerticalScroll).scroll_relative(y=delta, animate=False)

    def scroll_page(self, delta: int) -> None:
        """Scroll by so many screens."""
        scroll = self.query_one("#compare-scroll", VerticalScroll)
        scroll.scroll_relative(y=delta * max(1, scroll.size.height - 1), animate=False)
