"""Stratified divisions, beside scikit-learn's counts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from trainer.data.stratify import stratified_folds, stratified_split

LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)[torch.randperm(100, generator=torch.Generator().manual_seed(3))]


def counts(labels: torch.Tensor) -> list[int]:
    return torch.bincount(labels, minlength=3).tolist()


def test_a_fifth_of_each_class_is_held_out_as_scikit_learn_does() -> None:
    rest, held_out = stratified_split(LABELS, 0.2, seed=0)
    theirs = StratifiedShuffleSplit(1, test_size=0.2, random_state=0).split(np.zeros(100), LABELS.numpy())
    their_rest, their_held_out = next(iter(theirs))
    assert counts(LABELS[held_out]) == counts(LABELS[torch.from_numpy(their_held_out)]) == [10, 6, 4]
    assert counts(LABELS[rest]) == counts(LABELS[torch.from_numpy(their_rest)])


def test_a_seed_fixes_the_split_and_another_one_changes_it() -> None:
    first, again, other = (stratified_split(LABELS, 0.2, seed)[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_members_are_chosen_at_random_and_not_by_place() -> None:
    labels = torch.zeros(1000, dtype=torch.int64)
    _, held_out = stratified_split(labels, 0.5, seed=0)
    assert 200 < int((held_out < 500).sum()) < 300


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0.01, 0.99), st.integers(0, 5))
def test_every_image_is_on_one_side_and_every_class_of_two_on_both(words: list[int], part: float, seed: int) -> None:
    labels = torch.tensor(words)
    rest, held_out = stratified_split(labels, part, seed)
    assert torch.equal(torch.cat([rest, held_out]).sort().values, torch.arange(len(words)))
    assert torch.equal(rest, rest.sort().values)
    assert torch.equal(held_out, held_out.sort().values)
    for label in set(words):
        size = words.count(label)
        inside = int((labels[held_out] == label).sum())
        assert (inside == 0) if size == 1 else (1 <= inside <= size - 1)
        assert abs(inside - part * size) <= 1


@pytest.mark.parametrize("k", [2, 5, 10])
def test_folds_hold_as_many_of_each_class_as_scikit_learns(k: int) -> None:
    folds = stratified_folds(LABELS, k, seed=0)
    theirs = StratifiedKFold(k, shuffle=True, random_state=0).split(np.zeros(100), LABELS.numpy())
    for (rest, fold), (_, their_fold) in zip(folds, theirs, strict=True):
        assert len(fold) == len(their_fold)
        for ours, other in zip(counts(LABELS[fold]), counts(LABELS[torch.from_numpy(their_fold)]), strict=True):
            assert abs(ours - other) <= 1
        assert torch.equal(torch.cat([rest, fold]).sort().values, torch.arange(100))
    assert torch.equal(torch.cat([fold for _, fold in folds]).sort().values, torch.arange(100))


def test_folds_differ_by_at_most_one_image_even_where_no_class_divides_evenly() -> None:
    labels = torch.arange(53) % 7
    sizes = [len(fold) for _, fold in stratified_folds(labels, 5, seed=0)]
    assert sorted(sizes) == [10, 10, 11, 11, 11]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_a_fraction_that_leaves_a_side_empty_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        stratified_split(LABELS, fraction, seed=0)


@pytest.mark.parametrize("k", [0, 1, 101])
def test_an_impossible_number_of_folds_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="folds"):
        stratified_folds(LABELS, k, seed=0)
