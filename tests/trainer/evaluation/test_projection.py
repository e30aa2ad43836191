"""Maps: principal components against scikit-learn, and what every way of projection promises."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_info
from torch import Tensor

from trainer.errors import ConfigError
from trainer.evaluation.projection import MIN_POINTS, principal_components, project, require

WAYS = ("tsne", "pca")
"""Those that need no package that may be absent."""


def clusters(points: int, features: int = 10, *, groups: int = 3, distance: float = 20.0) -> tuple[Tensor, Tensor]:
    """Points of some groups that lie apart, and which group each is of."""
    generator = torch.Generator().manual_seed(points)
    group_N = torch.arange(points) % groups
    centre_GD = distance * torch.randn(groups, features, generator=generator)
    return centre_GD[group_N] + torch.randn(points, features, generator=generator), group_N


@pytest.mark.parametrize(("points", "features"), [(40, 12), (8, 30), (20, 2)], ids=["tall", "wide", "flat"])
def test_principal_components_are_those_of_scikit_learn_with_the_same_signs(points: int, features: int) -> None:
    x_ND, _ = clusters(points, features)
    expected = PCA(n_components=2, svd_solver="full").fit_transform(x_ND.double().numpy())
    np.testing.assert_allclose(principal_components(x_ND).numpy(), expected, rtol=1e-6, atol=1e-6)


def test_one_feature_has_one_component() -> None:
    x_ND = torch.tensor([[1.0], [3.0], [8.0]])
    assert principal_components(x_ND).tolist() == [[-3.0, 0.0], [-1.0, 0.0], [4.0, 0.0]]


@pytest.mark.parametrize("way", WAYS)
def test_a_map_fills_the_unit_square_and_keeps_groups_together(way: str) -> None:
    x_ND, group_N = clusters(60)
    points_N2 = project(x_ND, way, seed=0)
    assert points_N2.dtype == torch.float32
    assert points_N2.shape == (60, 2)
    assert 0 <= points_N2.min() <= points_N2.max() <= 1
    low_2, high_2 = points_N2.aminmax(dim=0)
    assert (high_2 - low_2).max() == pytest.approx(1)
    torch.testing.assert_close((low_2 + high_2) / 2, torch.full((2,), 0.5))
    nearby = KNeighborsClassifier(6).fit(points_N2.numpy(), group_N.numpy())
    assert nearby.score(points_N2.numpy(), group_N.numpy()) == 1.0


def test_both_axes_have_the_same_scale() -> None:
    x_ND = torch.tensor([[-2.0, 0.5], [2.0, -0.5], [-2.0, -0.5], [2.0, 0.5], [0.0, 0.0]])
    low_2, high_2 = project(x_ND, "pca", seed=0).aminmax(dim=0)
    assert sorted((high_2 - low_2).tolist()) == pytest.approx([0.25, 1.0])


@pytest.mark.parametrize("way", WAYS)
def test_the_same_seed_makes_the_same_map(way: str) -> None:
    x_ND, _ = clusters(30)
    assert torch.equal(project(x_ND, way, seed=3), project(x_ND, way, seed=3))


@pytest.mark.parametrize("way", WAYS)
def test_features_that_are_all_equal_lie_in_the_middle(way: str) -> None:
    assert project(torch.full((20, 4), 0.2), way, seed=0).tolist() == [[0.5, 0.5]] * 20


@pytest.mark.parametrize("way", WAYS)
def test_the_fewest_points_can_be_put_on_a_map_and_fewer_cannot(way: str) -> None:
    x_ND, _ = clusters(MIN_POINTS)
    assert bool(torch.isfinite(project(x_ND, way, seed=0)).all())
    with pytest.raises(ValueError, match="4 points can't be put on a map"):
        project(x_ND[:4], way, seed=0)


def test_duplicates_of_images_are_no_obstacle() -> None:
    x_ND, _ = clusters(12)
    assert bool(torch.isfinite(project(x_ND.repeat(3, 1), "tsne", seed=0)).all())


def test_tsne_gives_the_threads_back_that_it_was_limited_to() -> None:
    before = {library["filepath"]: library["num_threads"] for library in threadpool_info()}
    project(clusters(20)[0], "tsne", seed=0)
    after = {library["filepath"]: library["num_threads"] for library in threadpool_info()}
    assert {path: after[path] for path in before} == before


def test_umap_without_its_package_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ConfigError, match=r"--projection: umap needs .* pip install 'simclr-tui\[umap\]'") as refused:
        require("umap")
    assert refused.value.setting == "projection"
    require("tsne")
    require("pca")


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed")
def test_umap_keeps_groups_together_without_a_word() -> None:
    # Without its compiler, which takes longer than everything else; in a process of its own, as the switch is global.
    script = """
        import torch
        from tests.trainer.evaluation.test_projection import clusters
        from trainer.evaluation.projection import project, require
        require("umap")
        x_ND, group_N = clusters(18)
        points_N2 = project(x_ND, "umap", seed=0)
        assert torch.equal(points_N2, project(x_ND, "umap", seed=0))
        distance_NN = torch.cdist(points_N2, points_N2).fill_diagonal_(torch.inf)
        assert (group_N[distance_NN.argmin(dim=1)] == group_N).all()
    """
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=110, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
