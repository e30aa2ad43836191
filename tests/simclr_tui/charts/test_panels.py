"""What each chart shows of a run, and the sentence where it can't show anything yet."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from simclr_tui.charts.curves import CurveReader
from simclr_tui.charts.drawn import SIGNS, Drawn, Stretch, View
from simclr_tui.charts.panels import PANELS, accuracy_panel, device_panel, knn_panel, loss_panel
from simclr_tui.charts.panels import step_time_panel as step_panel
from simclr_tui.model import Curves, RunRow, Turn
from simclr_tui.plot.draw import Mark
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
    epochs, steps = loss_panel([drawn["done"]], VIEW), loss_panel([drawn["done"]], View(axis="step"))
    assert (epochs.x_name, steps.x_name) == ("epoch", "step")
    assert (epochs.x_range[1], steps.x_range[1]) == (15, 345)
    assert steps.lines[0].samples[-1].x == 345
    assert epochs.lines[0].samples[-1].x == pytest.approx(345 / STEPS_PER_EPOCH)


def test_samples_are_made_once_for_what_was_read_and_anew_for_what_is_looked_at_otherwise(
    drawn: dict[str, Drawn],
) -> None:
    one, steps = drawn["done"], View(axis="step")
    again = replace(one)  # the board makes such a record at every poll
    assert again.samples("loss", VIEW) is one.samples("loss", VIEW)
    assert again.smoothed("loss", VIEW, 1.0, 2.0)[1] is one.smoothed("loss", VIEW, 1.0, 2.0)[1]
    assert one.smoothed("loss", VIEW, 1.0, 2.0) != one.smoothed("loss", VIEW, 1.0, 3.0)
    by_epoch = one.samples("loss", VIEW)
    assert [s.x for s in one.samples("loss", steps)] == pytest.approx([s.x * STEPS_PER_EPOCH for s in by_epoch])
    assert one.samples("loss", VIEW) == by_epoch
    assert one.samples("loss", VIEW) != one.samples("acc_top1", VIEW)
    assert one.samples("loss", VIEW, 100)[0].value == pytest.approx(100 * by_epoch[0].value)
    longer = replace(one.curves, steps={"loss": one.curves.steps["loss"][:3]})
    assert len(Drawn(one.row, longer).samples("loss", VIEW)) == 3
    assert longer == replace(longer), "what is kept makes no difference"


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
    assert device_panel([gpu], VIEW).legend == [], "nothing is said of energy that is not measured"


def test_the_device_chart_names_what_it_takes_and_has_taken(drawn: dict[str, Drawn]) -> None:
    samples = ({"at": 1.0, "source": "nvml", "gpu_util": 9.0, "power_watts": 411.6},)
    row = replace(drawn["done"].row, run=replace(drawn["done"].row.run, energy_joules=7200.0))
    live = Drawn(replace(row, state="running"), replace(drawn["done"].curves, device=samples))
    assert device_panel([live], VIEW).legend == [("412 W", ""), ("2.00 Wh", "")]
    over = Drawn(replace(row, state="finished"), live.curves)
    assert device_panel([over], VIEW).legend == [("2.00 Wh", "")], "of what is over no power is that of now"


def test_a_resumed_run_is_marked_where_it_went_on(drawn: dict[str, Drawn]) -> None:
    one = drawn["done"]
    event = replace(one.curves.events[0], kind="resumed-from", step=115)
    resumed = Drawn(one.row, replace(one.curves, events=(event,)))
    assert loss_panel([resumed], VIEW).marks == [Mark(5.0, "resumed")]
    assert loss_panel([resumed], View(axis="step")).marks == [Mark(115, "resumed")]


def test_every_chart_without_a_curve_says_why(drawn: dict[str, Drawn]) -> None:
    for name, panel in PANELS.items():
        assert panel([], VIEW).empty, name
        assert panel([drawn["waiting"]], VIEW).empty, name
    assert loss_panel([drawn["waiting"]], VIEW).empty == "not started yet; r starts it"
    for is_held, words in ((False, "waits in line, and starts by itself"), (True, "held back in line; h releases it")):
        row = replace(drawn["waiting"].row, turn=Turn("the CPU", 2, is_held=is_held))
        assert loss_panel([replace(drawn["waiting"], row=row)], VIEW).empty == words
    every = json.loads(drawn["waiting"].row.run.config)["knn_every"]
    assert knn_panel([drawn["waiting"]], VIEW).empty == f"no kNN score yet; the first comes after epoch {every}"
    one = drawn["broken"]
    config = json.dumps(json.loads(one.row.run.config) | {"knn_every": 0})
    off = Drawn(replace(one.row, run=replace(one.row.run, config=config)), one.curves)
    assert knn_panel([off], VIEW).empty == "no kNN score: it is switched off (--knn-every 0)"
    epoch = {"epoch": every, "knn_top1": None}
    unlabelled = Drawn(one.row, replace(one.curves, epochs=(epoch,)))
    assert knn_panel([unlabelled], VIEW).empty == "no kNN score: too few labelled train images"


def forked(parent: Drawn, child: Drawn, until: int, *, steps_per_epoch: int = STEPS_PER_EPOCH) -> Drawn:
    """A run as if it had been forked from another one; its own curve begins after that step."""
    run = replace(child.row.run, parent_run_id=parent.row.run.id, parent_step=until, steps_per_epoch=steps_per_epoch)
    steps = {name: [p for p in points if p.first > until] for name, points in child.curves.steps.items()}
    epochs = [row for row in child.curves.epochs if row["epoch"] * STEPS_PER_EPOCH > until]
    event = replace(child.curves.events[0], kind="forked-from", step=until)
    curves = replace(child.curves, steps=steps, epochs=epochs, events=(event,))
    return Drawn(replace(child.row, run=run), curves, (Stretch(parent.row, parent.curves, until),))


def test_a_fork_draws_its_parents_curve_faint_up_to_the_fork_and_its_own_from_there(drawn: dict[str, Drawn]) -> None:
    child = forked(drawn["done"], drawn["resting"], 115)
    data = loss_panel([child], VIEW)
    trunk, raw, own = data.lines
    assert (trunk.ink, raw.ink, own.ink) == (child.faint_ink, child.faint_ink, child.ink)
    assert (trunk.sign, trunk.band) == ("", False)
    assert len(trunk.samples) == 115 + 1, "and one more, so that it meets the child's"
    assert trunk.samples[-1] == own.samples[0]
    assert max(sample.x for sample in raw.samples) > 115 / STEPS_PER_EPOCH >= trunk.samples[-2].x
    assert data.marks == [Mark(5.0, "forked"), Mark(200 / STEPS_PER_EPOCH, "paused")]
    whole = [p for p in drawn["done"].curves.steps["loss"] if p.first <= 115] + list(child.curves.steps["loss"])
    assert [s.x for s in [*trunk.samples[:-1], *own.samples]] == [p.first / STEPS_PER_EPOCH for p in whole]


def test_a_parent_that_is_drawn_itself_is_not_drawn_twice(drawn: dict[str, Drawn]) -> None:
    child = forked(drawn["done"], drawn["resting"], 115)
    data = loss_panel([child, drawn["done"]], VIEW)
    assert [line.ink for line in data.lines if not line.band] == [drawn["done"].ink, child.ink]
    assert [line.sign for line in knn_panel([child, drawn["done"]], VIEW).lines] == ["●", "■"]


def test_scores_before_the_fork_are_those_of_the_parents_closed_epochs(drawn: dict[str, Drawn]) -> None:
    child = forked(drawn["done"], drawn["resting"], 120)
    trunk, own = knn_panel([child], VIEW).lines
    assert [sample.x for sample in trunk.samples] == [1, 2, 3, 4, 5]
    assert [sample.x for sample in own.samples] == [6, 7, 8]
    assert (trunk.ink, trunk.sign) == (child.faint_ink, "")


def test_epochs_are_shared_where_the_steps_of_one_are_not(drawn: dict[str, Drawn]) -> None:
    """The child's batch is twice as large: its step 115 is the parent's step 230."""
    child = forked(drawn["done"], drawn["resting"], 115, steps_per_epoch=2 * STEPS_PER_EPOCH)
    by_epoch = loss_panel([child], VIEW).lines[0].samples
    assert by_epoch[114].x == pytest.approx(5.0)
    by_step = loss_panel([child], View(axis="step")).lines[0].samples
    assert by_step[114].x == pytest.approx(230)


def test_a_fork_that_has_not_begun_shows_where_it_will(drawn: dict[str, Drawn]) -> None:
    child = forked(drawn["done"], drawn["waiting"], 115)
    waiting = Drawn(child.row, replace(child.curves, events=()), child.trunk)
    data = loss_panel([waiting], VIEW)
    assert [line.ink for line in data.lines] == [waiting.faint_ink]
    assert data.marks == [Mark(5.0, "forked")]
    assert data.x_range == (0.0, 5.0)


def test_a_run_that_has_a_fork_is_marked_where(drawn: dict[str, Drawn]) -> None:
    one = drawn["done"]
    event = replace(one.curves.events[0], kind="forked", step=230)
    assert loss_panel([Drawn(one.row, replace(one.curves, events=(event,)))], VIEW).marks == [Mark(10.0, "fork")]
