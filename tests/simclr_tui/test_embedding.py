"""The map: its file, its cells, its crosshair."""

import json
from typing import Any

import pytest

from simclr_tui.embedding import (
    MANY,
    MapError,
    MapPoint,
    class_signs,
    lay_out,
    majority,
    nearest_cell,
    parse_map,
    step_from,
)
from tests.simclr_tui.learning_store import CLASSES, map_document


def point(x: float, y: float, label: int = 0) -> MapPoint:
    return MapPoint(x, y, label, 0, (), (), ())


def test_a_map_is_read_as_it_was_written() -> None:
    document = map_document()
    drawn = parse_map(json.dumps(document))
    assert drawn.classes == tuple(CLASSES)
    assert (drawn.step, drawn.split, drawn.projection) == (345, "test", "tsne")
    assert [one.image for one in drawn.points] == [one["index"] for one in document["points"]]
    assert drawn.points[1].neighbour_labels == (1, 1, 2)


def test_what_older_maps_do_not_tell_is_left_open() -> None:
    document = map_document()
    for name in ("split", "neighbours_split"):
        del document[name]
    for one in document["points"]:
        del one["neighbour_labels"]
    drawn = parse_map(json.dumps(document))
    assert (drawn.split, drawn.neighbours_split, drawn.points[0].neighbour_labels) == ("", "", ())


def broken_point(**changes: Any) -> str:
    return json.dumps(map_document(points=[{**map_document()["points"][0], **changes}]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no whole JSON document"),
        (json.dumps(map_document())[:-20], "no whole JSON document"),
        (b"\xff\xfe\x00", "no whole JSON document"),
        ("[" * 100_000, "no whole JSON document"),
        ("[]", "another form"),
        ("7", "another form"),
        (json.dumps(map_document(version=2)), "version 2"),
        (json.dumps({"version": 1}), "'classes' is missing"),
        (json.dumps(map_document(points=3)), "another form"),
        (json.dumps(map_document(points=[[1, 2]])), "another form"),
        (broken_point(label=3), "label 3, and there are 3 classes"),
        (broken_point(x=float("nan")), "lies nowhere"),
        (broken_point(x="left"), "another form"),
        (broken_point(index=float("inf")), "another form"),
    ],
)
def test_a_damaged_map_is_refused_with_its_reason(text: str | bytes, reason: str) -> None:
    with pytest.raises(MapError, match=reason):
        parse_map(text)


def test_classes_have_signs_of_their_own_that_come_from_their_names() -> None:
    assert class_signs(["airplane", "bird", "car", "cat", "deer", "dog"]) == ["a", "b", "c", "t", "d", "o"]
    assert class_signs(["猫", "犬"]) == ["a", "b"]
    many = class_signs([str(number) for number in range(70)])
    assert len(set(many[:62])) == 62
    assert set(many[62:]) == {MANY}


def test_points_fall_into_cells_with_high_y_at_the_top() -> None:
    cells = lay_out([point(0, 1), point(1, 0), point(0.5, 0.5), point(0.01, 0.99)], 10, 5)
    assert cells == {(0, 0): [0, 3], (4, 9): [1], (2, 5): [2]}


def test_a_cell_belongs_to_most_of_its_points() -> None:
    points = [point(0, 0, label) for label in (2, 1, 1)]
    assert majority(points, [0, 1, 2]) == (1, True)
    assert majority(points, [0, 1]) == (1, False)


def test_the_crosshair_goes_to_the_nearest_point_ahead_and_stays_where_there_is_none() -> None:
    cells = {(0, 0): [0], (0, 9): [1], (1, 4): [2], (4, 0): [3]}
    assert step_from((0, 0), cells, 0, 1) == (1, 4)
    assert step_from((1, 4), cells, 0, 1) == (0, 9)
    assert step_from((0, 9), cells, 0, 1) == (0, 9)
    assert step_from((0, 0), cells, 1, 0) == (4, 0)
    assert step_from((4, 0), cells, -1, 0) == (0, 0)


def test_every_point_can_be_reached() -> None:
    drawn = parse_map(json.dumps(map_document()))
    cells = lay_out(drawn.points, 50, 20)
    seen, front = set(), {next(iter(cells))}
    while front:
        seen |= front
        steps = ((0, 1), (0, -1), (1, 0), (-1, 0))
        front = {step_from(cell, cells, *step) for cell in front for step in steps} - seen
    assert seen == set(cells)


def test_the_mouse_finds_the_nearest_cell_on_the_screen() -> None:
    assert nearest_cell((0, 0), {(0, 3): [0], (2, 0): [1]}) == (0, 3), "a cell is twice as high as wide"
