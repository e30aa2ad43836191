"""A run in words."""

from dataclasses import replace
from pathlib import Path

import pytest

from simclr_tui.model import Curves, RunRow
from simclr_tui.verbs import refusal, useful
from simclr_tui.words import Part, images_per_second, learning_line, status_line, waiting_fraction
from trainer.state import LIVE_STATES, RESUMABLE_STATES, STATES
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.store.series import Point


@pytest.fixture
def run(runs: Path, some_runs: dict[str, str]) -> Run:
    reader = StoreReader.open(runs)
    found = reader.run(some_runs["resting"])
    reader.close()
    return found


def text(parts: list[Part]) -> str:
    return "".join(part if isinstance(part, str) else part[0] for part in parts)


def points(*values: float) -> tuple[Point, ...]:
    return tuple(Point(n, n, value, value, value, value) for n, value in enumerate(values, start=1))


def curves(run: Run, **series: tuple[Point, ...]) -> Curves:
    return Curves(run_id=run.id, steps=series)


def test_a_live_run_says_when_it_ends_only_after_its_first_epoch(run: Run) -> None:
    row = RunRow(run, "running", 0)
    first = text(status_line(row, Curves(run_id=run.id), 0.0))
    assert first == "running · epoch 9/15 · end known after its first epoch"
    epochs = tuple({"epoch": n, "t_epoch": 23.0} for n in range(1, 9))
    later = text(status_line(row, Curves(run_id=run.id, epochs=epochs), 0.0))
    assert later.startswith("running · epoch 9/15 · ends ")
    assert later.endswith("(in 2 min 25 s)")  # 145 of 345 steps are left, one a second


def test_time_left_follows_the_latest_epochs_and_not_the_first(run: Run) -> None:
    epochs = tuple({"epoch": n, "t_epoch": 1000.0 if n == 1 else 23.0} for n in range(1, 9))
    assert Curves(run_id=run.id, epochs=epochs).seconds_left(run) == pytest.approx(145)


def test_a_run_that_is_not_alive_says_what_the_next_key_is(run: Run) -> None:
    for state, words in (("interrupted", "r resumes it"), ("paused", "r resumes it"), ("queued", "r starts it")):
        assert f"{state} · {words}" in text(status_line(RunRow(run, state, 0), Curves(run_id=run.id), 0.0))


def test_learning_is_judged_against_chance_and_against_before(run: Run) -> None:
    row = RunRow(run, "running", 0)  # batch 128: chance is ln 255 = 5.54
    assert text(learning_line(row, curves(run, loss=points(*[5.5] * 20)))).startswith("near chance · loss 5.50")
    falling = points(*[5.5 - 0.1 * n for n in range(30)])
    assert text(learning_line(row, curves(run, loss=falling))).startswith("learning · ")
    rising = points(*[2.0] * 27, 3.0, 3.0, 3.0)
    assert text(learning_line(row, curves(run, loss=rising))).startswith("loss is rising · loss 3.00 (chance 5.54)")


def test_waiting_and_rate_come_from_the_latest_steps(run: Run) -> None:
    row = RunRow(run, "running", 0)
    some = curves(run, t_batch=points(*[0.3] * 10), t_data=points(*[0.9] * 9, 0.1))
    assert waiting_fraction(some) == pytest.approx(0.25)
    assert images_per_second(row, some) == pytest.approx(128 / 0.4)
    assert waiting_fraction(Curves(run_id=run.id)) is None
    assert images_per_second(row, replace(some, epochs=({"images_per_second": 901.0},))) == 901.0


def test_a_verb_is_refused_exactly_where_it_makes_no_sense() -> None:
    for state in STATES:
        is_ending = state in ("pausing", "stopping")
        for verb in ("pause", "stop"):
            allowed = state in LIVE_STATES and not is_ending
            assert (refusal(verb, "name", state) is None) == allowed, (verb, state)
            assert useful(verb, state) == allowed
        assert (refusal("resume", "name", state) is None) == (state in RESUMABLE_STATES), state
        assert useful("resume", state) == (state in RESUMABLE_STATES)
        assert refusal("evaluate", "name", state) is None


def test_a_refusal_says_what_can_be_done_instead() -> None:
    assert refusal("pause", "a", "finished") == "a is finished, so there is nothing to pause; evaluate scores it again"
    assert refusal("stop", "a", "paused") == "a is paused, so there is nothing to stop; resume goes on with it"
    assert refusal("resume", "a", "running") == "a is running already; there is nothing to resume"
