"""Subsets of the labelled images with so many of each class, drawn at random, and what a job has scored on them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.evaluation.subject import Subject
from trainer.store.records import Evaluation


def class_counts(labels_N: Tensor, classes: int) -> list[int]:
    """Labelled images of each class, by label."""
    counts: list[int] = torch.bincount(labels_N, minlength=classes).tolist()
    return counts


def nested_subset(labels_N: Tensor, counts: Sequence[int], generator: torch.Generator) -> Tensor:
    """So many images of each class, each subset of that size equally likely.

    Every class is shuffled whole and its first images are taken, so that with the same generator's seed a smaller
    subset lies within a larger one. Taking the first images of the file, as the UvA tutorial does, would be one draw
    in the order of whoever made the data set.

    Args:
        labels_N: integers from 0 to K − 1.
        counts: images of each class by label, K numbers, none above what the class has.
        generator: on the CPU; it is moved by the same amount whatever the counts.

    Returns:
        Indices into the labels, int64, in rising order.
    """
    chosen = []
    for label, count in enumerate(counts):
        members = torch.nonzero(labels_N == label).flatten()
        chosen.append(members[torch.randperm(len(members), generator=generator)[:count]])
    return torch.cat(chosen).sort().values


def made_before(subject: Subject) -> list[Evaluation]:
    """The figures that this very job has in the store for these weights: all of them at its end, and those that need
    not be made again where it was interrupted."""
    rows = subject.job.store.evaluations(subject.source_id)
    return [row for row in rows if row.job_id == subject.job.run.id and row.step == subject.step]
