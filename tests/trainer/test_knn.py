import math

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from trainer import knn
from trainer.errors import DataError, NonFiniteError
from trainer.knn import knn_accuracy

CLASSES = 7


def random_problem(
    seed: int, bank: int = 90, queries: int = 40, size: int = 6
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, size, generator=generator)
    labels = torch.randint(0, CLASSES, (bank + queries,), generator=generator)
    features = centres[labels] + 1.2 * torch.randn(bank + queries, size, generator=generator)
    return features[:bank], labels[:bank], features[bank:], labels[bank:]


def tied_problem(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of ±1 in four columns: cosines are exact multiples of a half, so most similarities tie."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randint(0, 2, (120, 4), generator=generator).float() * 2 - 1
    labels = torch.randint(0, CLASSES, (120,), generator=generator)
    return features[:80], labels[:80], features[80:], labels[80:]


def slow_accuracy(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, query_labels: Tensor, k: int
) -> tuple[float, float]:
    """The documented rule with lists: sort, count, order classes by (votes, first neighbour)."""
    top1 = top5 = 0
    for query, label in zip(queries.tolist(), query_labels.tolist(), strict=True):
        similarities = [
            math.fsum(a * b for a, b in zip(query, row, strict=True)) / (math.hypot(*query) * math.hypot(*row))
            for row in bank.tolist()
        ]
        nearest = sorted(range(len(bank)), key=lambda i: (-similarities[i], i))[:k]
        votes = [int(bank_labels[i]) for i in nearest]
        ranking = sorted(set(votes), key=lambda c: (-votes.count(c), votes.index(c)))
        top1 += label == ranking[0]
        top5 += label in ranking[:5]
    return top1 / len(queries), top5 / len(queries)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 2, 5, 20, 90])
def test_accuracy_is_that_of_the_slow_reference(seed: int, k: int) -> None:
    problem = random_problem(seed)
    assert knn_accuracy(*problem, k, classes=CLASSES) == slow_accuracy(*problem, k)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 2, 3, 10, 20])
def test_ties_are_broken_as_documented(seed: int, k: int) -> None:
    problem = tied_problem(seed)
    assert knn_accuracy(*problem, k, classes=CLASSES) == slow_accuracy(*problem, k)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_predictions_are_scikit_learns_where_no_vote_ties(k: int) -> None:
    bank, bank_labels, queries, _ = random_problem(0, bank=300, queries=200)
    reference = KNeighborsClassifier(k, metric="cosine").fit(bank.numpy(), bank_labels.numpy())
    shares = torch.from_numpy(reference.predict_proba(queries.numpy()))
    best, second = shares.topk(2, dim=1).values.unbind(dim=1)
    clear = best > second + 1e-6
    assert clear.sum() > 100
    predicted = torch.from_numpy(reference.predict(queries.numpy()))
    assert knn_accuracy(bank, bank_labels, queries[clear], predicted[clear], k, classes=CLASSES)[0] == 1
    others = (predicted[clear] + 1) % CLASSES
    assert knn_accuracy(bank, bank_labels, queries[clear], others, k, classes=CLASSES)[0] == 0


def test_a_tie_between_classes_goes_to_the_nearest_neighbour() -> None:
    bank = torch.tensor([[1.0, 0.3], [1.0, 0.2], [1.0, 0.1], [1.0, 0.4]])
    labels = torch.tensor([0, 0, 3, 3])
    query = torch.tensor([[1.0, 0.0]])
    assert knn_accuracy(bank, labels, query, torch.tensor([3]), 4, classes=CLASSES) == (1, 1)
    assert knn_accuracy(bank, labels, query, torch.tensor([0]), 4, classes=CLASSES) == (0, 1)


def test_top_5_counts_only_classes_with_a_vote() -> None:
    bank = torch.eye(3)
    labels = torch.tensor([0, 1, 2])
    queries = torch.ones(4, 3)
    truth = torch.tensor([0, 1, 2, 4])
    assert knn_accuracy(bank, labels, queries, truth, 3, classes=5)[1] == 3 / 4


def test_the_sixth_class_is_not_among_the_first_five() -> None:
    bank = torch.tensor([[1.0, 0.1 * i] for i in range(6)])
    queries = torch.tensor([[1.0, 0.0]]).expand(6, -1)
    assert knn_accuracy(bank, torch.arange(6), queries, torch.arange(6), 6, classes=6) == (1 / 6, 5 / 6)


def test_the_length_of_a_feature_does_not_matter() -> None:
    bank, bank_labels, queries, labels = random_problem(1)
    expected = knn_accuracy(bank, bank_labels, queries, labels, classes=CLASSES)
    longer = bank * torch.linspace(0.01, 100, len(bank))[:, None]
    assert knn_accuracy(longer, bank_labels, queries * 7, labels, classes=CLASSES) == expected


def test_chunks_do_not_change_the_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem(2)
    expected = knn_accuracy(*problem, classes=CLASSES)
    monkeypatch.setattr(knn, "CHUNK_BYTES", 1)
    assert knn_accuracy(*problem, classes=CLASSES) == expected


def test_a_bank_smaller_than_k_votes_as_a_whole() -> None:
    bank, bank_labels, queries, labels = random_problem(3, bank=8)
    assert knn_accuracy(bank, bank_labels, queries, labels, 20, classes=CLASSES) == slow_accuracy(
        bank, bank_labels, queries, labels, 8
    )


def test_features_without_direction_are_all_equally_far() -> None:
    bank, bank_labels, queries, labels = random_problem(4)
    accuracy, _ = knn_accuracy(bank * 0, bank_labels, queries, labels, 1, classes=CLASSES)
    assert accuracy == (labels == bank_labels[0]).double().mean().item()


def test_an_unlabelled_or_empty_set_is_refused() -> None:
    bank, bank_labels, queries, labels = random_problem(0)
    with pytest.raises(DataError, match="the bank has -1 to -1; choose a labelled split"):
        knn_accuracy(bank, torch.full_like(bank_labels, -1), queries, labels, classes=CLASSES)
    with pytest.raises(DataError, match="the queries has 0 to 6"):
        knn_accuracy(bank, bank_labels.clamp_max(3), queries, labels, classes=4)
    with pytest.raises(DataError, match="the queries has none"):
        knn_accuracy(bank, bank_labels, queries[:0], labels[:0], classes=CLASSES)
    with pytest.raises(ValueError, match="k is 0"):
        knn_accuracy(bank, bank_labels, queries, labels, 0, classes=CLASSES)


def test_features_that_are_not_finite_are_refused() -> None:
    bank, bank_labels, queries, labels = random_problem(0)
    queries[3, 1] = math.nan
    with pytest.raises(NonFiniteError, match="NaN"):
        knn_accuracy(bank, bank_labels, queries, labels, classes=CLASSES)
