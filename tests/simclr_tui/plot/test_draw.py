"""Charts as rows of text."""

from dataclasses import replace

from simclr_tui.plot.draw import ChartData, Line, Mark, draw, text_of
from simclr_tui.plot.series import Sample, Series

RISING = ChartData(
    title="rising",
    lines=[Line(samples=[Sample.at(x, x) for x in range(11)], ink="run-0", sign="●")],
    x_range=(0, 10),
    y_range=(0, 10),
    x_name="epoch",
)


def test_a_chart_has_exactly_the_size_it_was_given() -> None:
    for width, height in ((9, 3), (20, 5), (37, 8), (120, 30)):
        rows = draw(RISING, width, height)
        assert len(rows) == height
        assert all(len(row) == width for row in rows), (width, height)


def test_a_rising_line_rises_and_ends_in_its_sign() -> None:
    text = text_of(draw(RISING, 30, 8))
    assert text[0].rstrip().endswith("●")
    firsts = [next((n for n, c in enumerate(line[3:]) if c not in " "), 99) for line in text[:-1]]
    assert firsts == sorted(firsts, reverse=True)


def test_ticks_of_both_axes_stand_at_their_values() -> None:
    text = text_of(draw(RISING, 40, 12))
    assert text[0].startswith("10┤")
    assert text[10].startswith(" 0┤")
    assert text[11].split() == ["0", "5", "epoch"], "the name of x takes the place of the last tick"
    assert text[11].index("5") == 3 + 36 // 2
    unnamed = text_of(draw(replace(RISING, x_name=""), 40, 12))
    assert unnamed[11].split() == ["0", "5", "10"]


def test_the_chance_level_is_a_dashed_line_with_its_label() -> None:
    text = text_of(draw(replace(RISING, chance=(5, "chance 5")), 40, 9))
    (line,) = [line for line in text if "chance 5" in line]
    assert line.count("╌") > 5


def test_a_mark_runs_from_top_to_bottom_with_its_label() -> None:
    text = text_of(draw(replace(RISING, marks=[Mark(5.0, "resumed")]), 40, 9))
    columns = {line.index("┆") for line in text[:-1] if "┆" in line}
    assert len(columns) == 1
    assert sum("┆" in line for line in text) >= 7
    assert "resumed" in "".join(text)


def test_a_band_fills_from_lowest_to_highest_and_the_line_lies_on_top() -> None:
    samples = [Sample(x, 2, 8, 5) for x in (0, 10)]
    data = replace(RISING, lines=[Line(samples=samples, ink="faint-0", band=True)])
    rows = draw(data, 40, 10)
    inked = [[ink for _, ink in row].count("faint-0") for row in rows[:-1]]
    assert inked[0] == inked[-1] == 0
    assert min(inked[2:7]) >= 35
    with_line = replace(data, lines=[*data.lines, Line(samples=samples, ink="run-0")])
    assert any([ink for _, ink in row].count("run-0") >= 35 for row in draw(with_line, 40, 10))


def test_a_spike_between_the_columns_is_drawn() -> None:
    samples = [Sample.at(x, 1.0) for x in range(5000)]
    samples[2345] = Sample.at(2345, 10.0)
    data = replace(RISING, lines=[Line(samples=samples, ink="raw", band=True)], x_range=(0, 5000))
    assert "raw" in [ink for _, ink in draw(data, 40, 10)[0]]


def test_a_line_is_not_drawn_where_nothing_was_measured() -> None:
    samples = [Sample.at(x, 5) for x in (0, 1, 2, 8, 9, 10)]
    joined = text_of(draw(replace(RISING, lines=[Line(samples=samples, ink="run-0")]), 40, 10))
    broken = text_of(draw(replace(RISING, lines=[Line(samples=samples, ink="run-0", max_gap=2)]), 40, 10))
    (whole,) = [line[3:].strip() for line in joined[:-1] if line[3:].strip()]
    (parts,) = [line[3:].strip() for line in broken[:-1] if line[3:].strip()]
    assert " " not in whole
    assert len(parts.split()) == 2


def test_measured_points_have_signs_and_bars_on_a_logarithmic_axis() -> None:
    samples = [Sample(10, 2, 8, 5), Sample(100, 5, 5, 5), Sample(1000, 5, 5, 5)]
    line = Line(samples=samples, ink="run-0", sign="■", points=True)
    data = replace(RISING, lines=[line], x_range=(10, 1000), x_ticks=(10, 100, 1000), x_log=True, x_name="")
    text = text_of(draw(data, 44, 12))
    (signs,) = [row for row in text if "■" in row]
    first, second, third = (column for column, character in enumerate(signs) if character == "■")
    assert abs((second - first) - (third - second)) <= 1, "a power of ten is as long as any other"
    bars = [row[first] for row in text[:-1]]
    assert 5 <= sum(character not in " ■" for character in bars) <= 7, "the bar spans 2 to 8 of 10"
    assert text[-1].split() == ["10", "100", "1000"]


