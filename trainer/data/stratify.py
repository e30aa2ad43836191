"""Divisions of a labelled split that keep the share of each class, fixed by a seed."""

import torch


def stratified_split(labels: torch.Tensor, fraction: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Hold out a part of every class.

    Args:
        labels: int64 (N,), one for each image.
        fraction: part of each class that is held out, above 0 and below 1; a class of two images or more always
            keeps one on either side, and a class of one image stays in the rest.
        seed: the same seed and labels give the same split on any machine.

    Returns:
        Indices of the rest and of what is held out, int64, each in rising order.

    Raises:
        ValueError: the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; give one above 0 and below 1")
    held_out = []
    for members in _shuffled_classes(labels, seed):
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held_out.append(members[:count])
    mask_N = torch.zeros(len(labels), dtype=torch.bool)
    mask_N[torch.cat(held_out)] = True
    return torch.nonzero(~mask_N).flatten(), torch.nonzero(mask_N).flatten()


def stratified_folds(labels: torch.Tensor, k: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Deal every class over k folds whose sizes differ by at most one image.

    Args:
        labels: int64 (N,), one for each image.
        k: number of folds, from 2 to N.
        seed: the same seed and labels give the same folds on any machine.

    Returns:
        For each fold the indices of the rest and of the fold, int64, each in rising order; every image is in
        exactly one fold.

    Raises:
        ValueError: there are fewer than 2 folds, or fewer images than folds.
    """
    if not 2 <= k <= len(labels):
        raise ValueError(f"{len(labels)} images can't be dealt over {k} folds; give from 2 to that many")
    # Dealt in one go: the next class goes on at the fold where the last one ended.
    fold_N = torch.empty(len(labels), dtype=torch.int64)
    fold_N[torch.cat(_shuffled_classes(labels, seed))] = torch.arange(len(labels)) % k
    return [(torch.nonzero(fold_N != fold).flatten(), torch.nonzero(fold_N == fold).flatten()) for fold in range(k)]


def has_pair_of_a_class(labels: torch.Tensor) -> bool:
    """Whether any class has two images, so that one of them can be held out."""
    return len(labels) > len(labels.unique())


def _shuffled_classes(labels: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """Indices of each class's images, shuffled; classes in rising order of label."""
    labels = labels.cpu()
    generator = torch.Generator().manual_seed(seed)
    classes = []
    for label in torch.bincount(labels).nonzero().flatten():
        members = torch.nonzero(labels == label).flatten()
        classes.append(members[torch.randperm(len(members), generator=generator)])
    return classes
