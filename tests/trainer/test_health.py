"""Each health figure against a slow obvious one in numpy, its invariances, and the ends of its range."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trainer.health import FIGURES, measure

Array = npt.NDArray[np.float64]
OF_DIRECTIONS = ("alignment", "uniformity", "similarity_positive", "similarity_negative", "std_h", "std_z")


def features(n: int, size: int, seed: int = 0) -> Tensor:
    """Two views (2n, size) of n images that have something in common, beside a mean that all share."""
    draw = torch.Generator().manual_seed(seed)
    image = torch.randn(n, size, generator=draw).repeat(2, 1)
    return 0.7 * image + 0.5 * torch.randn(2 * n, size, generator=draw) + torch.linspace(-1, 2, size)


def unit(features: Tensor) -> Array:
    """The rows' directions, one at a time."""
    return np.stack([row / math.sqrt(sum(x * x for x in row)) for row in features.double().numpy()])


def slow_alignment(z: Tensor) -> float:
    u, n = unit(z), len(z) // 2
    return float(np.mean([((u[i] - u[i + n]) ** 2).sum() for i in range(n)]))


def slow_uniformity(z: Tensor) -> float:
    u, n = unit(z), len(z) // 2
    pairs = [math.exp(-2 * ((u[i] - u[j]) ** 2).sum()) for i in range(n) for j in range(i)]
    return math.log(np.mean(pairs))


def slow_similarity(z: Tensor, positive: bool) -> float:
    u, n = unit(z), len(z) // 2
    pairs = [(i, j) for i in range(2 * n) for j in range(i) if ((i - j) == n) == positive]
    return float(np.mean([u[i] @ u[j] for i, j in pairs]))


