"""Whether a run is well, in one sentence; pure, and imports no torch, since the dashboard asks too.

Every rule looks at the facts of one run and says nothing or one `Verdict`; the gravest is the answer. What a rule
needs and does not know silences it. docs/health.md has a heading for each rule, with what its threshold was measured
on; a healthy run must pass all of them, so thresholds lie nearer to the sick runs than to the healthy ones, and what
can be noise must have been so at the ends of several epochs in a row.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from trainer.facts import Facts, is_known, known_values

__all__ = ["LEVELS", "RULES", "Facts", "Level", "Verdict", "judge"]

Level = Literal["good", "unsure", "warning", "sick"]

LEVELS: tuple[Level, ...] = ("sick", "warning", "unsure", "good")
"""From the gravest on."""

EARLY_STEPS = 50
"""Steps before which nothing but plain errors is told: batch norm's running statistics alone take about 40 steps to
forget where they began (0.9 to the power of 44 is 1 %)."""
MEASURED = 2
"""Measured epochs in a row for which a collapse must have been seen."""
CLOSED = 3
"""Epochs in a row for which a series must have been bad."""

FEW_IMAGES = 0.1
"""Share of distinct images below which there is nothing to tell apart; a plain data set has about 1."""
SOME_IMAGES = 0.5
"""Share of distinct images below which half of the negatives are positives in truth."""
NO_AUGMENTATION = 0.9
"""Share of pairs of equal views above which telling images apart needs no more than their pixels."""
WEAK_AUGMENTATION = 0.3
"""As above, where it is still a task; random crops give 0, and flips alone 0.5."""

RANK = 5.0
"""Rank of z below which it has collapsed, wherever there are directions enough; healthy runs had 5.4 or more."""
RANK_SHARE = 1 / 3
"""The same as a part of the directions that there are, for small projections and few images."""
RANK_SHARE_SUPCON = 1 / 4
"""A part of classes − 1, which is all that a perfect SupCon z has."""
RANK_OF_UNTRAINED = 3 / 4
"""A collapsed z has also lost this much of the rank it began with; where images differ in little it begins low."""
BUNCHED_STD = 0.1
"""`std_z` below which all images have nearly one direction, mean cosine 0.99."""
BUNCHED_OF_UNTRAINED = 1 / 2
"""Collapsed embeddings are also nearer to each other than the untrained network's, which are bunched too."""
RANK_H = 2.0
"""Rank of h below which the encoder is dead."""
SPREAD_H = 0.01
"""Relative spread of h below which it is one vector for all images."""

STUCK = 0.02
"""Progress below which the loss is at chance."""
STUCK_GAIN = 0.005
"""Progress between the first and the last of these epochs from which on the loss is slow and not stuck."""
STUCK_STEPS = 500
"""Steps that are no reason for concern when the loss has not moved yet."""
STUCK_TOP1 = 3.0
"""Times the chance of acc_top1; a loss near chance with positives found is one at a high temperature."""
NEAR = 0.05
"""Progress below which it is too early to call it learning."""
RISE = 0.1
"""Rise of the loss, or of val_loss, over its best in units of progress."""
RISE_OF_CLASSIFIER = 0.5
"""The same for val_loss of cross-entropy, which rises with confidence while the accuracy still grows."""
KNN_DROP = 0.05
"""Smallest fall of kNN accuracy that is told."""
KNN_DEVIATIONS = 4.0
"""The same in standard deviations of an accuracy of so many queries, as the best of many epochs is a lucky one."""
KNN_QUERIES = 100
"""Queries that are assumed where their number is unknown; few, so that the noise is not taken for less than it is."""
WAITING = 0.2
"""Part of the time spent waiting for images."""
PROBE_GAP = 0.3
"""Training accuracy of the probe minus that on other images, from which on it is told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer of one rule."""

    level: Level
    words: str
    """One short sentence without a full stop."""
    rule: str
    """Which rule spoke: a heading of docs/health.md."""


def judge(facts: Facts) -> Verdict:
    """The gravest thing that can be said of a run, or that it is well. Never raises, whatever is unknown."""
    said = [verdict for rule in RULES if (verdict := rule(facts)) is not None]
    return min(said, key=lambda verdict: LEVELS.index(verdict.level))


def _non_finite(facts: Facts) -> Verdict | None:
    figures = [value for measured in facts.health for value in measured.values()]
    series = (*facts.losses, facts.recent_loss, *figures)
    if facts.is_finite is False or any(value is not None and not math.isfinite(value) for value in series):
        return _sick("non-finite", "the loss or its gradient is not finite; lower --learning-rate")
    return None


