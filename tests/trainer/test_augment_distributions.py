"""The views' parameters are distributed as torchvision draws them, and no view or image has a part in another's.

Two samples of DRAWS views each, ours and those of torchvision v2's own `make_params` and transforms, from fixed seeds:
Kolmogorov–Smirnov for what is continuous, chi-square for what is discrete and for joint distributions. All p-values of
a test are held together by Bonferroni to a family-wise LEVEL, and each has a control that fails: a distribution that is
wrong in just that respect, whose p-value is below IMPOSSIBLE.
"""

import dataclasses
import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from tests.trainer.recipes import TUTORIAL
from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, ViewParameters, draw_parameters
from trainer.randomness import uniforms

DRAWS = 10_000
LEVEL = 0.001
IMPOSSIBLE = 1e-9

RECIPE = dataclasses.replace(TUTORIAL, blur_probability=0.5)
"""The tutorial's, but for a blur that is drawn as well."""

Values = npt.NDArray[Any]
Draws = dict[str, Values]
"""A column of each parameter."""

CONTINUOUS = ("brightness", "contrast", "saturation", "hue", "sigma", "area", "log ratio")
PARTS = ("small", "middle", "large")
POSITIONS = tuple(f"{place} of {part} boxes" for place in ("top", "left") for part in PARTS)
DISCRETE = ("height", "width", "flip", "jitter", "grayscale", "blur", "order")
JOINT = ("area and ratio", "centre")
CROP = ("area", "log ratio", "height", "width", *POSITIONS, *JOINT)
ALL = (*CONTINUOUS, *POSITIONS, *DISCRETE, *JOINT)


def columns(parameters: ViewParameters) -> Draws:
    """Every parameter of some views, the order as one number."""
    found = {field.name: getattr(parameters, field.name).numpy() for field in dataclasses.fields(parameters)}
    return found | {"order": found["order"] @ [1000, 100, 10, 1]}


def ours(recipe: AugmentRecipe = RECIPE, height: int = 96, width: int = 96, *, epoch: int = 1, view: int = 0) -> Draws:
    """What DRAWS images draw for one of two views."""
    draws = uniforms(0, epoch, DRAWS, 2, UNIFORMS_PER_VIEW)[:, view]
    return columns(draw_parameters(draws, recipe, height, width))


@cache
def torchvisions(height: int = 96, width: int = 96) -> Draws:
    """What torchvision draws for DRAWS images: parameters where it gives them, else what became of a small picture."""
    image, picture = torch.zeros(3, height, width), torch.tensor([[[0.1, 0.9]], [[0.2, 0.7]], [[0.3, 0.4]]])
    random = {
        "flip": v2.RandomHorizontalFlip(0.5),
        "grayscale": v2.RandomGrayscale(0.2),
        "jitter": v2.RandomApply([v2.RandomInvert(1.0)], 0.8),
        "blur": v2.RandomApply([v2.RandomInvert(1.0)], 0.5),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        crops = _parameters(v2.RandomResizedCrop(96, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)), image)
        if (height, width) != (96, 96):
            return crops
        jitter = _parameters(v2.ColorJitter(0.5, 0.5, 0.5, 0.1), image)
        blur = _parameters(v2.GaussianBlur(9, sigma=(0.1, 2.0)), image)
        happened = {
            name: np.array([not torch.equal(transform(picture), picture) for _ in range(DRAWS)])
            for name, transform in random.items()
        }
    factors = {name: jitter[f"{name}_factor"] for name in ("brightness", "contrast", "saturation", "hue")}
    order = jitter["fn_idx"] @ [1000, 100, 10, 1]
    return crops | factors | happened | {"order": order, "sigma": blur["sigma"][:, 0]}


def _parameters(transform: Any, image: torch.Tensor) -> Draws:
    rows = [transform.make_params([image]) for _ in range(DRAWS)]
    return {name: np.array([np.asarray(row[name]) for row in rows]) for name in rows[0]}


