"""Whether a run learns, in a line."""

import json
from dataclasses import replace

import pytest

from simclr_tui.learning.verdict import HEALTH_STYLES, images_per_second, learning_line, waiting_fraction
from simclr_tui.model import Curves, RunRow
from tests.simclr_tui.support import plain
from trainer.store.records import Run
from trainer.store.series import Point


def points(*values: float) -> tuple[Point, ...]:
    return tuple(Point(n, n, value, value, value, value) for n, value in enumerate(values, start=1))


def curves(run: Run, **series: tuple[Point, ...]) -> Curves:
    return Curves(run_id=run.id, steps=series)


def test_learning_is_judged_against_chance_and_against_before(run: Run) -> None:
    row = RunRow(run, "running", 0)  # batch 128: chance is ln 255 = 5.54
    assert plain(learning_line(row, curves(run, loss=points(*[5.5] * 20)))).startswith("near chance · loss 5.50")
    falling = points(*[5.5 - 0.1 * n for n in range(30)])
    assert plain(learning_line(row, curves(run, loss=falling))).startswith("learning · ")
    rising = points(*[2.0] * 27, 3.0, 3.0, 3.0)
    assert plain(learning_line(row, curves(run, loss=rising))).startswith("loss is rising · loss 3.00 (chance 5.54)")


def judged(run: Run, level: str, sentence: str, state: str = "running") -> RunRow:
    return RunRow(replace(run, health=sentence, health_level=level, health_rule="a-rule"), state, 0)


def test_the_trainers_own_sentence_comes_first_with_the_sign_of_its_level(run: Run) -> None:
    some = curves(run, loss=points(*[1.0] * 20))
    for level, sign in (("good", "✓"), ("unsure", "·"), ("warning", "▲"), ("sick", "✖")):
        parts = learning_line(judged(run, level, "a sentence"), some)
        assert plain(parts).startswith(f"{sign} a sentence · loss 1.00 (chance 5.54)")
        assert not isinstance(parts[0], str)
        assert HEALTH_STYLES[level] in parts[0][1]
    assert plain(learning_line(judged(run, "sick", "a sentence", "failed"), Curves(run_id=run.id))) == "✖ a sentence"


def test_the_line_tells_loss_rank_and_waits_as_far_as_they_fit(run: Run) -> None:
    some = replace(
        curves(run, loss=points(*[0.51] * 10), t_batch=points(*[0.98] * 10), t_data=points(*[0.02] * 10)),
        metrics={"rank_z": ((23, 12.0), (46, 29.6))},
    )
    row = judged(run, "good", "learning normally")
    whole = "✓ learning normally · loss 0.510 (chance 5.54) · rank 30 of 128 · waits 2 % · 128 images/s"
    assert plain(learning_line(row, some)) == whole
    for width in range(30, 100):
        shown = plain(learning_line(row, some, width))
        assert len(shown) <= width
        assert shown.startswith("✓ learning normally")
        assert set(shown.split(" · ")) <= set(whole.split(" · ")), "nothing is cut in the middle"
    assert plain(learning_line(row, some, 5)).startswith("✓ learning normally"), "the sentence is always there"


def test_waiting_over_a_tenth_of_the_time_comes_before_the_figures_as_a_warning(run: Run) -> None:
    some = curves(run, loss=points(*[0.51] * 10), t_batch=points(*[0.8] * 10), t_data=points(*[0.2] * 10))
    parts = learning_line(judged(run, "good", "learning normally"), some)
    assert plain(parts).startswith("✓ learning normally · waits 20 % · loss")
    assert ("waits 20 %", "$warning") in parts


def test_a_classifier_has_no_contrastive_chance_and_no_rank_of_z(run: Run) -> None:
    config = json.dumps(json.loads(run.config) | {"method": "cross-entropy"})
    row = judged(replace(run, kind="supervised", config=config), "good", "learning normally")
    some = replace(curves(run, loss=points(*[0.51] * 10)), metrics={"rank_z": ((46, 9.0),)})
    assert plain(learning_line(row, some)) == "✓ learning normally · loss 0.510"
    unjudged = RunRow(replace(run, kind="supervised", config=config), "running", 0)
    assert plain(learning_line(unjudged, some)) == "loss 0.510"


def test_waiting_and_rate_come_from_the_latest_steps(run: Run) -> None:
    row = RunRow(run, "running", 0)
    some = curves(run, t_batch=points(*[0.3] * 10), t_data=points(*[0.9] * 9, 0.1))
    assert waiting_fraction(some) == pytest.approx(0.25)
    assert images_per_second(row, some) == pytest.approx(128 / 0.4)
    assert waiting_fraction(Curves(run_id=run.id)) is None
    assert images_per_second(row, replace(some, epochs=({"images_per_second": 901.0},))) == 901.0
