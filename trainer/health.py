"""Figures that say whether the features still tell images apart; pure functions of what the network put out.

They are computed once in a while from two augmented views of n fixed images in eval mode. Shapes: n images, M = 2n
views with view 1 of all images before view 2, D features of h, P size of z.

Two groups answer two questions. Alignment and positive similarity compare the two views of an image. All others say
how far images differ, and look at their first views alone, so that no figure depends on how alike two views are.
Arithmetic is float64, on the device of the features; scaling all features of an image leaves every figure of
directions as it was, even where a float32 square would overflow or vanish.
"""

import math

import torch
from torch import Tensor

FIGURES = (
    "alignment",
    "uniformity",
    "similarity_positive",
    "similarity_negative",
    "rank_h",
    "rank_z",
    "std_h",
    "std_z",
    "spread_h",
)
"""What `measure` gives, by the names that the store's `metrics` have."""

UNIFORMITY_T = 2.0
"""The t of Wang and Isola's uniformity, the value of their experiments."""

ROUNDING = 1e-6
"""Differences below this part of the features themselves are what float32 leaves of equal ones, and count as none."""


@torch.no_grad()
def measure(h_MD: Tensor, z_MP: Tensor) -> dict[str, float]:
    """All figures of one network, in `FIGURES`' order; finite for finite features, and NaN throughout otherwise.

    Args:
        h_MD: (2n, D), what the encoder puts out, any floating dtype.
        z_MP: (2n, P), what the projection head makes of it, on the same device.

    Raises:
        ValueError: there are not two views of n ≥ 2 images in both.
    """
    for name, features in (("h", h_MD), ("z", z_MP)):
        if features.ndim != 2 or len(features) != len(h_MD) or len(features) < 4 or len(features) % 2:
            raise ValueError(
                f"{name} has shape {tuple(features.shape)}, but health compares two views of two images or more; "
                "give (2n, features) of both h and z: view 1 of all images, then view 2"
            )
    if not bool(torch.isfinite(h_MD).all() & torch.isfinite(z_MP).all()):
        return dict.fromkeys(FIGURES, math.nan)
    n = len(h_MD) // 2
    u_MP = unit_rows(z_MP)
    figures = (
        alignment(u_MP),
        uniformity(u_MP[:n]),
        positive_similarity(u_MP),
        negative_similarity(u_MP),
        effective_rank(h_MD[:n]),
        effective_rank(z_MP[:n]),
        direction_std(unit_rows(h_MD[:n])),
        direction_std(u_MP[:n]),
        relative_spread(h_MD[:n]),
    )
    return dict(zip(FIGURES, torch.stack(figures).tolist(), strict=True))


def unit_rows(features: Tensor) -> Tensor:
    """The rows' directions, float64 and of length 1; a row of zeros has none and stays zero."""
    rows = features.double()
    largest = rows.abs().amax(dim=1, keepdim=True)
    rows = rows / torch.where(largest > 0, largest, 1.0)
    length = rows.norm(dim=1, keepdim=True)
    return rows / torch.where(length > 0, length, 1.0)


def alignment(u_MP: Tensor) -> Tensor:
    """Mean squared distance of the two views of an image, 0 (equal) to 4 (opposite).

    Wang and Isola 2020 (arXiv 2005.10242), L_align with α = 2.

    Args:
        u_MP: (2n, P), from `unit_rows`.
    """
    first_nP, second_nP = u_MP.chunk(2)
    return (first_nP - second_nP).square().sum(dim=1).mean()


def uniformity(u_nP: Tensor) -> Tensor:
    """Logarithm of the mean of exp(−2·d²) over all pairs of images; 0 (all equal) downwards.

    Wang and Isola 2020 (arXiv 2005.10242), L_uniform with t = 2. Directions spread evenly over a sphere of many
    dimensions come to about −4, and nothing is below −8.

    Args:
        u_nP: (n, P), one view of each image, from `unit_rows`.
    """
    n = len(u_nP)
    squares_n = u_nP.square().sum(dim=1)
    distances_nn = (squares_n[:, None] + squares_n[None, :] - 2 * (u_nP @ u_nP.T)).clamp(min=0)
    potential_nn = torch.exp(-UNIFORMITY_T * distances_nn)
    return ((potential_nn.sum() - potential_nn.diagonal().sum()) / (n * (n - 1))).log()