def value_of(name: str, draws: Draws) -> Values:
    """A parameter, or what a box is by its sides: its area, log (width / height), and the place of its centre."""
    if name == "area":
        return np.asarray(draws["height"] * draws["width"], dtype=float)
    if name == "log ratio":
        return np.asarray(np.log(draws["width"] / draws["height"]))
    if name in ("row", "column"):
        side, start = {"row": ("height", "top"), "column": ("width", "left")}[name]
        return np.asarray(draws[start] + draws[side] / 2)
    return draws[name]


def eighths(values: Values) -> Values:
    """The limits between eight parts of the values."""
    return np.asarray(np.quantile(values, np.arange(1, 8) / 8))


def p_values(
    first: Draws, second: Draws, names: tuple[str, ...] = ALL, *, height: int = 96, width: int = 96
) -> dict[str, float]:
    """How likely two samples so different are, if they came from one distribution, by what is looked at."""
    found: dict[str, Any] = {}
    for name in set(CONTINUOUS) & set(names):
        found[name] = stats.ks_2samp(value_of(name, first), value_of(name, second)).pvalue
    for name in set(DISCRETE) & set(names):
        found[name] = _chi_square(_table([first[name]], [second[name]]))
    for place, side, length in (("top", "height", height), ("left", "width", width)):
        limits = np.quantile(second[side], [0, 1 / 3, 2 / 3, 1])
        for part, low, high in zip(PARTS, limits[:-1], limits[1:], strict=True):
            rows = [(one[side] >= low) & (one[side] <= high) & (one[side] < length) for one in (first, second)]
            shares = [
                one[place][some] / (length - one[side][some]) for one, some in zip((first, second), rows, strict=True)
            ]
            found[f"{place} of {part} boxes"] = stats.ks_2samp(*shares).pvalue
    for name, pair in (("area and ratio", ("area", "log ratio")), ("centre", ("row", "column"))):
        edges = [eighths(value_of(part, second)) for part in pair]
        binned = [
            [np.digitize(value_of(part, one), limits) for part, limits in zip(pair, edges, strict=True)]
            for one in (first, second)
        ]
        found[name] = _chi_square(_table(*binned))
    return {name: found[name] for name in names}


def _table(*samples: list[Values]) -> Values:
    """Counts of each combination of values, a row a sample; rare ones together."""
    keys = [list(zip(*(value.tolist() for value in sample), strict=True)) for sample in samples]
    number = {key: index for index, key in enumerate(sorted({*keys[0], *keys[1]}))}
    counts = np.array([np.bincount([number[key] for key in one], minlength=len(number)) for one in keys])
    rare = counts.sum(axis=0) < 20
    return np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)]) if rare.any() else counts


def _chi_square(table: Values) -> float:
    return float(stats.chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)


def hold(found: dict[str, float], names: tuple[str, ...]) -> None:
    """Assert that no p-value is too small, for so many."""
    assert set(found) == set(names)
    lowest = min(found, key=lambda name: found[name])
    assert found[lowest] * len(found) > LEVEL, lowest


def test_every_parameter_is_distributed_as_torchvisions() -> None:
    hold(p_values(ours(), torchvisions()), ALL)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 96), (120, 40)])
def test_crops_of_other_shapes_are_distributed_as_torchvisions(height: int, width: int) -> None:
    """In wide and tall images some boxes don't fit, so that later attempts and the central box come in."""
    theirs = torchvisions(height, width)
    hold(p_values(ours(RECIPE, height, width), theirs, CROP, height=height, width=width), CROP)
    changed = dataclasses.replace(RECIPE, scale=(0.2, 1.0))
    wrong = p_values(ours(changed, height, width), theirs, CROP, height=height, width=width)
    assert wrong["area"] < IMPOSSIBLE
    assert wrong["area and ratio"] < IMPOSSIBLE


