"""Values at a place of x, and zooming, panning and following, against what is obvious but slow."""

import random

import pytest

from simclr_tui.charts import reading
from simclr_tui.charts.drawn import View
from simclr_tui.charts.reading import fitting, followed, moved, panned, readings, sample_at, touches, zoomed
from simclr_tui.plot.draw import ChartData, Line
from simclr_tui.plot.series import Sample

WHOLE = (0.0, 100.0)


def line(*values: tuple[float, float], name: str = "loss", sign: str = "●") -> Line:
    return Line(samples=[Sample.at(x, value) for x, value in values], ink="run-0", sign=sign, name=name)


def test_a_sample_is_the_last_one_at_or_before_the_place() -> None:
    rng = random.Random(0)
    for _ in range(200):
        xs = sorted(rng.choice([rng.uniform(0, 10), float(rng.randrange(10))]) for _ in range(rng.randrange(12)))
        samples = [Sample.at(x, number) for number, x in enumerate(xs)]
        place = rng.choice([rng.uniform(-1, 11), *xs])
        slow = [sample for sample in samples if sample.x <= place]
        assert sample_at(samples, place) == (slow[-1] if slow else None)


def test_readings_are_of_the_curves_with_a_name_the_one_drawn_last_first() -> None:
    band = Line(samples=[Sample(1, 0, 9, 5)], ink="faint-0", band=True)
    smoothed = Line(samples=[Sample.at(1, 5)], ink="run-1", sign="■", name="loss", raw=[Sample(1, 2, 9, 7)])
    found = readings([band, line((0, 1), (2, 3)), smoothed], 1.0)
    second = Line(samples=[Sample.at(1, 4)], ink="second", sign="□", name="top-5")
    assert readings([band, line((0, 1), (2, 3)), second, smoothed], 1.0)[:2] == found, "runs are compared first"
    assert [(one.line.sign, one.words) for one in found] == [("■", "7.000"), ("●", "1.000")], "raw values are read"
    assert [one.spread for one in found] == ["2.000 to 9.000", ""]


def test_before_a_curve_begins_nothing_is_known_and_after_its_end_the_value_stands_in_brackets() -> None:
    curve = line((2, 1.5), (3, 2.5))
    assert [readings([curve], x)[0].words for x in (1.9, 2, 3, 3.9, 4.1)] == ["–", "1.500", "2.500", "2.500", "(2.500)"]


def test_charts_without_named_curves_or_with_an_x_of_their_own_are_not_read() -> None:
    named = line((0, 1))
    assert reading.has_readings(ChartData(title="", lines=[named]))
    assert not reading.has_readings(ChartData(title="", lines=[named], own_x=True))
    assert not reading.has_readings(ChartData(title="", lines=[line((0, 1), name="")]))


def test_what_has_no_room_is_counted() -> None:
    parts = [("● 0.5123", "run-0"), ("■ 0.6", "run-1"), ("▲ 名前", "run-2")]
    assert fitting(parts, 23) == parts, "wide characters take two cells"
    assert fitting(parts, 22) == [*parts[:2], ("+1", "")]
    assert fitting(parts, 18) == [parts[0], ("+2", "")]
    assert fitting(parts, 5) == [("+3", "")]
    assert fitting([], 5) == []


def test_zooming_keeps_a_place_where_it_is_and_zooming_out_comes_back() -> None:
    window = zoomed(None, WHOLE, 0.5, 20, smallest=1)
    assert window == (10, 60), "20 % of the way, before and after"
    assert zoomed(window, WHOLE, 2, 20, smallest=1) is None, "all of it"
    assert zoomed(None, WHOLE, 0.5, 100, smallest=1) == (50, 100)
    assert zoomed((10, 20), WHOLE, 0.5, 90, smallest=1) == (15, 20), "what is out of sight is not zoomed at"
    assert zoomed((10, 20), WHOLE, 0.01, 15, smallest=4) == (13, 17)


@pytest.mark.parametrize("seed", range(20))
def test_a_window_never_leaves_the_whole_whatever_is_done_to_it(seed: int) -> None:
    rng = random.Random(seed)
    whole = (rng.uniform(-5, 0), rng.uniform(1, 1e6))
    window: reading.Window | None = None
    for _ in range(200):
        if window is None or rng.random() < 0.5:
            at, factor = rng.uniform(*whole), rng.choice([0.5, 0.5, 0.9, 2])
            window = zoomed(window, whole, factor, at, smallest=(whole[1] - whole[0]) / 1e4)
        else:
            span = window[1] - window[0]
            window = panned(window, whole, rng.uniform(-2, 2))
            assert window[1] - window[0] == pytest.approx(span)
        if window is not None:
            assert whole[0] <= window[0] < window[1] <= whole[1]


def test_a_window_at_the_newest_end_moves_along_and_any_other_one_stays() -> None:
    assert followed((60, 100), WHOLE, (0, 110)) == (70, 110)
    assert followed((50, 90), WHOLE, (0, 110)) == (50, 90)
    assert touches(panned((50, 90), WHOLE, 5), WHOLE), "panned to the end it follows again"
    window = zoomed(None, WHOLE, 0.5, 100, smallest=1)
    for end in range(100, 200):
        assert window is not None
        window = followed(window, (0, end), (0, end + 1))
    assert window == (150, 200)


def test_the_cursor_starts_at_the_newest_end_and_takes_the_window_along() -> None:
    assert moved(None, (20, 40), WHOLE, 10, -1) == (40, (20, 40))
    assert moved(40, (20, 40), WHOLE, 10, -1) == (38, (20, 40))
    assert moved(40, (20, 40), WHOLE, 10, 1) == (42, (22, 42))
    assert moved(100, (80, 100), WHOLE, 10, 1) == (100, (80, 100)), "there is nothing beyond"
    assert moved(5, (20, 40), WHOLE, 10, 1) == (20, (20, 40)), "out of sight: it comes back to that end"


def test_smoothing_goes_through_its_spans_and_around() -> None:
    spans = [0.015]
    for _ in range(5):
        spans.append(reading.next_smoothing(spans[-1]))
    assert spans == [0.015, 0.05, 0.15, 0.0, 0.005, 0.015]
    assert [reading.smoothing_words(span) for span in (0.0, 0.005)] == ["not smoothed", "smoothed over 0.5 %"]


def test_places_are_said_in_their_own_unit() -> None:
    said = [reading.x_words(axis, 4321.5) for axis in ("epoch", "step", "wall", "trained")]
    assert said == ["epoch 4,321.50", "step 4,322", "1 h 12 min 2 s after the start", "1 h 12 min 2 s trained"]
    view = View(axis="step", window=(100, 200), cursor=150, smoothing=0.05)
    assert reading.look_words(view, (0, 200)) == [
        "step 100–200 of 200, following",
        "read at step 150",
        "smoothed over 5 %",
    ]
    assert reading.look_words(View(), (0, 200)) == []