def slow_rank(features: Tensor, *, centred: bool = True) -> float:
    """Roy and Vetterli's formula; RankMe's where nothing is taken from the rows."""
    x = features[: len(features) // 2].double().numpy()
    values = scipy.linalg.svdvals(x - x.mean(axis=0) if centred else x)
    shares = values[values > 1e-9 * values.max()] / values.sum()
    return math.exp(-sum(p * math.log(p) for p in shares))


def slow_std(features: Tensor) -> float:
    """lightly's std_of_l2_normalized, which is 1/√D for directions spread evenly, times √D."""
    columns = unit(features[: len(features) // 2]).T
    deviations = [math.sqrt(sum((x - column.mean()) ** 2 for x in column) / (len(column) - 1)) for column in columns]
    return float(np.mean(deviations)) * math.sqrt(features.shape[1])


def slow_spread(features: Tensor) -> float:
    x = features[: len(features) // 2].double().numpy()
    apart = np.mean([((row - x.mean(axis=0)) ** 2).sum() for row in x])
    return math.sqrt(apart / np.mean([(row**2).sum() for row in x]))


SLOW: dict[str, Callable[[Tensor, Tensor], float]] = {
    "alignment": lambda _, z: slow_alignment(z),
    "uniformity": lambda _, z: slow_uniformity(z),
    "similarity_positive": lambda _, z: slow_similarity(z, True),
    "similarity_negative": lambda _, z: slow_similarity(z, False),
    "rank_h": lambda h, _: slow_rank(h),
    "rank_z": lambda _, z: slow_rank(z),
    "std_h": lambda h, _: slow_std(h),
    "std_z": lambda _, z: slow_std(z),
    "spread_h": lambda h, _: slow_spread(h),
}


@pytest.mark.parametrize(("n", "size_h", "size_z"), [(2, 3, 2), (7, 20, 5), (30, 12, 8), (16, 16, 40)])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_the_formula_it_is_named_after(name: str, n: int, size_h: int, size_z: int) -> None:
    h, z = features(n, size_h, seed=1), features(n, size_z, seed=2)
    assert measure(h, z)[name] == pytest.approx(SLOW[name](h, z), rel=1e-9, abs=1e-12)


def test_the_figures_come_in_their_order_as_plain_numbers() -> None:
    figures = measure(features(4, 3), features(4, 3))
    assert tuple(figures) == FIGURES
    assert all(type(value) is float for value in figures.values())


@pytest.mark.parametrize("scale", [1e-250, 1e-3, 1e250])
def test_no_figure_depends_on_the_size_of_the_features(scale: float) -> None:
    h, z = features(10, 6).double(), features(10, 4).double()
    assert measure(h * scale, z * scale) == pytest.approx(measure(h, z), rel=1e-9)


def test_directions_do_not_depend_on_the_length_of_each_row() -> None:
    h, z = features(10, 6).double(), features(10, 4).double()
    lengths = torch.rand(20, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) + 0.1
    before, after = measure(h, z), measure(h * lengths, z * lengths)
    for name in OF_DIRECTIONS:
        assert after[name] == pytest.approx(before[name], rel=1e-9), name
    assert after["rank_z"] != pytest.approx(before["rank_z"], rel=1e-3)


def test_a_rotation_of_the_features_leaves_all_but_the_mean_of_the_deviations() -> None:
    h, z = features(10, 6).double(), features(10, 6).double()
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(4))).Q
    before, after = measure(h, z), measure(h @ turn, z @ turn)
    for name in FIGURES:
        if not name.startswith("std_"):
            assert after[name] == pytest.approx(before[name], rel=1e-9), name


def test_only_the_first_views_say_how_far_images_differ() -> None:
    h, z = features(10, 6), features(10, 4)
    others = torch.cat([h[:10], features(10, 6, seed=5)[10:]]), torch.cat([z[:10], features(10, 4, seed=6)[10:]])
    before, after = measure(h, z), measure(*others)
    for name in ("uniformity", "rank_h", "rank_z", "std_h", "std_z", "spread_h"):
        assert after[name] == before[name], name
    assert after["alignment"] != before["alignment"]


def test_equal_variance_in_k_directions_has_rank_k() -> None:
    for k in (1, 3, 8):
        corners = torch.cat([torch.eye(k), -torch.eye(k)])
        embedded = torch.nn.functional.pad(corners, (0, 20 - k)) @ torch.linalg.qr(features(10, 20)).Q
        assert measure(embedded.repeat(2, 1), embedded.repeat(2, 1))["rank_h"] == pytest.approx(k, rel=1e-6)


def test_n_images_never_have_more_than_n_minus_1_directions() -> None:
    """What a rank is worth where n ≤ D: the sample's bound, reached by images that all differ equally."""
    assert measure(torch.eye(9, 64).repeat(2, 1), torch.eye(9).repeat(2, 1))["rank_h"] == pytest.approx(8)
    assert measure(features(9, 512), features(9, 4))["rank_h"] < 8


def test_what_all_images_share_counts_in_rankme_and_not_here() -> None:
    z = features(40, 16).double()
    shifted = z + 100
    assert measure(shifted, shifted)["rank_z"] == pytest.approx(measure(z, z)["rank_z"], rel=1e-9)
    assert slow_rank(shifted, centred=False) < 0.5 * slow_rank(z, centred=False)


def test_bunched_features_keep_their_rank_and_lose_their_deviation() -> None:
    """So rank alone would call them healthy."""
    z = features(200, 16, seed=7)
    bunched = z + 1000
    assert measure(z, z)["rank_z"] > 12
    assert measure(bunched, bunched)["rank_z"] > 12
    assert measure(z, z)["std_z"] > 0.5
    assert measure(bunched, bunched)["std_z"] < 0.01


def test_directions_spread_over_the_sphere_have_deviation_1_and_are_uniform() -> None:
    z = torch.randn(4000, 128, generator=torch.Generator().manual_seed(0))
    figures = measure(z, z)
    assert figures["std_z"] == pytest.approx(1, abs=0.01)
    assert figures["uniformity"] == pytest.approx(-4, abs=0.1)
    assert figures["similarity_negative"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("row", [torch.zeros(5), torch.ones(5), torch.tensor([1e-40, 2.0, -3.1, 0.7, 3e38])])
def test_images_that_are_all_the_same_to_the_network_differ_in_nothing(row: Tensor) -> None:
    figures = measure(row.repeat(8, 1), row.repeat(8, 1))
    for name in ("alignment", "uniformity", "rank_h", "rank_z", "std_h", "std_z", "spread_h"):
        assert figures[name] == pytest.approx(0, abs=1e-12), name
    for name in ("similarity_positive", "similarity_negative"):
        assert figures[name] == pytest.approx(float(row.any()), abs=1e-12), name


def test_what_float32_leaves_of_equal_rows_is_no_direction() -> None:
    rows = torch.full((32, 100), 3.7) * (1 + 1e-7 * torch.randn(32, 100, generator=torch.Generator().manual_seed(0)))
    assert len(rows.unique(dim=0)) > 1
    assert slow_rank(rows) > 10
    assert measure(rows, rows)["rank_h"] == 0


def test_views_that_point_against_each_other_are_4_apart() -> None:
    z = features(6, 5)
    opposite = torch.cat([z[:6], -z[:6]])
    figures = measure(z, opposite)
    assert figures["alignment"] == pytest.approx(4)
    assert figures["similarity_positive"] == pytest.approx(-1)


def test_views_that_are_equal_are_aligned_whatever_the_images_are() -> None:
    z = features(6, 5)[:6].repeat(2, 1)
    assert measure(z, z)["alignment"] == pytest.approx(0, abs=1e-12)
    assert measure(z, z)["similarity_positive"] == pytest.approx(1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_feature_that_is_not_finite_makes_every_figure_nan(bad: float) -> None:
    h, z = features(4, 3), features(4, 3)
    h[2, 1] = bad
    assert all(math.isnan(value) for value in measure(h, z).values())
    assert all(math.isnan(value) for value in measure(z, h).values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_short_types_are_computed_in_float64(dtype: torch.dtype) -> None:
    h, z = features(10, 6).to(dtype), features(10, 4).to(dtype)
    assert measure(h, z) == measure(h.double(), z.double())


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.data(), st.sampled_from((torch.float32, torch.float64, torch.bfloat16)))
def test_finite_features_give_finite_figures_in_their_range(
    n: int, size: int, data: st.DataObject, dtype: torch.dtype
) -> None:
    numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0, 5e-324, 1e-40, -3e38])
    flat = data.draw(st.lists(numbers, min_size=2 * n * size, max_size=2 * n * size))
    largest = torch.finfo(dtype).max
    x = torch.tensor(flat, dtype=torch.float64).clamp(-largest, largest).to(dtype).reshape(2 * n, size)
    figures = measure(x, x)
    assert all(map(math.isfinite, figures.values()))
    ranges: dict[str, tuple[float, float]] = {
        "alignment": (0, 4),
        "uniformity": (-8, 0),
        "similarity_positive": (-1, 1),
        "spread_h": (0, 1),
    }
    ranges |= {"similarity_negative": (-1, 1), "rank_h": (0, min(n - 1, size)), "std_z": (0, math.inf)}
    for name, (low, high) in ranges.items():
        assert low - 1e-6 <= figures[name] <= high + 1e-6, name


@pytest.mark.parametrize(
    ("h", "z"),
    [
        (torch.ones(2, 3), torch.ones(2, 3)),
        (torch.ones(5, 3), torch.ones(5, 3)),
        (torch.ones(4, 3), torch.ones(6, 3)),
        (torch.ones(6), torch.ones(6, 3)),
    ],
)
def test_what_is_not_two_views_of_two_images_is_refused(h: Tensor, z: Tensor) -> None:
    with pytest.raises(ValueError, match="health compares two views"):
        measure(h, z)


def test_no_graph_is_kept() -> None:
    z = features(4, 3).requires_grad_()
    assert measure(z, z)["alignment"] > 0
    assert z.grad is None
