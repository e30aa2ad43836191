"""Where the seconds of each epoch went: its parts as stacked bars, and those of the chosen one as a table."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from simclr_tui.run.anatomy import EpochAnatomy
from simclr_tui.run.anatomy_words import HEADING, part_rows, remarks, seconds, waiting
from simclr_tui.run_tabs.listing import Listing
from simclr_tui.run_tabs.tab import RunLook, RunTab
from simclr_tui.theme import MUTED
from simclr_tui.words import Part
from trainer.store.records import TRAINED_KINDS

_STYLES: Mapping[str, str] = {
    "work-0": "$foreground on $primary 45%",
    "work-1": "$foreground on $primary 25%",
    "wait": "$background on $warning",
    "aside-0": "$foreground on $success 25%",
    "aside-1": "$foreground on $success 45%",
    "unexplained": "$background on $error",
}
_ANSI_STYLES: Mapping[str, str] = {
    **_STYLES,
    **{ink: f"on $part-{number}" for number, ink in enumerate(("work-0", "work-1", "aside-0", "aside-1"))},
}
"""A terminal's own colours can't be thinned out, so that there parts have the grounds of the theme."""
_TABLE_LINES = 21
"""Of twelve parts with heading, clocks, remarks and both frames."""
_FEWEST_BARS = 3
_SHORT = 24
"""Lines below which the bars have no frame, so that the whole table is seen."""
_WIDTHS = (20, 9, 9, 12)


class EpochTab(RunTab):
    """Bars of the epochs, the newest at the bottom; up and down choose one."""

    OWN_KEYS: ClassVar[list[BindingType]] = [
        Binding("up,k", "choose(-1)", "epoch before", id="epoch.before", tooltip="The epoch before"),
        Binding("down,j", "choose(1)", "epoch after", id="epoch.after", tooltip="The epoch after"),
    ]
    BINDINGS = OWN_KEYS

    _epochs: Sequence[EpochAnatomy] = ()
    _count = -1

    @property
    def keys(self) -> list[Binding]:
        """Those that choose an epoch, where there are several."""
        return super().keys if self._count > 1 else []

    def compose(self) -> ComposeResult:
        """Bars above, the table below."""
        yield Listing(id="epoch-bars")
        yield Static(id="epoch-parts", markup=False)

    def show(self, look: RunLook) -> None:
        """Draw the epochs; the cursor stays with its epoch, or goes with the newest one."""
        bars = self.query_one("#epoch-bars", Listing)
        is_newest = bars.cursor >= self._count - 1
        self._epochs = EpochAnatomy.of(look.opened.anatomy or look.curves.anatomy)
        self._count = len(self._epochs)
        bars.border_title = Content.styled("epochs, each by its parts", "bold")
        self.set_class(self.size.height < _SHORT, "-short")
        frame = 0 if self.has_class("-short") else 2
        height = max(_FEWEST_BARS, min(self._count, self.size.height - _TABLE_LINES))
        bars.styles.height = (height if self._epochs else 1) + frame
        self.query_one("#epoch-parts").display = bool(self._epochs)
        if not self._epochs:
            bars.fill([Content.styled(_why_none(look), MUTED)])
            return
        bars.show(self._count, self._bar, range(self._count))
        if is_newest:
            bars.put(self._count - 1)
        self._show_parts()

    def _bar(self, number: int) -> Content:
        """An epoch's name, its length and its bar."""
        one = self._epochs[number]
        width = max(
            len(f"epoch {self._epochs[-1].epoch}{', sampled' if any(e.is_sampled for e in self._epochs) else ''}"), 8
        )
        title = f"{one.title():<{width}} {seconds(one.t_epoch):>9} "
        cells = max(8, self.query_one("#epoch-bars").content_size.width - len(title) - 2)
        styles = _ANSI_STYLES if self.app.current_theme.ansi else _STYLES
        pieces: list[Part] = [(text, styles[ink]) for text, ink in one.bar(cells)]
        return Content.assemble((title, MUTED), *pieces)

    def on_listing_moved(self) -> None:
        """Another epoch is chosen."""
        self._show_parts()

    def _show_parts(self) -> None:
        if self.look is None or not self._epochs:
            return
        chosen = self._epochs[self.query_one("#epoch-bars", Listing).cursor]
        parts = self.query_one("#epoch-parts", Static)
        parts.border_title = Content.assemble((chosen.title(), "bold"), (f"  t_epoch {seconds(chosen.t_epoch)}", MUTED))
        lines: list[Part] = [(_cells(HEADING), MUTED), "\n"]
        for part, cells in zip(chosen.parts, part_rows(chosen, self.look.row.run), strict=True):
            text = _cells([f"{part.letter} {cells[0]}", *cells[1:]])
            lines += [(text, _row_style(cells[1], cells[-1])), "\n"]
        row = next((one for one in self.look.curves.epochs if one["epoch"] == chosen.epoch), {})
        for name, words in waiting(chosen, row):
            lines += [(f"{name}  ", "bold"), f"{words}\n"]
        for remark in remarks(chosen):
            lines.append((f"{remark}\n", "$warning" if remark.startswith("▲") else MUTED))
        parts.update(Content.assemble(*lines))

    def action_choose(self, delta: int) -> None:
        """Choose another epoch."""
        self.move(delta)

    def move(self, delta: int) -> None:
        """Choose another epoch."""
        self.query_one("#epoch-bars", Listing).move(delta)


def _cells(cells: Sequence[str]) -> str:
    name, *figures = cells[:4]
    numbers = "".join(f"{figure:>{width}}" for figure, width in zip(figures, _WIDTHS[1:], strict=True))
    clock, note = cells[4], cells[5]
    return f"{name:<{_WIDTHS[0]}}{numbers}  {clock:<7} {note}".rstrip()


def _row_style(figure: str, note: str) -> str:
    if note.startswith("▲"):
        return "$warning"
    return MUTED if figure == "0.000" else ""


def _why_none(look: RunLook) -> str:
    run = look.row.run
    if run.kind not in TRAINED_KINDS:
        return f"{run.name} is of kind {run.kind} and has no epochs"
    if not look.curves.is_read:
        return "reading the store"
    if not look.curves.epochs:
        return "no epoch has ended yet; its parts are stored as it ends"
    return "the version that trained it stored no parts of its epochs"
