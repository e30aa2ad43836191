"""The drawn shapes: their bits, their balance, and what can't be read from them."""

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainer.data import shapes
from trainer.data.outlines import OUTLINES

CHANCE_AT_MOST = 0.14
"""Ten classes and 2,000 test images: chance is 0.10 with a standard deviation of 0.007."""


def indices(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize("size", [16, 32, 96, 37])
def test_images_have_the_size_asked_for(size: int) -> None:
    split = shapes.open_split("train", size, per_class=2)
    assert split.images.shape == (3, size, size)
    taken = split.images.take(range(20))
    assert taken.shape == (20, 3, size, size)
    assert taken.dtype == torch.uint8


@pytest.mark.parametrize("size", [32, 37, 96])
def test_an_image_has_the_same_bits_whatever_the_batch(size: int) -> None:
    images = shapes.open_split("train", size).images
    together = images.take(range(150))
    for index in (0, 1, 9, 63, 64, 149):
        assert torch.equal(images.take([index])[0], together[index])
    order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    assert torch.equal(images.take(order), together[order])


def test_pictures_are_those_of_this_version() -> None:
    """A change of the drawing must raise `_VERSION` with this digest, so that runs on other pictures are told apart."""
    drawn = b"".join(shapes.draw(name, np.arange(10), 32).tobytes() for name in shapes.SPLITS)
    assert (shapes._VERSION, hashlib.sha256(drawn).hexdigest()) == (
        1,
        "7caa861738c11b48e55b52abe9e789f03239755fc0c00d058552a2c484465399",
    )


def test_splits_show_other_images() -> None:
    train, test = (shapes.open_split(name, 32).images.take(range(50)) for name in shapes.SPLITS)
    assert not any(torch.equal(image, other) for image, other in zip(train, test, strict=True))


def test_no_image_is_drawn_twice() -> None:
    images = shapes.open_split("train", 16, per_class=100).images.take(range(1000)).flatten(1)
    assert len({image.numpy().tobytes() for image in images}) == 1000


def test_labels_go_round_the_classes() -> None:
    split = shapes.open_split("test", 32, per_class=3)
    assert split.labels.tolist() == list(range(10)) * 3
    assert len(split.classes) == 10
    assert len(shapes.open_split("train", 32)) == 5000
    assert len(shapes.open_split("test", 32)) == 2000


def test_more_images_can_be_asked_for_and_begin_with_the_same() -> None:
    few, many = (shapes.open_split("train", 32, per_class=count).images for count in (10, 1000))
    assert len(many) == 10_000
    assert torch.equal(few.take(range(100)), many.take(range(100)))


@pytest.mark.parametrize("label", range(10), ids=[outline.name for outline in OUTLINES])
def test_every_outline_has_the_area_it_claims_and_reaches_no_farther_than_the_star(label: int) -> None:
    outline = OUTLINES[label]
    along = (np.arange(1500) + 0.5) / 1500 * 4 - 2
    x, y = (axis.astype(np.float32) for axis in np.meshgrid(along, along))
    inside = outline.distance(x, y) < 0
    assert inside.mean() * 16 == pytest.approx(outline.area, rel=5e-3)
    reach = np.sqrt(x[inside] ** 2 + y[inside] ** 2).max() / math.sqrt(outline.area)
    assert reach <= shapes._REACH
    assert abs(x[inside].mean()) < 1e-2
    assert abs(y[inside].mean()) < 1e-2


def test_shapes_lie_within_the_image_and_cover_the_same_area() -> None:
    covered = shapes.coverage("train", np.arange(2000), 96)
    border = np.concatenate([covered[:, 0], covered[:, -1], covered[:, :, 0], covered[:, :, -1]], axis=1)
    assert border.max() == 0
    areas = covered.mean(axis=(1, 2)).reshape(-1, 10).mean(axis=0)
    assert areas.max() / areas.min() < 1.06


@pytest.fixture(params=["logistic regression", "forest"])
def classifier(request: pytest.FixtureRequest) -> Any:
    """A linear and a non-linear classifier."""
    if request.param == "forest":
        return RandomForestClassifier(40, min_samples_leaf=5, random_state=0)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def accuracy(classifier: Any, features: npt.NDArray[np.float64]) -> float:
    """Accuracy on the last 2,000 images of a classifier fitted on those before."""
    labels = np.arange(len(features)) % 10
    classifier.fit(features[:-2000], labels[:-2000])
    return float(classifier.score(features[-2000:], labels[-2000:]))


@pytest.fixture(scope="module")
def mean_colours() -> npt.NDArray[np.float64]:
    """Mean red, green and blue of 5,000 images."""
    drawn = shapes.open_split("train", 32, per_class=500).images.take(range(5000))
    means: npt.NDArray[np.float64] = drawn.double().mean(dim=(2, 3)).numpy()
    return means


@pytest.fixture(scope="module")
def centroids() -> npt.NDArray[np.float64]:
    """Centroid (x, y) of the shape in 5,000 images."""
    covered = shapes.coverage("train", np.arange(5000), 32).astype(np.float64)
    along = np.arange(32)
    moments = [(covered * along).sum(axis=(1, 2)), (covered * along[:, None]).sum(axis=(1, 2))]
    found: npt.NDArray[np.float64] = np.stack(moments, axis=1) / covered.sum(axis=(1, 2))[:, None]
    return found


def test_the_class_cannot_be_read_from_the_mean_colour(classifier: Any, mean_colours: npt.NDArray[np.float64]) -> None:
    assert accuracy(classifier, mean_colours) <= CHANCE_AT_MOST


def test_the_class_cannot_be_read_from_the_place(classifier: Any, centroids: npt.NDArray[np.float64]) -> None:
    assert accuracy(classifier, centroids) <= CHANCE_AT_MOST


def test_such_a_classifier_reads_what_is_there(classifier: Any, mean_colours: npt.NDArray[np.float64]) -> None:
    """The two tests above can fail: a colour that gives the class away is found."""
    tinted = mean_colours + (np.arange(5000) % 10)[:, None] * 60
    assert accuracy(classifier, tinted) > 2 * CHANCE_AT_MOST


def test_the_fingerprint_changes_with_the_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shapes.fingerprint()
    assert before == shapes.fingerprint()
    monkeypatch.setattr(shapes, "_NOISE", 0.5)
    assert shapes.fingerprint() != before
