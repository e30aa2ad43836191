"""Charts of any series on any axis: where things lie, what is kept at every zoom, and what is marked."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from simclr_tui.board import Board
from simclr_tui.charts.axes import whole_range
from simclr_tui.charts.curves import CurveReader
from simclr_tui.charts.drawn import FIRST_CHARTS, Drawn, Stretch, View
from simclr_tui.charts.ids import AXES, DEVICE, EPOCHS, METRICS, SCORES, STEPS
from simclr_tui.charts.panels import PANELS, chart_data, chart_names
from simclr_tui.model import Curves, RunRow
from simclr_tui.plot.draw import ChartData, Mark, draw, text_of
from tests.simclr_tui.support import STEPS_PER_EPOCH, add_run, evaluation_rows, step_row
from trainer.state import run_state
from trainer.store.records import StepRow
from trainer.store.runs import RunStore
from trainer.store.series import BUCKET_SIZES, refresh_metric

LOSS, LR = STEPS + "loss", STEPS + "lr"


def drawn_of(
    store: RunStore, run_id: str, *, charts: Sequence[str] = FIRST_CHARTS, window: Any = None, columns: int = 200
) -> Drawn:
    run = store.run(run_id)
    curves = CurveReader(run_id).read_all(store, run, columns, charts=charts, window=window)
    return Drawn(RunRow(run, run_state(run, store.runs_path), 0), curves)


def at(store: RunStore, run_id: str, **moments: float) -> None:
    """Put the newest event of some kinds of a run at a time."""
    for kind, moment in moments.items():
        store.connection.execute(
            "UPDATE events SET at = ? WHERE id = (SELECT max(id) FROM events WHERE run_id = ? AND kind = ?)",
            (moment, run_id, kind.replace("_", "-")),
        )
    store.connection.commit()


@pytest.fixture
def told(store: RunStore) -> str:
    """A run with known times: 46 steps in 46 s, a pause of an hour, 23 more in 23 s, and what happened meanwhile."""
    run_id = add_run(store, "told")
    begin = time.time() - 100_000.0
    rng = random.Random(1)

    def take(first: int, last: int) -> None:
        store.append(
            run_id,
            [replace(step_row(step, rng), t_batch=0.75, t_data=0.25) for step in range(first, last + 1)],
            steps_per_epoch=23,
            total_steps=230,
        )

    store.lifecycle(run_id, "started", "started")
    at(store, run_id, started=begin)
    take(1, 46)
    for epoch in (1, 2):
        store.put_epoch(run_id, epoch, {"at": begin + 23 * epoch, "t_epoch": 23.0, "knn_top1": 0.2})
    store.event(run_id, "health", "spread too small (rule collapse)", level="warning", step=23)
    at(store, run_id, health=begin + 23)
    store.lifecycle(run_id, "paused", "paused on request")
    at(store, run_id, paused=begin + 46)
    store.event(run_id, "settings-accepted", "lr: 1 instead of 2", step=46)
    at(store, run_id, settings_accepted=begin + 46 + 1800)
    store.lifecycle(run_id, "resumed", "resumed")
    at(store, run_id, resumed=begin + 46 + 3600 - 5)
    store.event(run_id, "resumed-from", "going on after step 46", step=46)
    at(store, run_id, resumed_from=begin + 46 + 3600)
    take(47, 69)
    store.put_epoch(run_id, 3, {"at": begin + 69 + 3600, "t_epoch": 23.0, "knn_top1": 0.3})
    store.event(run_id, "checkpoint-failed", "disk full", level="error", step=60)
    at(store, run_id, checkpoint_failed=begin + 60 + 3600)
    return run_id


PLACES = {
    "epoch": lambda step: step / 23,
    "step": lambda step: step,
    "wall": lambda step: step if step <= 46 else step + 3600,
    "trained": lambda step: step,
}


@pytest.mark.parametrize("axis", AXES)
def test_every_step_and_epoch_lies_at_its_place_on_every_axis(told: str, store: RunStore, axis: str) -> None:
    one, view = drawn_of(store, told), View(axis=axis)
    data = chart_data("loss", [one], view)
    own = data.lines[-1]
    assert [s.x for s in own.raw] == pytest.approx([PLACES[axis](step) for step in range(1, 70)])
    knn = chart_data("knn", [one], view)
    assert len(knn.lines[-1].gaps) == (axis == "wall"), "broken where it was paused"
    assert [s.x for s in knn.lines[-1].samples] == pytest.approx([PLACES[axis](step) for step in (23, 46, 69)])
    assert data.x_range[1] >= PLACES[axis](69)
    assert data.x_range[1] - PLACES[axis](69) < 0.004 * data.x_range[1]
    for x in (1, 23, 46, 60):
        assert one.step_at(PLACES[axis](x), view) == pytest.approx(x, abs=1e-6)


@pytest.mark.parametrize("axis", AXES)
def test_what_happened_is_marked_at_its_place_on_every_axis(told: str, store: RunStore, axis: str) -> None:
    data = chart_data("loss", [drawn_of(store, told)], View(axis=axis))
    marks = {mark.word: mark for mark in data.marks}
    assert marks["health"] == Mark(pytest.approx(PLACES[axis](23)), "health", "warning")  # type: ignore[arg-type]
    assert marks["checkpoint failed"].ink == "error"
    assert marks["checkpoint failed"].x == pytest.approx(PLACES[axis](60))
    if axis == "wall":
        found = {word: mark.x for word, mark in marks.items()}
        assert found == pytest.approx(
            {"health": 23, "paused": 46, "settings": 46 + 1800, "resumed": 46 + 3600, "checkpoint failed": 60 + 3600}
        )
        assert data.lines[-1].gaps == pytest.approx((46 + 1800,)), "nothing is drawn through a pause"
    else:
        assert "paused" not in marks, "it went on at the same place"
        assert marks["resumed"].x == marks["settings"].x == pytest.approx(PLACES[axis](46))
        assert not data.lines[-1].gaps


def test_times_are_labelled_in_the_units_of_time_and_say_whether_pauses_count(told: str, store: RunStore) -> None:
    one = drawn_of(store, told)
    wall, trained = (chart_data("loss", [one], View(axis=axis)) for axis in ("wall", "trained"))
    assert wall.x_name == "since start, pauses included"
    assert trained.x_name == "trained, pauses left out"
    assert text_of(draw(wall, 100, 10))[-1].split("since")[0].split("  ")[-2:] != []
    labels = text_of(draw(wall, 100, 10))[-1]
    assert "20 min" in labels or "15 min" in labels
    assert "since start, pauses included" in labels
    assert "pauses" not in text_of(draw(wall, 60, 10))[-1]


def test_a_run_that_is_paused_is_marked_at_its_end(told: str, store: RunStore) -> None:
    store.lifecycle(told, "paused", "paused on request")
    marks = chart_data("loss", [drawn_of(store, told)], View(axis="step")).marks
    assert Mark(69, "paused") in marks


SPIKE = StepRow(
    step=0,
    epoch=1,
    loss=99.0,
    acc_top1=0.5,
    acc_top5=0.5,
    acc_mean_pos=5.0,
    lr=1e-3,
    grad_norm=1.0,
    t_data=0.0,
    t_batch=1.0,
)


def a_million_steps(store: RunStore, spike: int) -> str:
    """A run with the buckets of a million steps, and those steps themselves that lie near one with another loss."""
    steps = 1_000_000
    run_id = add_run(store, "long")
    near = [
        replace(SPIKE, step=n, loss=99.0 if n == spike else 1.0) for n in (*range(spike - 6000, spike + 6000), steps)
    ]
    names = ("loss", "t_data", "t_batch")
    with store._write() as connection:
        connection.executemany(
            f"INSERT INTO steps VALUES ({', '.join('?' * 11)})", [row.values(run_id) for row in near]
        )
        for size in BUCKET_SIZES:
            for name in names:
                high = (spike - 1) // size
                rows = [
                    (run_id, name, size, n, 99.0 if name == "loss" and n == high else 1.0, 1.0, size)
                    for n in range(-(-steps // size))
                ]
                connection.executemany("INSERT INTO buckets VALUES (?, ?, ?, ?, 1.0, ?, ?, 1.0, ?)", rows)
    store.update_run(run_id, step=steps, steps_per_epoch=1000)
    return run_id


def few_steps(store: RunStore, spike: int) -> str:
    """The same with all of its steps, by the writer."""
    run_id = add_run(store, "long")
    rows = [replace(SPIKE, step=step, loss=99.0 if step == spike else 1.0) for step in range(1, 12_001)]
    store.append(run_id, rows, steps_per_epoch=1000)
    return run_id


@pytest.mark.parametrize(("make", "steps"), [(few_steps, 12_000), (a_million_steps, 1_000_000)])
def test_a_spike_of_one_step_is_seen_at_every_zoom(store: RunStore, make: Any, steps: int) -> None:
    spike = round(0.617 * steps)
    run_id = make(store, spike)
    board, reader, run = Board(), CurveReader(run_id), store.run(run_id)
    board.take_rows([RunRow(run, run_state(run, store.runs_path), 0)])
    board.cursor_id = run_id
    span, shown = float(steps), []
    while span > 6:
        window = None if span == steps else (spike - 0.3 * span, spike + 0.7 * span)
        board.view = View(axis="step", window=window, charts=("loss", LOSS))
        watched = board.watched(300)
        windows = {run_id: (first, last) for run_id, first, last in watched.windows}
        curves = reader.read(store, run, watched.columns, charts=watched.charts, window=windows.get(run_id))
        board.take_curves([curves] if curves else [])
        data = chart_data(LOSS, board.drawn, board.view)
        (band,) = [line for line in data.lines if line.band]
        shown = [s for s in band.samples if data.x_range[0] <= s.x <= data.x_range[1]]
        assert max(s.high for s in shown) == 99.0, span
        assert data.y_range[1] >= 99.0
        assert len(band.samples) <= 3 * 2 * 300 + 2 * 300, "and it is not paid for by reading everything"
        assert any(ink.startswith(("faint", "run")) for _, ink in draw(data, 100, 20)[0]), span
        span /= 6
    assert [s.high for s in shown].count(99.0) == 1
    assert all(after.x - before.x == 1 for before, after in pairwise(shown)), "single steps at the end"


def test_the_window_decides_what_the_axes_hold(store: RunStore) -> None:
    run_id = add_run(store, "one", steps=230)
    view = View(axis="step", window=(100.0, 150.0), charts=(LOSS,))
    one = drawn_of(store, run_id, charts=view.charts, window=(100, 150))
    data = chart_data(LOSS, [one], view)
    values = {row["step"]: row["loss"] for row in store.steps(run_id)}
    inside = [values[step] for step in range(100, 151)]
    assert data.x_range == (100, 150)
    assert data.y_range[0] <= min(inside)
    assert data.y_range[1] >= max(inside)
    assert data.y_range[1] < max(values.values()), "and no more than that"
    xs = [s.x for s in data.lines[0].samples]
    assert xs == list(range(99, 152)), "with a sample on either side, to which the curve goes on"
    assert whole_range([one], view)[1] == pytest.approx(230, rel=0.004)
    empty = chart_data(LOSS, [one], replace(view, window=(1000.0, 2000.0)))
    assert text_of(draw(empty, 60, 10))


def test_what_lies_beside_a_window_does_not_stretch_it(store: RunStore) -> None:
    run_id = add_run(store, "one")
    rng = random.Random(1)
    rows = [
        replace(step_row(step, rng), loss=50.0 if step in (99, 151) else 1.0 + step / 1e3) for step in range(1, 201)
    ]
    store.append(run_id, rows)
    view = View(axis="step", window=(100.0, 150.0), charts=(LOSS,), smoothing=0.0)
    data = chart_data(LOSS, [drawn_of(store, run_id, charts=view.charts)], view)
    assert data.y_range[1] < 1.2
    assert data.lines[0].samples[-1].high == 50, "though the curve goes on to it"


def test_a_window_over_a_long_run_is_read_at_its_own_resolution_and_smoothed_by_what_it_shows(store: RunStore) -> None:
    run_id = add_run(store, "long", steps=8000)
    view = View(axis="step", window=(4000.0, 4100.0), smoothing=0.1, charts=(LOSS,))
    one = drawn_of(store, run_id, charts=view.charts, window=(4000, 4100), columns=60)
    own = chart_data(LOSS, [one], view).lines[-1]
    values = {row["step"]: row["loss"] for row in store.steps(run_id)}
    raw = {s.x: s.value for s in own.raw if 4000 <= s.x <= 4100}
    assert raw == {step: values[step] for step in range(4000, 4101)}
    assert {p.last_step - p.first for p in one.curves.steps["loss"][:-1]} == {127}, "the whole is coarse"


def test_values_that_were_not_finite_leave_a_gap(store: RunStore) -> None:
    run_id = add_run(store, "holes")
    rng = random.Random(3)
    rows = [step_row(step, rng) for step in range(1, 101)]
    store.append(run_id, [replace(row, loss=None) if 40 <= row.step < 60 else row for row in rows])
    data = chart_data(LOSS, [drawn_of(store, run_id)], View(axis="step", smoothing=0.0))
    assert [line.gaps for line in data.lines] == [(49.5,), (49.5,)]
    text = text_of(draw(data, 80, 12))
    columns = [{row[column] for row in text[:-1]} for column in range(len(text[0]))]
    empty = [column for column in range(6, 76) if columns[column] == {" "}]
    assert 10 <= len(empty) <= 18, "a fifth of the width"


def test_a_logarithmic_axis_holds_zeros_at_its_foot(store: RunStore) -> None:
    run_id = add_run(store, "zeros")
    rng = random.Random(3)
    rows = [replace(step_row(step, rng), lr=0.0 if step < 10 else 10.0**-step) for step in range(1, 16)]
    store.append(run_id, rows)
    view = View(axis="step", log=True, charts=(LR,))
    data = chart_data(LR, [drawn_of(store, run_id, charts=view.charts)], view)
    assert data.log
    assert data.y_range == (1e-15, 1e-10)
    assert text_of(draw(data, 60, 12))
    assert not chart_data("accuracy", [drawn_of(store, run_id)], view).log, "percentages have none"


def test_a_logarithmic_axis_ends_where_the_curve_does(store: RunStore) -> None:
    run_id = add_run(store, "late")
    rng = random.Random(3)
    store.append(run_id, [replace(step_row(step, rng), lr=4.0 + step / 15) for step in range(1, 16)])
    view = View(axis="step", log=True, charts=(LR,))
    data = chart_data(LR, [drawn_of(store, run_id, charts=view.charts)], view)
    assert data.y_range == pytest.approx((4.0 + 1 / 15, 5.0)), "not a decade above its lowest value"
    level = add_run(store, "level")
    store.append(level, [replace(step_row(step, rng), lr=1.0) for step in range(1, 16)])
    low, high = chart_data(LR, [drawn_of(store, level, charts=view.charts)], view).y_range
    assert low == 1.0 < high


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("log", [False, True])
def test_every_chart_can_be_drawn_of_any_runs(store: RunStore, axis: str, log: bool) -> None:
    ids = [
        add_run(store, "some", steps=100, evaluated=True),
        add_run(store, "one step", steps=1),
        add_run(store, "none"),
        add_run(store, "more", steps=60, lifecycle="failed"),
    ]
    store.update_run(ids[3], steps_per_epoch=7)
    store.put_metrics(ids[0], 0, {"rank_z": 3.0})
    store.put_metrics(ids[0], 46, {"rank_z": 9.0, "a/b c": float("nan")})
    store.beat(ids[0], {"source": "nvml", "gpu_util": 80.0, "power_watts": 300.0, "throttle_reasons": "power brake"})
    names = tuple(one.id for one in chart_names([drawn_of(store, ids[0])]))
    runs = [drawn_of(store, run_id, charts=names) for run_id in ids]
    for window in (None, (0.5, 2.5), (500.0, 700.0)):
        view = View(axis=axis, log=log, window=window, charts=names)
        for name in names:
            for drawn in (runs, runs[1:], runs[2:3], []):
                data = chart_data(name, drawn, view)
                assert data.lines or data.empty, name
                for size in ((80, 20), (9, 3), (30, 6)):
                    assert len(draw(data, *size)) == size[1], name


def test_charts_are_offered_by_kind_for_what_was_measured(store: RunStore) -> None:
    run_id = add_run(store, "some", steps=100, evaluated=True)
    store.put_metrics(run_id, 46, {"rank_z": 9.0, "own figure": 1.0})
    store.beat(run_id, {"source": "nvml", "gpu_util": 80.0, "power_watts": 300.0})
    names = {one.id: one for one in chart_names([drawn_of(store, run_id)])}
    assert tuple(names)[: len(PANELS)] == tuple(PANELS)
    assert {LOSS, LR, f"{STEPS}grad_norm", f"{STEPS}acc_mean_pos", f"{EPOCHS}images_per_second"} <= set(names)
    assert f"{EPOCHS}val_loss" not in names
    assert names[f"{METRICS}rank_z"].title == "rank of z"
    assert names[f"{METRICS}own figure"].group == "now and then"
    assert {f"{DEVICE}power_watts", f"{DEVICE}throttled"} <= set(names)
    assert f"{DEVICE}temperature_celsius" not in names
    assert names[f"{SCORES}linear h"].group == "evaluations"
    assert [one.id for one in chart_names([])][: len(PANELS)] == list(PANELS)
    assert "no such chart" in chart_data("nothing.at all", [], View()).empty


def test_a_series_of_metrics_has_its_values_and_a_score_its_mean_over_seeds(store: RunStore) -> None:
    run_id = add_run(store, "some", steps=100)
    for step in (23, 46, 69):
        store.put_metrics(run_id, step, {"rank_z": step / 2})
    rows = evaluation_rows(run_id, 69)
    store.put_evaluations(run_id, rows + [row | {"seed": 1, "top1": row["top1"] + 0.1} for row in rows])
    one = drawn_of(store, run_id)
    rank = chart_data(f"{METRICS}rank_z", [one], View(smoothing=0.0)).lines[-1]
    assert [(s.x, s.value) for s in rank.samples] == [(1, 11.5), (2, 23), (3, 34.5)]
    score = chart_data(f"{SCORES}linear h", [one], View(axis="step")).lines[-1]
    top1 = next(row["top1"] for row in rows if (row["protocol"], row["layer"]) == ("linear", "h"))
    assert [s.x for s in score.samples] == [69]
    assert score.samples[0].value == pytest.approx(100 * top1 + 5)


def test_the_device_is_shown_over_the_whole_run_with_its_extremes_and_where_it_was_slowed(
    told: str, store: RunStore
) -> None:
    begin = drawn_of(store, told).clock.started_at
    seconds = [*range(1, 47), *range(3647, 3670)]
    for second in seconds:
        store.beat(
            told,
            {
                "source": "nvml",
                "power_watts": 900.0 if second == 30 else 300.0,
                "throttle_reasons": "thermal (software)" if 40 <= second <= 46 else "power cap",
            },
        )
    ids = [row[0] for row in store.connection.execute("SELECT id FROM device_samples WHERE run_id = ?", (told,))]
    for number, second in zip(ids, seconds, strict=True):
        store.connection.execute("UPDATE device_samples SET at = ? WHERE id = ?", (begin + second, number))
    store.connection.commit()
    charts = (f"{DEVICE}power_watts", f"{DEVICE}throttled")
    one = drawn_of(store, told, charts=charts)
    power = chart_data(charts[0], [one], View(axis="wall"))
    assert max(s.high for s in power.lines[0].samples) == 900
    assert len(power.lines[0].gaps) == 1
    assert [mark.word for mark in power.marks].count("throttled") == 1
    assert next(mark.x for mark in power.marks if mark.word == "throttled") == pytest.approx(40, abs=1)
    by_step = chart_data(charts[0], [one], View(axis="step"))
    assert next(mark.x for mark in by_step.marks if mark.word == "throttled") == pytest.approx(40, abs=1)
    assert 68 <= by_step.lines[-1].samples[-1].x <= 69
    slowed = chart_data(charts[1], [one], View(axis="wall")).lines[-1]
    assert sum(s.value for s in slowed.samples) == pytest.approx(100 * 7)
    assert drawn_of(store, told).curves.device_history == (), "what no chart shows is not read"


def forked(store: RunStore, parent: Drawn, child_id: str, until: int) -> Drawn:
    child = drawn_of(store, child_id)
    row = replace(child.row, run=replace(child.row.run, parent_run_id=parent.row.run.id, parent_step=until))
    return Drawn(row, child.curves, (Stretch(parent.row, parent.curves, until),))


def test_a_fork_begins_at_its_parents_time_on_both_time_axes(told: str, store: RunStore) -> None:
    parent = drawn_of(store, told)
    child_id = add_run(store, "child")
    begin = time.time() - 50_000
    store.lifecycle(child_id, "started", "started")
    at(store, child_id, started=begin)
    store.event(child_id, "forked-from", "from step 60", step=60)
    at(store, child_id, forked_from=begin + 2)
    rng = random.Random(5)
    rows = [replace(step_row(step, rng), t_batch=1.5, t_data=0.5) for step in range(61, 81)]
    store.append(child_id, rows, steps_per_epoch=STEPS_PER_EPOCH)
    child = forked(store, parent, child_id, 60)
    for axis, fork in (("wall", 3660.0), ("trained", 60.0)):
        data = chart_data("loss", [child], View(axis=axis))
        trunk, raw, _ = data.lines
        late = 2.0 if axis == "wall" else 0.0  # its trainer had to come up
        assert trunk.samples[59].x == pytest.approx(fork)
        assert trunk.ink == child.faint_ink
        assert [s.x for s in raw.samples] == pytest.approx([fork + late + 2 * n for n in range(1, 21)])


def test_runs_with_other_batches_share_epochs_and_not_steps(store: RunStore) -> None:
    ids = [add_run(store, name, steps=46) for name in ("a", "b")]
    store.update_run(ids[1], steps_per_epoch=46)
    runs = [drawn_of(store, run_id) for run_id in ids]
    ends = {axis: [chart_data(LOSS, [one], View(axis=axis)).lines[-1].raw[-1].x for one in runs] for axis in AXES}
    assert ends["epoch"] == [2, 1]
    assert ends["step"] == [46, 46]


def test_only_what_is_shown_is_read(store: RunStore) -> None:
    run_id = add_run(store, "one", steps=100)
    for step in range(1, 80):
        store.put_metrics(run_id, step, {f"figure {n}": float(n) for n in range(40)})
    one = drawn_of(store, run_id, charts=("knn", f"{METRICS}figure 7"))
    assert set(one.curves.steps) == {"loss", "t_data", "t_batch"}, "by which a run is judged in words"
    assert set(one.curves.metrics) == {"figure 7"}
    assert len(one.curves.metric_names) == 40
    assert set(drawn_of(store, run_id, charts=(LR, "accuracy")).curves.steps) == {
        *("loss", "t_data", "t_batch"),
        *("lr", "acc_top1", "acc_top5"),
    }


def test_metrics_of_a_long_series_are_bounded_and_finer_in_a_window(store: RunStore) -> None:
    run_id = add_run(store, "one", steps=4000)
    with store._write() as connection:
        connection.executemany(
            "INSERT INTO metrics VALUES (?, 'm', ?, ?)", [(run_id, step, float(step == 777)) for step in range(1, 4000)]
        )
    with store._write() as connection:
        for step in range(1, 4000, 16):
            refresh_metric(connection, run_id, "m", step)
    name = f"{METRICS}m"
    whole = drawn_of(store, run_id, charts=(name,), columns=50).curves
    assert len(whole.metric_points["m"]) <= 100
    assert max(p.high for p in whole.metric_points["m"]) == 1.0
    fine = drawn_of(store, run_id, charts=(name,), columns=50, window=(770, 780)).curves
    assert any(p.first == p.last_step == 777 and p.high == 1.0 for p in fine.metric_points["m"])
    starts = [p.first for p in fine.metric_points["m"]]
    assert starts == sorted(set(starts))


def chart_text(data: ChartData) -> str:
    return "\n".join(text_of(draw(data, 100, 16)))


def test_no_smoothing_leaves_the_values_and_says_so(store: RunStore) -> None:
    one = drawn_of(store, add_run(store, "one", steps=46))
    data = chart_data(LOSS, [one], View(smoothing=0.0))
    assert [s.value for s in data.lines[-1].samples] == [p.mean for p in one.curves.steps["loss"]]
    assert [text for text, _ in data.legend] == ["⣿ raw", "● loss"]
    smoothed = chart_data(LOSS, [one], View(smoothing=0.1))
    assert [text for text, _ in smoothed.legend] == ["⣿ raw", "● smoothed"]
    assert smoothed.lines[-1].raw == data.lines[-1].raw, "values are read off what was measured"
    assert chart_text(smoothed) != chart_text(data)


def test_an_unread_run_has_nothing_and_breaks_nothing(store: RunStore) -> None:
    run = store.run(add_run(store, "one", steps=46))
    one = Drawn(RunRow(run, "queued", 0), Curves(run_id=run.id, is_read=False))
    for axis in AXES:
        assert chart_data("loss", [one], View(axis=axis)).empty