def positive_similarity(u_MP: Tensor) -> Tensor:
    """Mean cosine of the two views of an image, −1 to 1.

    Args:
        u_MP: (2n, P), from `unit_rows`.
    """
    first_nP, second_nP = u_MP.chunk(2)
    return (first_nP * second_nP).sum(dim=1).mean()


def negative_similarity(u_MP: Tensor) -> Tensor:
    """Mean cosine of views of different images, the negatives of NT-Xent, −1/(n − 1) to 1.

    From the length of the sum of all rows, which is the sum of all their products, so no matrix is made.

    Args:
        u_MP: (2n, P), from `unit_rows`.
    """
    by_image_nP = sum(u_MP.chunk(2))
    assert isinstance(by_image_nP, Tensor)
    n = len(by_image_nP)
    all_pairs = by_image_nP.sum(dim=0).square().sum()
    within_images = by_image_nP.square().sum()
    return (all_pairs - within_images) / (4 * n * (n - 1))


def effective_rank(features_nD: Tensor) -> Tensor:
    """In how many directions images differ: exp of the entropy of the singular values, 0 to min(n − 1, D).

    Roy and Vetterli 2007 ("The effective rank"), which Garrido et al. 2023 (RankMe, arXiv 2210.02885) apply to
    embeddings; singular values are divided by their sum. Those two leave the mean in. Here it is taken out first:
    what all images share tells none from another, yet it is one large singular value, so that features of a large
    mean (any h behind a ReLU) look poorer than they are, by an amount that says nothing of the images. What is lost
    is the sign of features bunched around one direction; `direction_std` is that sign.

    n images span no more than n − 1 directions: with n ≤ D the bound is the sample's and not the network's, so rank
    may only be compared between equal n. Images that are all equal, to float32's rounding, differ in 0 directions.

    Args:
        features_nD: (n, D), one view of each image, not normalised.
    """
    x_nD = features_nD.double()
    largest = x_nD.abs().max()
    x_nD = x_nD / torch.where(largest > 0, largest, 1.0)
    squared_floor = x_nD.square().sum() * ROUNDING**2
    x_nD = x_nD - x_nD.mean(dim=0)
    gram = x_nD @ x_nD.T if len(x_nD) <= x_nD.shape[1] else x_nD.T @ x_nD
    squares = torch.linalg.eigvalsh(gram)
    values = torch.where(squares > squared_floor, squares, 0.0).sqrt()
    shares = values / torch.where(values.any(), values.sum(), 1.0)
    rank: Tensor = torch.special.entr(shares).sum().exp() * values.any()
    return rank


def direction_std(u_nD: Tensor) -> Tensor:
    """How far directions are spread: 1 evenly over the sphere, 0 all the same.

    The standard deviation of each dimension over the images, averaged and multiplied by √D: Chen and He 2021
    (SimSiam, arXiv 2011.10566, figure 2), with the unbiased deviation of lightly's `std_of_l2_normalized`.

    Args:
        u_nD: (n, D), one view of each image, from `unit_rows`.
    """
    return u_nD.std(dim=0).mean() * math.sqrt(u_nD.shape[1])


def relative_spread(features_nD: Tensor) -> Tensor:
    """Distance of the images' features from their mean against their size, both root mean squares; 0 to 1.

    0 is one feature vector for all images: the network is dead, or the images are all the same. Lengths count here,
    so it also sees what differs in length alone.

    Args:
        features_nD: (n, D), one view of each image, not normalised.
    """
    x_nD = features_nD.double()
    largest = x_nD.abs().max()
    x_nD = x_nD / torch.where(largest > 0, largest, 1.0)
    size = x_nD.norm()
    spread: Tensor = (x_nD - x_nD.mean(dim=0)).norm() / torch.where(size > 0, size, 1.0)
    return spread
