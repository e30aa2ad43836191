"""Which loss a method takes, and what it is given."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.config import PretrainConfig
from trainer.loss import loss_and_metrics, nt_xent, supcon
from trainer.objective import objective

N = 7
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 2])


def config(**settings: Any) -> PretrainConfig:
    return PretrainConfig(temperature=0.3, **settings)


def output(views: int, size: int = 5) -> Tensor:
    return torch.randn(views * N, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("views", [2, 3])
def test_simclr_takes_nt_xent_and_never_looks_at_a_label(views: int) -> None:
    z, settings = output(views), config(views=views)
    loss, metrics = objective(z, settings, None)
    assert torch.equal(loss, nt_xent(z, 0.3, views))
    assert objective(z, settings, LABELS) == (loss, metrics)
    assert not torch.equal(loss, supcon(z, LABELS, 0.3, views))


@pytest.mark.parametrize("views", [2, 3])
def test_supcon_takes_the_labels(views: int) -> None:
    z = output(views)
    loss, metrics = objective(z, config(method="supcon", views=views), LABELS)
    assert torch.equal(loss, supcon(z, LABELS, 0.3, views))
    assert metrics == loss_and_metrics(z, 0.3, views, LABELS)[1]


def test_without_negatives_only_the_positives_are_drawn_together() -> None:
    z = output(2)
    loss, _ = objective(z, config(negatives=False), None)
    torch.testing.assert_close(loss, -F.cosine_similarity(z[:N], z[N:]).mean() / 0.3)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_every_view_of_an_image_is_classified_as_its_label(views: int) -> None:
    logits = output(views)
    loss, metrics = objective(logits, config(method="cross-entropy", views=views), LABELS)
    one_by_one = [F.cross_entropy(logits[i : i + 1], LABELS[i % N : i % N + 1]) for i in range(views * N)]
    torch.testing.assert_close(loss, torch.stack(one_by_one).mean())
    right = [int(logits[i].argmax()) == int(LABELS[i % N]) for i in range(views * N)]
    assert metrics.acc_top1.item() == pytest.approx(sum(right) / len(right))
    assert metrics.acc_top5.item() == 1


def test_the_temperature_does_not_reach_the_classifier() -> None:
    logits = output(1)
    first, second = (
        objective(logits, PretrainConfig(method="cross-entropy", views=1, temperature=t), LABELS)[0] for t in (0.1, 5.0)
    )
    assert torch.equal(first, second)
