"""The table of an evaluation: what raw pixels, the untrained encoder, z and h are worth."""

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.charts.drawn import Drawn
from simclr_tui.findings import Findings, Study
from simclr_tui.format import count, percent
from simclr_tui.keys import key
from simclr_tui.model import setting
from simclr_tui.theme import MUTED
from simclr_tui.words import Part
from trainer.evaluation.names import LAYERS
from trainer.store.records import IMPORTED, TRAINED_KINDS

_PROTOCOLS = ("knn", "linear")
_FIRST = ("h", "z", "logits", "untrained", "pixels", "g1", "g2")
"""The layers in the order in which they are given a line."""


class EvaluationTable(Widget):
    """kNN and linear accuracy on test, by layer; the best of each column has a sign."""

    drawn: reactive[Sequence[Drawn]] = reactive(())
    """The drawn runs, the cursor's first."""

    def on_mount(self) -> None:
        """Name the table."""
        self.border_title = Content.assemble(("test accuracy, %", "bold"))

    def render(self) -> Content:
        """The latest figures, or why there is none."""
        study = Findings.of(self.drawn[0].curves.evaluations).study("layers") if self.drawn else None
        if study is None:
            return Content.styled(_no_evaluation(self.drawn), MUTED)
        chosen = [layer for layer in _FIRST if layer in study.layers][: max(1, self.size.height - 2)]
        shown = [layer for layer in study.layers if layer in chosen]
        width = max(len(LAYERS[layer]) for layer in shown)
        lines: list[Part] = [(f"{'features':<{width}}  {'kNN':>6} {'linear':>7}\n", MUTED)]
        for layer in shown:
            lines += [f"{LAYERS[layer]:<{width}} ", *self._figures(study, layer), "\n"]
        kind = "drawn test images" if setting(self.drawn[0].row, "dataset", "") == "shapes" else "test images"
        own = study.top1("logits", "classifier")
        classifier = f" · its classifier {percent(own)}" if own is not None else ""
        lines.append((f"step {count(study.step)} · {count(study.images)} {kind}{classifier}", MUTED))
        return Content.assemble(*lines)

    def _figures(self, study: Study, layer: str) -> list[Part]:
        parts: list[Part] = []
        for protocol, width in zip(_PROTOCOLS, (7, 8), strict=True):
            top1 = study.top1(layer, protocol)
            is_best = top1 is not None and top1 == study.best(protocol)
            text = f"{'▸' if is_best else ''}{percent(top1)}"
            parts.append((text.rjust(width), "bold $success" if is_best else ""))
        return parts


def _no_evaluation(drawn: Sequence[Drawn]) -> str:
    if not drawn:
        return "no run is chosen"
    row = drawn[0].row
    if row.run.kind == "evaluate":
        shown = f"{key('v', 'run.learning')} shows what evaluations found"
        return shown if row.state == "finished" else "nothing scored yet"
    if row.run.kind == IMPORTED:
        return "the event files hold no weights to score"
    if row.state == "finished":
        return f"not evaluated; {key('e', 'run.evaluate')} does it"
    if row.run.kind in TRAINED_KINDS and setting(row, "evaluate_at_end", True):
        return f"no evaluation yet; it comes after the last epoch, or {key('e', 'run.evaluate')} makes one now"
    return "no evaluation yet"
