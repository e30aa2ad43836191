"""The table of an evaluation: what raw pixels, the untrained encoder, z and h are worth."""

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.format import LAYERS, UNKNOWN, count, percent
from simclr_tui.model import latest_evaluations
from simclr_tui.panels import Drawn, setting
from simclr_tui.theme import MUTED
from simclr_tui.words import Part

_PROTOCOLS = ("knn", "linear")
_LAYER_WIDTH = max(map(len, LAYERS.values()))


class EvaluationTable(Widget):
    """kNN and linear accuracy on test, by layer; the best of each column has a sign."""

    drawn: reactive[Sequence[Drawn]] = reactive(())
    """The drawn runs, the cursor's first."""

    def on_mount(self) -> None:
        """Name the table."""
        self.border_title = Content.assemble(("test accuracy, %", "bold"))

    def render(self) -> Content:
        """The latest figures, or why there is none."""
        evaluations = latest_evaluations(self.drawn[0].curves.evaluations) if self.drawn else {}
        if not evaluations:
            return Content.styled(_no_evaluation(self.drawn), MUTED)
        best = {p: max((e.top1 for (_, q), e in evaluations.items() if p == q), default=None) for p in _PROTOCOLS}
        lines: list[Part] = [(f"{'features':<{_LAYER_WIDTH}}  {'kNN':>6} {'linear':>7}\n", MUTED)]
        for layer, words in LAYERS.items():
            lines.append(f"{words:<{_LAYER_WIDTH}} ")
            for protocol, width in zip(_PROTOCOLS, (7, 8), strict=True):
                one = evaluations.get((layer, protocol))
                is_best = one is not None and one.top1 == best[protocol]
                text = f"{'▸' if is_best else ''}{percent(one.top1) if one else UNKNOWN}"
                lines.append((text.rjust(width), "bold $success" if is_best else ""))
            lines.append("\n")
        any_one = next(iter(evaluations.values()))
        kind = "drawn test images" if _is_synthetic(self.drawn[0]) else "test images"
        lines.append((f"step {count(any_one.step)} · {count(any_one.images)} {kind}", MUTED))
        return Content.assemble(*lines)


def _is_synthetic(one: Drawn) -> bool:
    return bool(setting(one.row, "dataset", "") == "shapes")


def _no_evaluation(drawn: Sequence[Drawn]) -> str:
    if not drawn:
        return "no run is chosen"
    row = drawn[0].row
    if row.state == "finished":
        return "not evaluated; e does it"
    if row.run.kind == "pretrain" and setting(row, "evaluate_at_end", True):
        return "no evaluation yet; it comes after the last epoch, or e makes one now"
    return "no evaluation yet"
