"""Features in two dimensions: t-SNE, UMAP or the first two principal components.

Shapes: N points, D features.
"""

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.errors import ConfigError

MIN_POINTS = 5
"""Fewer have no neighbourhoods to be kept."""
MAX_PERPLEXITY = 30.0
UMAP_NEIGHBOURS = 15

PROJECTIONS = {"tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}
"""Ways and what they are called."""


def require(way: str) -> None:
    """See that a way of projection can be taken on this machine; nothing is computed.

    Raises:
        ConfigError: its library is not installed.
    """
    if way == "umap" and importlib.util.find_spec("umap") is None:
        raise ConfigError(
            "projection", "umap needs the package umap-learn; pip install 'simclr-tui[umap]', or choose tsne or pca"
        )


def project(features_ND: Tensor, way: str, seed: int) -> Tensor:
    """Points in the unit square, float32 (N, 2) on the CPU.

    Both axes have the same scale, so that distances on the map can be compared; the shorter axis is centred. Where
    all features are equal, every point is in the middle.

    Args:
        features_ND: floating and finite, N at least MIN_POINTS.
        way: one of PROJECTIONS. t-SNE and UMAP keep neighbourhoods and not distances between groups.
        seed: of t-SNE and UMAP.

    Raises:
        ValueError: the way is not known, or there are too few points.
    """
    if way not in PROJECTIONS or len(features_ND) < MIN_POINTS:
        raise ValueError(f"{len(features_ND)} points can't be put on a map by {way!r}; give {MIN_POINTS} or more")
    features_ND = features_ND.float().cpu()
    if bool((features_ND == features_ND[0]).all()):
        return torch.full((len(features_ND), 2), 0.5)
    ways: dict[str, Callable[[Tensor, int], Tensor]] = {"tsne": _tsne, "umap": _umap, "pca": _principal}
    return _to_unit_square(ways[way](features_ND, seed))


def principal_components(features_ND: Tensor) -> Tensor:
    """Scores on the two components of largest variance, float64 (N, 2).

    The sign of a component is free; the one is taken in which its largest loading is positive, as scikit-learn does.
    """
    centred_ND = features_ND.double() - features_ND.double().mean(dim=0)
    _, axes_DD = torch.linalg.eigh(centred_ND.T @ centred_ND)
    loadings_DR = axes_DD[:, -2:].flip(1)
    signs_R = loadings_DR.gather(0, loadings_DR.abs().argmax(dim=0, keepdim=True)).sign()
    scores_NR = centred_ND @ (loadings_DR * signs_R)
    # One feature alone has one component; the second axis is then empty.
    return F.pad(scores_NR, (0, 2 - scores_NR.shape[1]))


def _principal(features_ND: Tensor, _seed: int) -> Tensor:
    return principal_components(features_ND)


def _tsne(features_ND: Tensor, seed: int) -> Tensor:
    """Barnes-Hut t-SNE (van der Maaten 2014) from the principal components, by scikit-learn."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    start_N2 = principal_components(features_ND)
    start_N2 = start_N2 / start_N2[:, 0].std() * 1e-4
    way = TSNE(
        perplexity=min(MAX_PERPLEXITY, (len(features_ND) - 1) / 3),
        init=start_N2.float().numpy(),
        learning_rate="auto",
        random_state=seed,
    )
    # The job's threads and not all cores: a training run may be at work beside it.
    with threadpool_limits(limits=torch.get_num_threads()):
        return torch.from_numpy(way.fit_transform(features_ND.numpy()))


def _umap(features_ND: Tensor, seed: int) -> Tensor:
    """UMAP (McInnes, Healy and Melville 2018, arXiv 1802.03426), by umap-learn on one thread, as a seed demands."""
    with warnings.catch_warnings():
        # Of its own and numba's deprecations, which no user can mend.
        warnings.simplefilter("ignore")
        from umap import UMAP

        way: Any = UMAP(n_neighbors=min(UMAP_NEIGHBOURS, len(features_ND) - 1), random_state=seed, n_jobs=1, init="pca")
        return torch.from_numpy(way.fit_transform(features_ND.numpy()))


def _to_unit_square(points_N2: Tensor) -> Tensor:
    low_2, high_2 = points_N2.aminmax(dim=0)
    span = (high_2 - low_2).max()
    return ((points_N2 - (low_2 + high_2) / 2) / span + 0.5).clamp(0, 1).float()
