"""Which axes a comparison has as parallel coordinates, and where its runs lie on them."""

from typing import Any

import pytest

from simclr_tui.compare.build import compare
from simclr_tui.compare.coordinates import coordinates
from simclr_tui.compare.side import Side
from simclr_tui.plot.coordinates import Coordinates
from tests.simclr_tui.compare_runs import epoch_rows, make_side, score


def made(*settings: dict[str, Any], scores: tuple[float, ...] = ()) -> Coordinates:
    """The coordinates of runs with these settings, of which the later ones have more epochs and so a better kNN."""
    sides: list[Side] = []
    for place, one in enumerate(settings):
        scored = [score("h", "linear", scores[place])] if scores else []
        epochs = epoch_rows(5 + place)
        sides.append(make_side(f"run-{place}", place=place, settings=one, epochs=epochs, evaluations=scored))
    return coordinates(compare(sides))


def places(found: Coordinates, name: str) -> list[float | None]:
    """Where the runs lie on an axis, in their own order: the reference is drawn last."""
    number = next(number for number, axis in enumerate(found.axes) if axis.name.startswith(name))
    return [course.places[number] for course in reversed(found.courses)]


def test_axes_are_the_settings_that_differ_and_then_the_results() -> None:
    found = made({"temperature": 0.1}, {"temperature": 0.5}, scores=(0.6, 0.7))
    assert [axis.name for axis in found.axes] == ["temperature", "kNN, best, % ↑", "h, linear ↑"], (
        "the loss depends on the temperature and is not compared"
    )
    assert [axis.is_result for axis in found.axes] == [False, True, True]
    assert places(found, "temperature") == [0, 1]
    assert places(found, "h, linear") == [0, 1]
    assert found.axes[2].labels == [(0.0, "60.0"), (1.0, "70.0")]


def test_a_loss_that_can_be_compared_has_an_axis_that_says_lower_is_better() -> None:
    found = made({"learning_rate": 0.1}, {"learning_rate": 0.2})
    assert "loss, last epoch ↓" in [axis.name for axis in found.axes]
    assert places(found, "loss") == [1, 0]


def test_numbers_far_apart_lie_on_a_logarithmic_axis_and_near_ones_on_a_plain_one() -> None:
    assert places(made(*({"learning_rate": value} for value in (0.01, 0.1, 1.0))), "learning-rate") == pytest.approx(
        [0, 0.5, 1]
    )
    assert places(made(*({"learning_rate": value} for value in (0.1, 0.2, 0.5))), "learning-rate") == pytest.approx(
        [0, 0.25, 1]
    )


def test_words_have_places_of_their_own_and_each_its_label() -> None:
    found = made({"optimizer": "sgd"}, {"optimizer": "lars"}, {"optimizer": "sgd"})
    assert {word: place for place, word in found.axes[0].labels} == {"lars": 0.25, "sgd": 0.75}
    assert places(found, "optimizer") == [0.75, 0.25, 0.75]


def test_a_run_without_a_score_has_no_place_there() -> None:
    sides = [
        make_side("a", settings={"seed": 1}, epochs=epoch_rows(3)),
        make_side("b", place=1, settings={"seed": 2}),
        make_side("c", place=2, settings={"seed": 3}, epochs=epoch_rows(4)),
    ]
    assert places(coordinates(compare(sides)), "kNN") == [0, None, 1]


def test_why_there_is_nothing_is_a_sentence() -> None:
    assert "differ in no setting that can change a result" in made({}, {}).empty
    assert "differ in no setting that can change a result" in made({"num_workers": 1}, {"num_workers": 2}).empty
    unscored = [make_side("a", settings={"seed": 1}), make_side("b", place=1, settings={"seed": 2})]
    assert "no result that can be compared" in coordinates(compare(unscored)).empty


def test_of_many_values_the_two_ends_are_named() -> None:
    found = made(*({"seed": seed} for seed in range(1, 11)))
    assert [word for _, word in found.axes[0].labels] == ["1", "10"]
    few = made(*({"seed": seed} for seed in (1, 2, 5)))
    assert sorted(word for _, word in few.axes[0].labels) == ["1", "2", "5"]
