"""Against scikit-learn."""

import pytest
import torch
from sklearn.metrics import top_k_accuracy_score

from trainer.accuracy import top_accuracy


@pytest.mark.parametrize("classes", [3, 5, 10])
def test_shares_are_scikit_learns(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    logits, labels = torch.randn(200, classes, generator=generator), torch.randint(classes, (200,), generator=generator)
    top1, top5 = top_accuracy(logits, labels)
    names = list(range(classes))
    assert top1 == pytest.approx(top_k_accuracy_score(labels, logits, k=1, labels=names))
    expected = top_k_accuracy_score(labels, logits, k=5, labels=names) if classes > 5 else 1.0
    assert top5 == pytest.approx(expected)
