"""How good each layer is: accuracy by layer and protocol, on the run's own data and on others. Pure."""

from textual.content import Content

from simclr_tui.findings import Study
from simclr_tui.format import UNKNOWN, percent
from simclr_tui.learning.look import BEST, Look, table_row
from simclr_tui.theme import MUTED
from simclr_tui.words import Part
from trainer.evaluation.names import LAYERS, PROTOCOLS

TITLE = "layers"

_LAYER = max(map(len, LAYERS.values()))
_COLUMN = 8
_HEADINGS = {"knn": "kNN", "linear": "linear", "linear-adamw": "AdamW", "classifier": "own"}
_COMPARED = {
    "z": ("z", "what the head throws away"),
    "untrained": ("the untrained encoder", "what the training is worth"),
}
"""Layers that h is compared with, in words, and what the difference means."""
_CHOSEN = ("linear", "knn", "linear-adamw")
"""Protocols that layers are compared by, the first that there is."""


def digest(look: Look) -> Content:
    """What h is worth, beside z and the untrained encoder."""
    study = look.study("layers")
    protocol = _chosen(study)
    if study is None or protocol is None:
        return look.status("layers", "not scored yet")
    known = [(layer, study.top1(layer, protocol)) for layer in ("h", "z", "logits", "untrained")]
    words = [f"{layer} {percent(top1)}" for layer, top1 in known if top1 is not None]
    return Content(f"{', '.join(words)} % ({PROTOCOLS[protocol]})")


def body(look: Look, width: int) -> Content:
    """The table of the run's own data set, what it says, and the tables of transfers."""
    study = look.study("layers")
    if study is None:
        parts = look.missing("layers", "accuracy of the layers")
    else:
        parts = [
            *look.going_on("layers"),
            *look.heading(study, "accuracy, %"),
            *_table(study, width),
            *_sentences(study),
        ]
    for transfer in look.transfers("layers"):
        parts += [
            "\n",
            *look.heading(transfer, f"transfer to {transfer.dataset}, accuracy, %"),
            *_table(transfer, width),
        ]
    return Content.assemble(*parts)


def _chosen(study: Study | None) -> str | None:
    return next((one for one in _CHOSEN if study is not None and one in study.protocols), None)


def _columns(study: Study, width: int) -> list[tuple[str, str]]:
    """Protocol and kind (test, train or gap) of each column; the training accuracies go first where room is short."""
    columns = []
    for protocol in study.protocols:
        has_train = any(row.train_top1 is not None for row in study.rows if row.protocol == protocol)
        columns += [(protocol, kind) for kind in (("test", "train", "gap") if has_train else ("test",))]
    for dropped in ("train", "gap"):
        if _LAYER + _COLUMN * len(columns) > width:
            columns = [column for column in columns if column[1] != dropped]
    return columns


def _table(study: Study, width: int) -> list[Part]:
    columns = _columns(study, width)
    widths = [_LAYER] + [_COLUMN] * len(columns)
    titles = [_HEADINGS.get(protocol, protocol) if kind == "test" else kind for protocol, kind in columns]
    parts = table_row(["features", *titles], widths, [MUTED] * len(widths))
    for layer in study.layers:
        cells, styles = [LAYERS[layer]], [""]
        for protocol, kind in columns:
            cell, style = _cell(study, layer, protocol, kind)
            cells.append(cell)
            styles.append(style)
        parts += table_row(cells, widths, styles)
    return parts


def _cell(study: Study, layer: str, protocol: str, kind: str) -> tuple[str, str]:
    row = study.by_key.get((layer, protocol))
    if row is None or row.top1 is None:
        return (UNKNOWN if protocol != "classifier" else ""), MUTED
    if kind == "test":
        is_best = len(study.layers) > 1 and row.top1 == study.best(protocol) and protocol != "classifier"
        return (f"▸{percent(row.top1)}", BEST) if is_best else (percent(row.top1), "")
    if row.train_top1 is None:
        return UNKNOWN, MUTED
    return percent(row.train_top1 if kind == "train" else row.train_top1 - row.top1), MUTED


def _sentences(study: Study) -> list[Part]:
    """What the table says of the head and of the training, and what its columns are."""
    protocol = _chosen(study)
    if protocol is None:
        return []
    parts: list[Part] = ["\n"]
    top1 = {layer: study.top1(layer, protocol) for layer in study.layers}
    h = top1.get("h")
    for layer, (words, meaning) in _COMPARED.items():
        other = top1.get(layer)
        if h is not None and other is not None:
            points = 100 * (h - other)
            side = "above" if points >= 0 else "below"
            parts.append(f"h is {abs(points):.1f} points {side} {words}: {meaning}\n")
    notes = ["▸ best of its column"]
    if any(row.train_top1 is not None for row in study.rows):
        notes.append("gap: train minus test, in points")
    return [*parts, (" · ".join(notes), MUTED)]
