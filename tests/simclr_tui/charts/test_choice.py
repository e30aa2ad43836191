"""What is remembered of how charts are looked at."""

import json
from typing import Any

import pytest

from simclr_tui.charts.choice import FIRST_CELLS, restored, to_keep
from simclr_tui.charts.drawn import View


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
