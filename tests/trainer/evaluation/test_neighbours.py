"""Nearest neighbours, against scikit-learn, and the sheet that shows them."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from trainer.data.split import Split, TensorImages
from trainer.evaluation import neighbours
from trainer.evaluation.neighbour_sheet import choose_rows, draw
from trainer.evaluation.neighbours import Neighbours, chance_of_a_match, nearest


def directions(rows: int, features: int = 6, seed: int = 0) -> Tensor:
    """Rows of unit length."""
    return F.normalize(torch.randn(rows, features, generator=torch.Generator().manual_seed(seed)), dim=1)


def split(labels: list[int], classes: tuple[str, ...], shade: int = 100) -> Split:
    """Plain images of one shade."""
    images = TensorImages(torch.full((len(labels), 3, 16, 16), shade, dtype=torch.uint8))
    return Split("any", images, torch.tensor(labels), classes)


def test_neighbours_and_cosines_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    bank_MD, queries_ND = directions(50), directions(13, seed=1)
    reference = NearestNeighbors(n_neighbors=7, metric="cosine").fit(bank_MD.numpy())
    distance, index = reference.kneighbors(queries_ND.numpy())
    monkeypatch.setattr(neighbours, "CHUNK_BYTES", 20 * 50 * 4)  # four queries at a time
    found = nearest(bank_MD, queries_ND, 7)
    np.testing.assert_array_equal(found.index_Nk.numpy(), index)
    np.testing.assert_allclose(found.similarity_Nk.numpy(), 1 - distance, atol=1e-6)


def test_of_equally_near_images_the_earlier_comes_first() -> None:
    bank_MD = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert nearest(bank_MD, bank_MD[1:2], 3).index_Nk.tolist() == [[1, 2, 3]]


def test_a_small_bank_gives_all_that_it_has() -> None:
    assert nearest(directions(3), directions(5), 8).index_Nk.shape == (5, 3)
    assert nearest(directions(3), directions(3), 8, is_same=True).index_Nk.shape == (3, 2)


def test_no_image_is_its_own_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "CHUNK_BYTES", 20 * 30 * 4)
    x_ND = directions(30).repeat_interleave(2, dim=0)[:30]
    found = nearest(x_ND, x_ND, 3, is_same=True)
    assert (found.index_Nk != torch.arange(30)[:, None]).all()
    assert found.index_Nk[0, 0] == 1, "a copy is"


def test_classes_are_compared_by_name() -> None:
    queries, bank = split([0, 1], ("cat", "dog")), split([0, 1, 2], ("ant", "cat", "dog"))
    found = Neighbours(torch.tensor([[0, 1, 2], [0, 1, 2]]), torch.ones(2, 3))
    assert found.labels(queries, bank).tolist() == [[-1, 0, 1]] * 2
    assert found.is_same_class(queries, bank).tolist() == [[False, True, False], [False, False, True]]


def test_chance_counts_both_splits() -> None:
    queries, bank = split([0, 0, 0, 1], ("cat", "dog")), split([0, 1, 1, 1, 2], ("dog", "cat", "ant"))
    pairs = [queries.classes[q] == bank.classes[b] for q in queries.labels for b in bank.labels]
    assert chance_of_a_match(queries, bank) == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize(
    ("classes", "each", "rows"), [(1, 40, 12), (2, 40, 4), (6, 9, 12), (7, 9, 7), (30, 4, 12), (3, 1, 3)]
)
def test_a_sheet_has_one_or_two_images_of_each_class(classes: int, each: int, rows: int) -> None:
    labels_N = torch.arange(classes).repeat(each)
    chosen = choose_rows(labels_N, seed=0)
    assert len(chosen) == len(set(chosen.tolist())) == rows
    assert (labels_N[chosen].sort().values == labels_N[chosen]).all()
    assert len(labels_N[chosen].unique()) == min(classes, 12)
    assert torch.equal(chosen, choose_rows(labels_N, seed=0))


def test_frames_tell_the_same_class_from_another(tmp_path: Path) -> None:
    queries, bank = split([0], ("cat",), shade=100), split([0, 1], ("cat", "dog"), shade=200)
    draw(queries, bank, Neighbours(torch.tensor([[1, 0]]), torch.ones(1, 2)), 0, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    areas = {colour: (pixels == colour).all(axis=2).sum() for colour in ((0, 114, 178), (213, 94, 0), (100,) * 3)}
    blue, vermilion, image = areas.values()
    assert blue > 1.5 * vermilion > 0
    assert 2 * image == pytest.approx((pixels == (200, 200, 200)).all(axis=2).sum(), rel=0.01)
