"""How many charts there is room for, and which of them a page holds."""

import pytest

from simclr_tui.charts.page import Layout, page_words


@pytest.mark.parametrize(
    ("width", "height", "count", "wanted"),
    [
        (80, 13, 6, (1, 1)),
        (80, 45, 6, (1, 5)),
        (80, 15, 6, (1, 1)),
        (99, 13, 6, (1, 1)),
        (120, 23, 6, (2, 3)),
        (120, 22, 11, (2, 3)),
        (200, 53, 6, (3, 2)),
        (200, 53, 30, (3, 5)),
        (200, 53, 2, (3, 1)),
        (120, 0, 6, (2, 1)),
    ],
)
def test_columns_follow_the_screen_and_rows_the_height(
    width: int, height: int, count: int, wanted: tuple[int, int]
) -> None:
    layout = Layout.fitting(width, height, count)
    assert (layout.columns, layout.rows) == wanted


def test_every_chart_is_on_one_page_and_pages_go_on_where_the_last_one_ended() -> None:
    for columns in (1, 2, 3):
        for rows in (1, 2, 3):
            for count in range(1, 14):
                layout, names = Layout(columns, rows), list(range(count))
                pages = [tuple(names[layout.page(at, count)]) for at in range(count)]
                assert all(at in page and len(page) <= layout.size for at, page in enumerate(pages))
                assert [name for page in dict.fromkeys(pages) for name in page] == names


def test_a_last_page_with_few_charts_gives_them_the_room() -> None:
    assert [Layout(3, 2).trimmed(count) for count in (1, 2, 4)] == [Layout(1, 1), Layout(2, 1), Layout(3, 2)]


def test_pages_are_said_only_where_there_are_some() -> None:
    assert page_words("abc", "abc") == []
    assert page_words("cd", "abcdefg") == ["charts 3–4 of 7"]
    assert page_words("g", "abcdefg") == ["chart 7 of 7"]
