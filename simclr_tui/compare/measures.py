"""What came of compared runs: results, and the same at the last epoch that all have closed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from simclr_tui.compare.rows import Figure, Measure, line_of
from simclr_tui.compare.side import Side, differing, time_note
from simclr_tui.compare.table import Better, Cell, Delta, Group, Line
from simclr_tui.format import HEALTH_SIGNS, duration, number
from simclr_tui.objective import accuracy_chance, loss_chance, method_of
from simclr_tui.verbs import named

LOSS_SETTINGS = ("method", "batch_size", "views", "temperature", "negatives")
"""What the size of the loss follows from, whatever was learnt."""

TOP1_SETTINGS = ("method", "batch_size", "views", "negatives")
"""The same for the contrastive accuracy."""

TASK_SETTINGS = (
    *("dataset", "split", "limit_images", "limit_per_class", "image_size", "same_on_batch", "crop_scale_min"),
    *("crop_scale_max", "crop_ratio_max", "flip_probability", "jitter_probability", "jitter_brightness"),
    *("jitter_contrast", "jitter_saturation", "jitter_hue", "grayscale_probability", "blur_probability"),
    *("blur_kernel", "blur_sigma_min", "blur_sigma_max"),
)
"""How hard the task is that the loss is taken on: another one has another loss for features that are as good."""

KNN_SETTINGS = ("dataset", "limit_per_class")
"""Which images the online kNN score is taken on; of methods that learn from labels `hold_out` too."""

LAST = Measure("loss, last step", better=Better.LOWER, delta=Delta.PLAIN)
MEAN = replace(LAST, name="loss, last epoch")
TOP1 = Measure("contrastive, last", "%", Better.HIGHER, Delta.POINTS, lambda value: f"{value:.1f}")
TOP1_CHANCE = Measure("contrastive, chance", "%", show=lambda value: number(value, 2))
KNN = replace(TOP1, name="kNN, last")
TIME = Measure("time of these epochs", "", Better.LOWER, Delta.PERCENT, duration)


def loss_note(sides: Sequence[Side]) -> tuple[str, bool]:
    """What has to be known about losses, and whether they can be set against each other at all."""
    names = differing(sides, LOSS_SETTINGS)
    if names:
        return f"not comparable: the loss depends on {_listed(names)}; read it beside its chance level", False
    names = differing(sides, TASK_SETTINGS)
    if names:
        return f"other tasks ({_listed(names)}): a lower loss need not mean better features", True
    return "", True


def top1_note(sides: Sequence[Side]) -> tuple[str, bool]:
    """The same for the contrastive accuracy."""
    names = differing(sides, TOP1_SETTINGS)
    if names:
        return f"not comparable: the accuracy in a batch depends on {_listed(names)}", False
    names = differing(sides, TASK_SETTINGS)
    return (f"other tasks ({_listed(names)}): more hits need not mean better features", True) if names else ("", True)


def knn_note(sides: Sequence[Side]) -> tuple[str, bool]:
    """The same for the online kNN score."""
    names = differing(sides, KNN_SETTINGS)
    held_out = {side.settings.get("hold_out") if method_of(side.run) != "simclr" else "a fifth" for side in sides}
    names += ["held out"] if len(held_out) > 1 else []
    return (f"not comparable: scored on other images ({_listed(names)})", False) if names else ("", True)


def results(sides: Sequence[Side]) -> Group:
    """Loss, contrastive accuracy and kNN, each against chance where there is one, and the verdict."""
    loss, top1, knn = loss_note(sides), top1_note(sides), knn_note(sides)
    uneven = len({side.last_epoch for side in sides}) > 1
    last = "after different numbers of epochs" if uneven else ""
    lines = [
        _line(LAST, [Figure(side.run.loss) for side in sides], loss, last),
        _line(MEAN, _plain(sides, "loss"), loss, last),
        line_of(Measure("loss, chance"), [Figure(loss_chance(side.run)) for side in sides]),
        _line(replace(TOP1, name="contrastive, best"), [_best(side, "acc_top1") for side in sides], top1, last),
        _line(TOP1, _plain(sides, "acc_top1", 100), top1, last),
        line_of(TOP1_CHANCE, _chance(sides)),
        _line(replace(KNN, name="kNN, best"), [_best(side, "knn_top1") for side in sides], knn, last),
        _line(KNN, [_last(side, "knn_top1", 100) for side in sides], knn, last),
        Line(name="health", cells=[_health(side) for side in sides]),
        Line(name="state", cells=[_state(side) for side in sides]),
    ]
    return Group("results", lines)


def common_epoch(sides: Sequence[Side]) -> Group | None:
    """Results at the last epoch that all have closed; None where that is the last one of each.

    A run at epoch 500 beats one at epoch 100 by its training time alone, so both are looked at where both were.
    """
    if len({side.last_epoch for side in sides}) == 1:
        return None
    epoch = min(side.last_epoch for side in sides)
    title = f"at epoch {epoch}, the last that all have closed"
    if not epoch:
        names = [side.run.name for side in sides if not side.last_epoch]
        have = "has" if len(names) == 1 else "have"
        return Group("at the last common epoch", (), f"there is none yet: {named(names)} {have} closed no epoch")
    lines = [
        _line(replace(MEAN, name="loss, mean"), _at(sides, "loss", epoch), loss_note(sides)),
        _line(replace(TOP1, name="contrastive"), _at(sides, "acc_top1", epoch, 100), top1_note(sides)),
        *_common_knn(sides, epoch),
        line_of(TIME, [Figure(_seconds_to(side, epoch)) for side in sides], note=time_note(sides)),
    ]
    return Group(title, lines)


def _common_knn(sides: Sequence[Side], epoch: int) -> list[Line]:
    """kNN at that epoch, or at the last one before it that all were scored at."""
    scored = set.intersection(*({at for at, _ in side.scores("knn_top1") if at <= epoch} for side in sides))
    if not scored:
        return []
    at = max(scored)
    name = "kNN" if at == epoch else f"kNN at epoch {at}"
    return [_line(replace(KNN, name=name), _at(sides, "knn_top1", at, 100), knn_note(sides))]


def _line(measure: Measure, figures: Sequence[Figure], judged: tuple[str, bool], more: str = "") -> Line:
    """A row with what was judged of it; a second note matters only where the first one lets it be compared."""
    note, is_comparable = judged
    return line_of(
        measure,
        figures,
        note="; ".join(filter(None, (note, more if is_comparable else ""))),
        is_comparable=is_comparable,
    )


def _last(side: Side, name: str, factor: float = 1.0) -> Figure:
    scores = side.scores(name)
    return Figure(factor * scores[-1][1], scores[-1][0]) if scores else Figure(None)


def _plain(sides: Sequence[Side], name: str, factor: float = 1.0) -> list[Figure]:
    """The last of each without its epoch, which is that of the run."""
    return [replace(_last(side, name, factor), epoch=None) for side in sides]


def _best(side: Side, name: str) -> Figure:
    """The highest of a run's accuracies, the first of equal ones."""
    scores = side.scores(name)
    if not scores:
        return Figure(None)
    epoch, value = max(scores, key=lambda score: score[1])
    return Figure(100 * value, epoch)


def _at(sides: Sequence[Side], name: str, epoch: int, factor: float = 1.0) -> list[Figure]:
    found: list[Mapping[str, Any]] = [side.epochs.get(epoch, {}) for side in sides]
    return [Figure(None if row.get(name) is None else factor * row[name]) for row in found]


def _seconds_to(side: Side, epoch: int) -> float | None:
    """Seconds of all epochs up to one, if every one of them is known."""
    times = [side.epochs.get(number, {}).get("t_epoch") for number in range(1, epoch + 1)]
    known = [seconds for seconds in times if seconds is not None]
    return sum(known) if len(known) == epoch else None


def _chance(sides: Sequence[Side]) -> list[Figure]:
    levels = [accuracy_chance(side.run) for side in sides]
    return [Figure(None if level is None else 100 * level.acc_top1) for level in levels]


def _health(side: Side) -> Cell:
    level = side.run.health_level
    return Cell(text=f"{HEALTH_SIGNS.get(level, '?')} {level}", value=level) if level else Cell()


def _state(side: Side) -> Cell:
    return Cell(text=side.row.state, value=side.row.state)


def _listed(names: Sequence[str]) -> str:
    most = 3
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
