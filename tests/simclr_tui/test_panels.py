"""What each chart shows of a run, and the sentence where it can't show anything yet."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from simclr_tui.curves import CurveReader
from simclr_tui.model import Curves, RunRow
from simclr_tui.panels import PANELS, SIGNS, Drawn, View, accuracy_panel, device_panel, knn_panel, loss_panel
from simclr_tui.panels import step_time_panel as step_panel
from simclr_tui.theme import RUN_COLOURS
from tests.simclr_tui.support import STEPS_PER_EPOCH
from trainer.state import run_state
from trainer.store.reader import StoreReader

VIEW = View()


@pytest.fixture
def drawn(runs: Path, some_runs: dict[str, str]) -> Iterator[dict[str, Drawn]]:
    reader = StoreReader.open(runs)
    found = {}
    for place, (name, run_id) in enumerate(some_runs.items()):
        run = reader.run(run_id)
        curves = CurveReader(run_id).read(reader, run, 1000) or Curves(run_id=run_id)
        found[name] = Drawn(RunRow(run, run_state(run, runs), place), curves)
    yield found
    reader.close()


def test_the_loss_is_shown_against_its_chance_level(drawn: dict[str, Drawn]) -> None:
    data = loss_panel([drawn["done"]], VIEW)
    assert data.chance is not None
    assert data.chance[0] == pytest.approx(math.log(2 * 128 - 1))
    assert data.chance[1] == "chance 5.54"
    assert data.y_range[1] >= data.chance[0]
    raw, smoothed = data.lines
    assert raw.band
    assert not smoothed.band
    assert [s.value for s in raw.samples] == [p.mean for p in drawn["done"].curves.steps["loss"]]
    assert [text for text, _ in data.legend] == ["⣿ raw", "● smoothed"]


def test_x_is_in_epochs_or_in_steps(drawn: dict[str, Drawn]) -> None:
    epochs, steps = loss_panel([drawn["done"]], VIEW), loss_panel([drawn["done"]], View(by_epoch=False))
    assert (epochs.x_name, steps.x_name) == ("epoch", "step")
    assert (epochs.x_range[1], steps.x_range[1]) == (15, 345)
    assert steps.lines[0].samples[-1].x == 345
    assert epochs.lines[0].samples[-1].x == pytest.approx(345 / STEPS_PER_EPOCH)


def test_marked_runs_are_overlaid_in_their_own_colour_and_sign(drawn: dict[str, Drawn]) -> None:
    one, other = drawn["done"], drawn["resting"]
    data = loss_panel([one, other], VIEW)
    assert {(line.ink, line.sign) for line in data.lines if line.sign} == {
        (f"run-{d.row.place}", SIGNS[d.row.place]) for d in (one, other)
    }
    assert [line.ink for line in data.lines if line.band] == [one.faint_ink]
    assert data.lines[-1].ink == one.ink, "the cursor's run lies on top"
    swapped = loss_panel([other, one], VIEW)
    assert {line.ink for line in swapped.lines if line.sign} == {line.ink for line in data.lines if line.sign}


def test_colours_and_signs_repeat_at_different_lengths_so_that_their_pair_tells_runs_apart(
    drawn: dict[str, Drawn],
) -> None:
    pairs = set()
    for place in range(RUN_COLOURS * len(SIGNS)):
        one = Drawn(replace(drawn["done"].row, place=place), drawn["done"].curves)
        pairs.add((one.ink, one.sign))
    assert len(pairs) == RUN_COLOURS * len(SIGNS)


def test_accuracies_are_in_percent_with_top5_as_the_second_curve(drawn: dict[str, Drawn]) -> None:
    data = accuracy_panel([drawn["done"]], VIEW)
    assert [line.sign for line in data.lines] == ["", "○", "●"]
    top5, top1 = data.lines[1].samples[-1].value, data.lines[2].samples[-1].value
    assert 70 < top5 < 85
    assert 40 < top1 < 60
    assert data.y_range[0] == 0
    assert data.chance is not None
    assert data.chance[0] == pytest.approx(100 / 255)
    assert data.chance[1] == "chance 0.39"


def test_one_long_wait_does_not_flatten_the_step_chart(drawn: dict[str, Drawn]) -> None:
    one = drawn["done"]
    points = list(one.curves.steps["t_data"])
    points[0] = replace(points[0], low=9.0, high=9.0, mean=9.0, last=9.0)
    slow = Drawn(one.row, replace(one.curves, steps={**one.curves.steps, "t_data": tuple(points)}))
    assert step_panel([slow], VIEW).y_range[1] < 200
    assert step_panel([slow], View(log=True)).log


def test_knn_scores_stand_at_the_end_of_their_epochs(drawn: dict[str, Drawn]) -> None:
    data = knn_panel([drawn["done"]], VIEW)
    assert [sample.x for sample in data.lines[0].samples] == list(range(1, 16))
    assert data.lines[0].samples[0].value == pytest.approx(16)


def test_the_device_chart_is_labelled_by_what_was_sampled(drawn: dict[str, Drawn]) -> None:
    samples = ({"at": 100.0, "source": "cpu", "gpu_util": 93.0}, {"at": 101.0, "source": "cpu", "gpu_util": None})
    one = Drawn(drawn["done"].row, replace(drawn["done"].curves, device=samples))
    assert device_panel([one], VIEW).title == "CPU utilisation, %"
    assert len(device_panel([one], VIEW).lines[0].samples) == 1
    gpu = Drawn(one.row, replace(one.curves, device=({"at": 1.0, "source": "nvml", "gpu_util": 9.0},)))
    assert device_panel([gpu], VIEW).title == "GPU utilisation, %"


def test_a_resumed_run_is_marked_where_it_went_on(drawn: dict[str, Drawn]) -> None:
    one = drawn["done"]
    event = replace(one.curves.events[0], kind="resumed-from", step=115)
    resumed = Drawn(one.row, replace(one.curves, events=(event,)))
    assert loss_panel([resumed], VIEW).marks == [5.0]
    assert loss_panel([resumed], View(by_epoch=False)).marks == [115]


def test_every_chart_without_a_curve_says_why(drawn: dict[str, Drawn]) -> None:
    for name, panel in PANELS.items():
        assert panel([], VIEW).empty, name
        assert panel([drawn["waiting"]], VIEW).empty, name
    assert loss_panel([drawn["waiting"]], VIEW).empty == "not started yet; r starts it"
    every = json.loads(drawn["waiting"].row.run.config)["knn_every"]
    assert knn_panel([drawn["waiting"]], VIEW).empty == f"no kNN score yet; the first comes after epoch {every}"
    one = drawn["broken"]
    config = json.dumps(json.loads(one.row.run.config) | {"knn_every": 0})
    off = Drawn(replace(one.row, run=replace(one.row.run, config=config)), one.curves)
    assert knn_panel([off], VIEW).empty == "no kNN score: it is switched off (--knn-every 0)"
    epoch = {"epoch": every, "knn_top1": None}
    unlabelled = Drawn(one.row, replace(one.curves, epochs=(epoch,)))
    assert knn_panel([unlabelled], VIEW).empty == "no kNN score: too few labelled train images"