def _constant_images(facts: Facts) -> Verdict | None:
    rule, share, spread = "constant-images", facts.images_distinct, facts.untrained_figure("spread_h")
    if (share is not None and share < FEW_IMAGES) or (spread is not None and spread < SPREAD_H):
        return _sick(rule, "the images look all the same to the network; look at the data set")
    if share is not None and share < SOME_IMAGES:
        return _warning(rule, f"only {share:.0%} of the images are distinct; take the copies out")
    return None


def _shared_parameters(facts: Facts) -> Verdict | None:
    if facts.parameters_shared and facts.method != "cross-entropy":
        return _sick("shared-parameters", "all images of a batch are augmented alike; give --no-same-on-batch")
    return None


def _identical_views(facts: Facts) -> Verdict | None:
    rule, share = "identical-views", facts.views_identical
    if share is None or facts.method == "cross-entropy":
        return None
    if share > NO_AUGMENTATION:
        return _sick(rule, "both views of an image are the same; turn the augmentation on")
    if share > WEAK_AUGMENTATION:
        return _warning(rule, f"{share:.0%} of the images have two equal views; augment more strongly")
    return None


def _collapse_h(facts: Facts) -> Verdict | None:
    if _is_early(facts):
        return None
    if _all_below(facts, "spread_h", SPREAD_H):
        return _sick("collapse-h", f"collapsed: h is the same for all images; {_cure(facts)}")
    # Labels may rightly leave h no more directions than there are classes.
    least_rank = min(RANK_H, facts.directions(facts.feature_size) * RANK_SHARE)
    if facts.method == "simclr" and _all_below(facts, "rank_h", least_rank):
        return _sick("collapse-h", f"collapsed: h has rank {facts.figure('rank_h'):.1f}; {_cure(facts)}")
    return None


def _collapse_z(facts: Facts) -> Verdict | None:
    if _is_early(facts) or facts.method == "cross-entropy":
        return None
    if _is_in_few_directions(facts):
        directions = _directions_of_z(facts)
        words = f"collapsed: z has rank {facts.figure('rank_z'):.1f} of {directions}; {_cure(facts)}"
        return _sick("collapse-z", words)
    if _is_in_one_point(facts):
        words = f"collapsed: all z are nearly equal (std {facts.figure('std_z'):.2f} of 1); {_cure(facts)}"
        return _sick("collapse-z", words)
    return None


def _is_in_few_directions(facts: Facts) -> bool:
    """Whether z has hardly a direction left and h has not gained one either; healthy runs do gain in h."""
    rank_z, rank_h = (facts.untrained_figure(name) for name in ("rank_z", "rank_h"))
    if rank_z is None or rank_h is None or not _all_below(facts, "rank_h", rank_h):
        return False
    share = RANK_SHARE_SUPCON if facts.method == "supcon" else RANK_SHARE
    return _all_below(facts, "rank_z", min(RANK, _directions_of_z(facts) * share, rank_z * RANK_OF_UNTRAINED))


def _directions_of_z(facts: Facts) -> int:
    """How many directions z can be expected to have at best; 0 where that is unknown."""
    directions = facts.directions(facts.projection_size)
    return min(directions, max(0, (facts.classes or 0) - 1)) if facts.method == "supcon" else directions


def _is_in_one_point(facts: Facts) -> bool:
    """Whether all images have nearly one z, nearer than the untrained network's; SupCon may begin so and go on."""
    untrained = facts.untrained_figure("std_z")
    if untrained is None or facts.method == "supcon":
        return False
    return _all_below(facts, "std_z", min(BUNCHED_STD, untrained * BUNCHED_OF_UNTRAINED))


def _stuck_at_chance(facts: Facts) -> Verdict | None:
    if facts.method == "cross-entropy" or facts.steps < STUCK_STEPS:
        return None
    progress = [facts.progress(loss) for loss in known_values(facts.losses)[-CLOSED:]]
    if len(progress) < CLOSED or max(progress) >= STUCK or progress[-1] - progress[0] >= STUCK_GAIN:
        return None
    found, chance = facts.acc_top1, facts.acc_top1_chance
    if found is not None and chance is not None and found > STUCK_TOP1 * chance:
        return None
    return _warning("stuck-at-chance", f"the loss stays at chance ({facts.loss_chance:.2f}); change --learning-rate")


def _loss_rising(facts: Facts) -> Verdict | None:
    if _has_risen(facts, facts.losses) and not _is_early(facts):
        words = f"the loss rises (best {min(known_values(facts.losses)):.2f}); lower --learning-rate"
        return _warning("loss-rising", words)
    return None


