from collections import Counter

import pytest
import torch
from scipy import stats
from torch import Tensor

from tests.trainer.evaluation.subjects import colours, make_subject
from trainer import randomness
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation.subsets import class_counts, made_before, nested_subset
from trainer.store import RunStore

LABELS = torch.tensor([0, 2, 1, 1, 0, 2, 2, 0, 1, 2, 2, 1])


def drawn(seed: int, counts: list[int], labels: Tensor = LABELS) -> list[int]:
    chosen: list[int] = nested_subset(labels, counts, randomness.generator(seed, "subset")).tolist()
    return chosen


def slow_subset(labels: Tensor, counts: list[int], generator: torch.Generator) -> set[int]:
    """Shuffle each class like a deck of cards and take the first ones."""
    chosen: set[int] = set()
    for label, count in enumerate(counts):
        deck = [index for index, own in enumerate(labels.tolist()) if own == label]
        order = torch.randperm(len(deck), generator=generator).tolist()
        chosen |= {deck[place] for place in order[:count]}
    return chosen


def test_counts_of_each_class_include_those_without_an_image() -> None:
    assert class_counts(LABELS, 4) == [3, 4, 5, 0]


@pytest.mark.parametrize("counts", [[1, 1, 1], [2, 3, 1], [3, 4, 5], [0, 2, 0]])
@pytest.mark.parametrize("seed", range(3))
def test_a_subset_is_the_first_of_each_shuffled_class(counts: list[int], seed: int) -> None:
    found = drawn(seed, counts)
    assert set(found) == slow_subset(LABELS, counts, randomness.generator(seed, "subset"))
    assert found == sorted(set(found))
    assert Counter(LABELS[found].tolist()) == Counter({label: count for label, count in enumerate(counts) if count})


def test_a_smaller_subset_lies_within_a_larger_one_of_the_same_draw() -> None:
    for seed in range(5):
        nested = [set(drawn(seed, [count] * 3)) for count in (1, 2, 3)]
        assert nested[0] < nested[1] < nested[2]


def test_draws_differ_and_are_not_the_first_images() -> None:
    draws = {tuple(drawn(seed, [1, 1, 1])) for seed in range(20)}
    assert len(draws) > 10
    assert drawn(3, [2, 2, 2]) == drawn(3, [2, 2, 2])


def test_every_image_of_a_class_is_as_likely_as_the_others() -> None:
    labels = torch.arange(40) % 2
    counts = Counter(index for seed in range(600) for index in drawn(seed, [5, 5], labels))
    assert stats.chisquare([counts[index] for index in range(40)]).pvalue > 1e-4
    first = Counter(index for _ in range(600) for index in range(10))
    assert stats.chisquare([first[index] for index in range(40)]).pvalue < 1e-4


def test_what_this_job_put_is_told_from_other_jobs_and_steps(store: RunStore) -> None:
    split = colours("train", (2, 2))
    subject = make_subject(store, EvaluateConfig(), train=split, test=split)
    row = {"protocol": "knn", "layer": "h", "top1": 0.5, "images": 4}
    subject.put([row, row | {"layer": "z", "job_id": "other"}, row | {"layer": "g1", "step": 9}])
    assert [one.layer for one in made_before(subject)] == ["h"]