def test_levels_are_dashed_lines_whose_labels_avoid_the_curves() -> None:
    flat = Line(samples=[Sample.at(x, 8) for x in (6, 10)], ink="run-0")
    text = text_of(draw(replace(RISING, lines=[flat], levels=[(8, "teacher 8"), (3, "other 3")]), 60, 12))
    (teacher,) = [row for row in text if " teacher 8 " in row]
    assert teacher.index("teacher") < 30
    assert sum("╌" in row for row in text) == 2
    (other,) = [row for row in text if " other 3 " in row]
    assert other.rstrip().endswith("other 3")


def test_a_chart_without_a_curve_says_why() -> None:
    data = ChartData(title="kNN", empty="no kNN score yet; the first comes after epoch 1")
    text = text_of(draw(data, 30, 6))
    assert " ".join(" ".join(text).split()) == data.empty
    assert all(len(line) == 30 for line in text)
    assert len(text_of(draw(data, 10, 2))) == 2


def test_a_curve_is_broken_where_a_gap_is_told_and_a_band_too() -> None:
    for band in (False, True):
        line = Line(samples=[Sample.at(x, 5) for x in range(11)], ink="run-0", gaps=(4.5,), band=band)
        wide = replace(line, samples=[Sample.at(x, 5) for x in (0, 1, 2, 7, 8, 9, 10)])
        (row,) = [
            one[3:].strip() for one in text_of(draw(replace(RISING, lines=[wide]), 60, 10))[:-1] if one[3:].strip()
        ]
        assert len(row.split()) == 2
        whole = replace(wide, gaps=())
        (row,) = [
            one[3:].strip() for one in text_of(draw(replace(RISING, lines=[whole]), 60, 10))[:-1] if one[3:].strip()
        ]
        assert len(row.split()) == 1


def test_in_a_window_a_curve_goes_on_to_both_edges_as_if_the_rest_were_there() -> None:
    window = replace(RISING, x_range=(3.5, 6.5), y_range=(0, 10))
    few = replace(window, lines=[Line(samples=[Sample.at(0, 0), Sample.at(10, 10)], ink="run-0")])  # none lies inside
    for data in (window, few):
        rows = text_of(draw(data, 60, 12))[:-1]
        covered = {number for row in rows for number, character in enumerate(row[3:-1]) if character != " "}
        assert covered == set(range(56))


def test_a_curve_that_lies_beyond_the_window_has_no_sign_and_no_mark_in_it() -> None:
    data = replace(RISING, x_range=(20, 30), marks=[Mark(5, "resumed"), Mark(25, "paused")])
    text = "".join(text_of(draw(data, 60, 10)))
    assert "●" not in text
    assert "resumed" not in text
    assert "paused" in text


def test_marks_of_warnings_and_errors_have_a_heavier_line_a_sign_and_an_ink() -> None:
    marks = [Mark(2, "resumed"), Mark(4, "health", "warning"), Mark(6, "checkpoint failed", "error")]
    rows = draw(
        replace(RISING, lines=[replace(RISING.lines[0], samples=[Sample.at(x, 0) for x in (0, 10)])], marks=marks),
        100,
        12,
    )
    text = "\n".join(text_of(rows))
    assert "▲ health" in text
    assert "✖ checkpoint failed" in text
    inks = {(character, ink) for row in rows for character, ink in row if character in "┆┇"}
    assert inks == {("┆", "mark"), ("┇", "warning"), ("┇", "error")}


def test_times_on_x_have_the_units_of_time() -> None:
    for end, labels in (
        (20.0, ["0 s", "5 s", "10 s"]),
        (3600.0, ["0 s", "15 min", "30 min"]),
        (10_000.0, ["0 s", "1 h", "2 h"]),
        (4 * 86_400.0, ["0 s", "1 d", "2 d", "3 d"]),
        (30 * 3600.0, ["0 s", "6 h", "12 h", "18 h", "1 d"]),
    ):
        data = replace(RISING, x_range=(0, end), x_seconds=True, x_name="")
        axis = text_of(draw(data, 50, 8))[-1]
        found = [word.strip() for word in axis.split("  ") if word.strip()]
        assert found[: len(labels)] == labels, end


def test_a_long_name_of_x_is_shortened_where_labels_need_the_room() -> None:
    data = replace(RISING, x_name="since start, pauses included")
    assert text_of(draw(data, 100, 8))[-1].endswith("since start, pauses included")
    short = text_of(draw(data, 60, 8))[-1]
    assert short.endswith("since start")
    assert short.split()[:2] == ["0", "2"]


def test_what_is_drawn_twice_is_the_same_from_samples_that_keep_what_was_made_of_them() -> None:
    line = RISING.lines[0]
    kept = replace(RISING, lines=[replace(line, samples=Series(line.samples))])
    for width in (30, 60, 30):
        for high in (10, 20, 10):
            plain, known = (replace(data, y_range=(0, high)) for data in (RISING, kept))
            assert draw(known, width, 9) == draw(plain, width, 9)


def test_a_mark_does_not_cut_the_label_of_a_level() -> None:
    low = replace(RISING, lines=[Line(samples=[Sample.at(x, 1) for x in (0, 10)], ink="run-0")], chance=(8, "chance 8"))
    for x in range(11):
        text = "\n".join(text_of(draw(replace(low, marks=[Mark(x, "paused")]), 60, 10)))
        assert " chance 8 " in text, x