def _knn_falling(facts: Facts) -> Verdict | None:
    known = known_values(facts.knn_top1)
    if len(known) <= CLOSED:
        return None
    best, latest = max(known[:-CLOSED]), max(known[-CLOSED:])
    deviation = math.sqrt(max(0.0, best * (1 - best)) / max(1, facts.knn_queries or KNN_QUERIES))
    if latest < best - max(KNN_DROP, KNN_DEVIATIONS * deviation):
        return _warning("knn-falling", f"kNN fell from {best:.0%} to {latest:.0%}; use the best checkpoint")
    return None


def _overfitting(facts: Facts) -> Verdict | None:
    pairs = [(v, t) for v, t in zip(facts.val_losses, facts.losses, strict=False) if is_known(v) and is_known(t)]
    validation, training = ([pair[side] for pair in pairs] for side in (0, 1))
    rise = RISE_OF_CLASSIFIER if facts.method == "cross-entropy" else RISE
    if not _has_risen(facts, validation, rise):
        return None
    smooth, smooth_training = _smooth(validation), _smooth(training)
    at_best = smooth_training[smooth.index(min(smooth))]
    if smooth_training[-1] > at_best - RISE * facts.reach:
        return None
    words = f"overfitting: val_loss rose from {min(validation):.2f} to {validation[-1]:.2f}; take more images"
    return _warning("overfitting", words)


def _starvation(facts: Facts) -> Verdict | None:
    if facts.waiting is not None and facts.waiting > WAITING and not _is_early(facts):
        return _warning("starvation", f"waits {facts.waiting:.0%} of the time for images; raise --num-workers")
    return None


def _too_early(facts: Facts) -> Verdict | None:
    if _is_early(facts) or facts.latest_loss is None:
        return Verdict(level="unsure", words=f"too early to say, after {facts.steps} steps", rule="too-early")
    return None


def _near_chance(facts: Facts) -> Verdict | None:
    loss = facts.latest_loss
    if loss is not None and facts.progress(loss) < NEAR:
        return Verdict(
            level="unsure", words=f"the loss is still near chance ({facts.loss_chance:.2f})", rule="near-chance"
        )
    return None


def _probe_overfits(facts: Facts) -> Verdict | None:
    seen, unseen = facts.probe_train, facts.probe_test
    if seen is None or unseen is None or seen - unseen < PROBE_GAP:
        return None
    words = f"{_learning(facts)}; the probe knows its own images by heart ({seen:.0%} against {unseen:.0%})"
    return Verdict(level="good", words=words, rule="probe-overfits")


def _normal(facts: Facts) -> Verdict:
    return Verdict(level="good", words=f"{_learning(facts)} normally", rule="normal")


def _learning(facts: Facts) -> str:
    is_over = facts.epochs is not None and facts.epoch >= facts.epochs
    return "learned" if is_over else "learning"


RULES: tuple[Callable[[Facts], Verdict | None], ...] = (
    _non_finite,
    _constant_images,
    _shared_parameters,
    _identical_views,
    _collapse_h,
    _collapse_z,
    _stuck_at_chance,
    _loss_rising,
    _knn_falling,
    _overfitting,
    _starvation,
    _too_early,
    _near_chance,
    _probe_overfits,
    _normal,
)
"""The first of equally grave ones is the sentence, so causes stand before what they cause."""


def _sick(rule: str, words: str) -> Verdict:
    return Verdict(level="sick", words=words, rule=rule)


def _warning(rule: str, words: str) -> Verdict:
    return Verdict(level="warning", words=words, rule=rule)


def _cure(facts: Facts) -> str:
    """What keeps embeddings from falling together."""
    return "give --negatives" if facts.negatives is False else "lower --learning-rate"


def _is_early(facts: Facts) -> bool:
    return facts.steps < EARLY_STEPS


def _all_below(facts: Facts, name: str, limit: float) -> bool:
    """Whether a figure was below a limit each of the last `MEASURED` times."""
    values = facts.last_figures(name, MEASURED)
    return bool(values) and max(values) < limit


def _has_risen(facts: Facts, series: Sequence[float | None], rise: float = RISE) -> bool:
    """Whether the last `CLOSED` values are all clearly above the best of those before.

    The best of many single values of a noisy series is a lucky one, so it is the best mean of as many in a row.
    """
    known = known_values(series)
    before = _smooth(known[:-CLOSED])
    return bool(before) and min(known[-CLOSED:]) > min(before) + rise * facts.reach


def _smooth(values: Sequence[float]) -> list[float]:
    """Means of each `CLOSED` values in a row."""
    return [sum(values[k : k + CLOSED]) / CLOSED for k in range(len(values) - CLOSED + 1)]