def test_one_attempt_at_a_box_in_place_of_ten_is_seen_in_a_wide_image() -> None:
    """With the first one alone the central box comes too often."""
    draws = uniforms(0, 1, DRAWS, 2, UNIFORMS_PER_VIEW)[:, 0].clone()
    draws[:, 1:10], draws[:, 11:20] = draws[:, :1], draws[:, 10:11]
    once = columns(draw_parameters(draws, RECIPE, 48, 96))
    assert p_values(once, torchvisions(48, 96), CROP, height=48)["area and ratio"] < IMPOSSIBLE


def strengths(operation: int, strength: float) -> dict[str, Any]:
    """A recipe's strengths with one of another size."""
    changed = list(RECIPE.strengths)
    changed[operation] = strength
    return {"strengths": tuple(changed)}


WRONG_RECIPES: dict[str, dict[str, Any]] = {
    "brightness": strengths(0, 0.45),
    "contrast": strengths(1, 0.45),
    "saturation": strengths(2, 0.45),
    "hue": strengths(3, 0.09),
    "sigma": {"sigma": (0.1, 1.8)},
    "area": {"scale": (0.12, 1.0)},
    "log ratio": {"ratio": (0.7, 1 / 0.7)},
    "height": {"scale": (0.12, 1.0)},
    "width": {"scale": (0.12, 1.0)},
    "flip": {"flip_probability": 0.4},
    "jitter": {"jitter_probability": 0.75},
    "grayscale": {"grayscale_probability": 0.25},
    "blur": {"blur_probability": 0.55},
}
WRONG_DRAWS: dict[str, Callable[[Draws], Draws]] = {
    "order": lambda draws: {"order": np.where(np.arange(DRAWS) % 4 == 0, 123, draws["order"])},
    # Offsets that leave out the last place are 1 % short in small boxes and shift much in large ones.
    **{f"top of {part} boxes": lambda draws: {"top": (draws["top"] * 0.9).astype(int)} for part in PARTS},
    **{f"left of {part} boxes": lambda draws: {"left": (draws["left"] * 0.9).astype(int)} for part in PARTS},
    "centre": lambda draws: {"left": np.where(np.arange(DRAWS) % 4 == 0, draws["top"], draws["left"])},
}


@pytest.mark.parametrize("name", [*WRONG_RECIPES, *WRONG_DRAWS])
def test_a_distribution_that_is_a_little_off_is_seen(name: str) -> None:
    if name in WRONG_RECIPES:
        wrong = ours(dataclasses.replace(RECIPE, **WRONG_RECIPES[name]))
    else:
        wrong = ours() | WRONG_DRAWS[name](ours())
    assert p_values(wrong, torchvisions())[name] < IMPOSSIBLE


def test_every_comparison_has_such_a_control() -> None:
    assert {*WRONG_RECIPES, *WRONG_DRAWS, "area and ratio"} == set(ALL)


def test_boxes_whose_area_and_ratio_are_right_one_by_one_and_wrong_together_are_seen() -> None:
    """A quarter of the boxes have their ratios dealt anew by rank of their area, which no marginal can show."""
    honest = ours()
    areas, ratios = value_of("area", honest), np.exp(value_of("log ratio", honest))
    some = np.arange(0, DRAWS, 4)
    ratios[some[areas[some].argsort()]] = np.sort(ratios[some])
    coupled = honest | {"height": np.sqrt(areas / ratios), "width": np.sqrt(areas * ratios)}
    names = ("area", "log ratio", "area and ratio")
    found = p_values(coupled, torchvisions(), names)
    assert found["area and ratio"] < IMPOSSIBLE
    hold({name: found[name] for name in names[:2]}, names[:2])


