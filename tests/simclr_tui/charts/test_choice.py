"""What is remembered of how charts are looked at."""

import json
import re
from typing import Any

import pytest

from simclr_tui.charts.choice import FIRST_CELLS, chart_of, restored, to_keep
from simclr_tui.charts.drawn import Drawn, View, trunk_of
from simclr_tui.charts.reading_table import mark_words, reading_lines
from simclr_tui.model import Curves, RunRow
from tests.simclr_tui.row_support import NOW, row_of
from trainer.store.records import Event
from trainer.store.series import Point


def test_a_view_comes_back_as_it_was_but_for_its_window_and_its_cursor() -> None:
    view = View(axis="wall", log=True, smoothing=0.05, charts=("knn", "steps.lr", "evaluation"))
    kept = json.loads(json.dumps(to_keep(view)))
    assert restored(View(window=(1, 2), cursor=3), kept.get) == View(
        axis="wall", log=True, smoothing=0.05, charts=view.charts, window=(1, 2), cursor=3
    )


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"charts.axis": "moons", "charts.smoothing": 0.3, "charts.log": "yes", "charts.shown": "loss"},
        {"charts.axis": 3, "charts.smoothing": [], "charts.log": 1, "charts.shown": [3, None, "", "x" * 1000, "\x1b"]},
    ],
)
def test_what_is_not_known_any_more_is_ignored(kept: dict[str, Any]) -> None:
    assert restored(View(), kept.get) == View(charts=FIRST_CELLS)


def test_a_chart_is_restored_once() -> None:
    assert restored(View(), {"charts.shown": ["knn", "loss", "knn"]}.get).charts == ("knn", "loss")


@pytest.mark.parametrize("name", ["loss", "knn", "device.power_watts"])
def test_every_run_of_a_chart_is_named_however_many_share_a_sign(name: str) -> None:
    point = Point(1, 10, 1.0, 1.0, 1.0, 1.0)
    stretch = {"at": 5.0, "seconds": 1.0, "slowed": 0, "samples": 1, "count_power_watts": 1, "sum_power_watts": 9.0}
    stretch |= {"low_power_watts": 9.0, "high_power_watts": 9.0}
    drawn = [
        Drawn(
            row_of(f"run {place}", place=place, steps_per_epoch=10, step=10),
            Curves(
                run_id=f"run {place}",
                steps={"loss": [point]},
                epochs=[{"epoch": 1, "knn_top1": 0.5, "at": None, "t_epoch": None}],
                device_history=[stretch],
            ),
        )
        for place in (0, 7, 42)
    ]
    assert [one.sign for one in drawn] == ["●", "●", "●"]
    assert drawn[0].ink == drawn[2].ink != drawn[1].ink
    data = chart_of(name, drawn, View())
    words = [text for text, _ in data.legend]
    own = ["● smoothed"] if name == "loss" else ["● run 0"]
    assert [text for text in words if text.startswith("●")] == [*own, "● run 7", "● run 42"]
    lines = reading_lines(data, drawn, View(), 100)
    assert [str(line[0][0]).split("  ")[0].strip() for line in lines[1:]] == ["● run 0", "● run 7", "● run 42"]


def test_a_curve_has_its_whole_name_whatever_its_run_is_called() -> None:
    point = Point(1, 10, 1.0, 1.0, 1.0, 1.0)
    drawn = [Drawn(row_of("lo", steps_per_epoch=10, step=10), Curves(run_id="lo", steps={"loss": [point]}))]
    lines = reading_lines(chart_of("loss", drawn, View()), drawn, View(), 100)
    assert "".join(part if isinstance(part, str) else part[0] for part in lines[1]).split()[:3] == ["●", "lo", "loss"]


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (120, ["run", "curve", "value", "of its stretch", "read at", "last shown"]),
        (80, ["run", "curve", "value", "read at", "last shown"]),
        (58, ["run", "curve", "value", "read at"]),
        (38, ["run", "curve", "value"]),
    ],
)
def test_figures_at_the_cursor_that_do_not_fit_are_left_out_whole(width: int, heads: list[str]) -> None:
    name = "a-run-with-a-long-name-of-its-own"
    curves = Curves(run_id=name, steps={"loss": [Point(1, 16, 1.0, 3.0, 2.0, 2.0)]})
    drawn = [Drawn(row_of(name, steps_per_epoch=10, step=16), curves)]
    lines = [
        "".join(part if isinstance(part, str) else part[0] for part in line)
        for line in reading_lines(chart_of("loss", drawn, View()), drawn, View(), width)
    ]
    assert re.split(r"\s{2,}", lines[0].strip()) == heads
    assert len({len(line) for line in lines}) == 1, "figures stand below their names"
    assert len(lines[0]) <= width


@pytest.mark.parametrize(("first", "second"), [(10, 10), (20, 10), (10, 20)])
def test_a_fork_of_a_fork_with_other_batches_has_all_that_came_before(first: int, second: int) -> None:
    """Ten epochs of the first run, the five after them of its fork, of which a fork is drawn."""

    def run(name: str, per_epoch: int, epochs: range, **lineage: Any) -> tuple[RunRow, Curves]:
        steps = range(epochs.start * per_epoch + 1, epochs.stop * per_epoch + 1)
        curves = Curves(
            run_id=name,
            steps={"loss": [Point(step, step, 1.0, 1.0, step / per_epoch, 1.0) for step in steps]},
            epochs=[{"epoch": epoch + 1, "knn_top1": epoch / 100} for epoch in epochs],
        )
        return row_of(name, steps_per_epoch=per_epoch, step=steps.stop - 1, **lineage), curves

    old = run("old", first, range(12))
    middle = run("middle", second, range(10, 17), parent_run_id="old", parent_step=10 * first)
    young = run("young", 10, range(15, 16), parent_run_id="middle", parent_step=15 * second)
    known = {row.run.id: (row, curves) for row, curves in (old, middle, young)}
    drawn = Drawn(
        *young,
        trunk_of(young[0].run, lambda id: known[id][0] if id is not None else None, lambda row: known[row.run.id][1]),
    )
    before = drawn.samples_before("loss", View())
    wanted = [step / first for step in range(1, 10 * first + 1)]
    wanted += [10 + step / second for step in range(1, 5 * second + 1)]
    assert [one.value for one in before] == pytest.approx(wanted)
    assert [one.x for one in before] == pytest.approx(wanted)
    trunk = chart_of("knn", [drawn], View()).lines[0]
    assert [one.x for one in trunk.samples] == list(range(1, 16))


def test_marks_in_words_say_of_which_run_they_are_where_there_are_several() -> None:
    def drawn_of(place: int, last: int) -> Drawn:
        name = f"run {place}"
        event = Event(id=1, run_id=name, at=NOW, level="info", kind="paused", message="paused", step=last)
        points = [Point(1, last, 1.0, 1.0, 1.0, 1.0)]
        curves = Curves(run_id=name, steps={"loss": points}, events=[event])
        return Drawn(row_of(name, place=place, steps_per_epoch=10, step=last), curves)

    view = View(axis="step")
    one, other = drawn_of(0, 40), drawn_of(1, 20)
    assert mark_words(chart_of("loss", [one], view), view) == "paused at step 40"
    both = mark_words(chart_of("loss", [one, other], view), view)
    assert both == "● paused at step 40 · ■ paused at step 20"
