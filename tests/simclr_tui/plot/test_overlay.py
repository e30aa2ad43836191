"""The reading cursor over the rows of a chart."""

from simclr_tui.plot.draw import ChartData, Line, draw, frame, text_of
from simclr_tui.plot.overlay import CROSSED, CURSOR_INK, with_cursor
from simclr_tui.plot.series import Sample

DATA = ChartData(
    title="loss",
    lines=[Line(samples=[Sample.at(x, x) for x in range(101)], ink="run-0", sign="●", name="a loss")],
    x_range=(0.0, 100.0),
    y_range=(0.0, 100.0),
    x_name="epoch",
)
WIDTH, HEIGHT = 60, 9


def test_the_cursor_lies_over_the_chart_which_keeps_its_curve_and_its_size() -> None:
    rows, places = draw(DATA, WIDTH, HEIGHT), frame(DATA, WIDTH, HEIGHT)
    assert places is not None
    shown = with_cursor(rows, places, 50.0, " 50.00 ")
    column = places.column(50.0)
    inks = [row[column][1] for row in shown[:-1]]
    assert inks.count("run-0" + CROSSED) == 1, "the curve is seen where the cursor crosses it"
    assert inks.count(CURSOR_INK) == HEIGHT - 2
    assert [len(row) for row in shown] == [len(row) for row in rows]
    beside = [[cell for at, cell in enumerate(row) if at != column] for row in shown[:-1]]
    assert beside == [[cell for at, cell in enumerate(row) if at != column] for row in rows[:-1]]
    assert rows == draw(DATA, WIDTH, HEIGHT), "what was drawn is not changed"


def test_the_label_stands_below_the_cursor_and_cuts_no_tick_into_another_number() -> None:
    rows, places = draw(DATA, WIDTH, HEIGHT), frame(DATA, WIDTH, HEIGHT)
    assert places is not None
    ticks = text_of(rows)[-1].split()
    for x in range(101):
        label = f" {x:.2f} "
        line = text_of(with_cursor(rows, places, float(x), label))[-1]
        assert label.strip() in line.split()
        assert set(line.split()) - {label.strip()} <= set(ticks), line
        assert len(line) == len(text_of(rows)[-1])


def test_a_cursor_beyond_the_window_is_not_drawn() -> None:
    rows, places = draw(DATA, WIDTH, HEIGHT), frame(DATA, WIDTH, HEIGHT)
    assert places is not None
    assert with_cursor(rows, places, 101.0, "101") == rows


def test_a_place_of_the_mouse_is_the_value_of_x_that_is_drawn_there() -> None:
    for data in (DATA, ChartData(title="", lines=DATA.lines, x_range=(1.0, 1000.0), x_log=True)):
        places = frame(data, WIDTH, HEIGHT)
        assert places is not None
        for column in range(places.gutter, places.gutter + places.columns):
            assert places.column(places.x_at(column)) == column