def test_strong_jitter_is_distributed_as_torchvisions_and_never_negative() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = _parameters(v2.ColorJitter(brightness=1.0), torch.zeros(3, 8, 8))["brightness_factor"]
    strong = ours(dataclasses.replace(RECIPE, strengths=(1.0, 1.0, 1.0, 0.5)))["brightness"]
    assert strong.min() >= 0
    assert stats.ks_2samp(strong, theirs).pvalue > LEVEL


PAIRS: dict[str, Callable[[], tuple[Draws, Draws]]] = {
    "the two views of an image": lambda: (ours(), ours(view=1)),
    "an image and the next one": lambda: (ours(), shifted(ours(), 1)),
    "an image and the 128th after it": lambda: (ours(), shifted(ours(), 128)),
    "an image in one epoch and in the next": lambda: (ours(), ours(epoch=2)),
}
INDEPENDENT = (*CONTINUOUS, "top", "left", "order", "flip", "jitter", "grayscale", "blur")


def shifted(draws: Draws, images: int) -> Draws:
    """What the image so many places on draws."""
    return {name: np.roll(value, -images) for name, value in draws.items()}


def dependence(first: Draws, second: Draws) -> dict[str, float]:
    """How likely pairs of draws so related are, if they were independent, by parameter."""
    return {name: _independence(_kinds(name, first), _kinds(name, second)) for name in INDEPENDENT}


def dependence_within(draws: Draws) -> dict[str, float]:
    """The same of all pairs of parameters of a view, but for those of its box, which depend on each other."""
    kinds = {name: _kinds(name, draws) for name in INDEPENDENT}
    box = {"area", "log ratio", "top", "left"}
    pairs = [pair for pair in itertools.combinations(INDEPENDENT, 2) if not set(pair) <= box]
    return {f"{first} and {second}": _independence(kinds[first], kinds[second]) for first, second in pairs}


def _independence(first: Values, second: Values) -> float:
    table = np.zeros([first.max() + 1, second.max() + 1])
    np.add.at(table, (first, second), 1)
    return _chi_square(table)


def _kinds(name: str, draws: Draws) -> Values:
    """A parameter as a number from 0: its value where it is discrete, else which eighth it is in."""
    if name in ("order", "flip", "jitter", "grayscale", "blur"):
        return np.asarray(np.unique(draws[name], return_inverse=True)[1])
    value = value_of(name, draws)
    if name in ("top", "left"):  # as a part of the room that the box's size leaves
        value = (value + 0.5) / (97 - draws["height" if name == "top" else "width"])
    return np.digitize(value, eighths(value))


@pytest.mark.parametrize("pair", PAIRS)
def test_draws_are_independent_between(pair: str) -> None:
    hold(dependence(*PAIRS[pair]()), INDEPENDENT)


def test_draws_of_which_one_in_six_is_another_views_are_seen_as_dependent() -> None:
    """The control: every parameter by itself gives it away."""
    first, second = ours(), ours(view=1)
    copied = np.arange(DRAWS) % 6 == 0
    mixed = {name: np.where(copied, first[name], second[name]) for name in second}
    assert max(dependence(first, mixed).values()) < IMPOSSIBLE


def test_the_parameters_of_a_view_are_independent_of_each_other() -> None:
    found = dependence_within(ours())
    assert len(found) == 85
    hold(found, tuple(found))


def test_a_parameter_that_follows_another_now_and_then_is_seen() -> None:
    """The control: in one view of six a parameter has the rank of the one before it in the list."""
    honest = ours()
    some = np.arange(0, DRAWS, 6)
    for first, second in (("order", "brightness"), ("sigma", "hue"), ("flip", "blur"), ("jitter", "contrast")):
        sorted_by_first = some[honest[first][some].argsort(kind="stable")]
        values = honest[second].copy()
        values[sorted_by_first] = np.sort(values[some])
        found = dependence_within(honest | {second: values})
        names = {f"{first} and {second}", f"{second} and {first}"}
        assert found[(names & set(found)).pop()] < IMPOSSIBLE
