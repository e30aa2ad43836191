"""What supervised methods train on, what is held out for their scores, and what is refused for want of labels."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.data_files import accept_any_digest, write_cifar10, write_folder, write_stl10
from trainer.config import PretrainConfig
from trainer.data import Dataset, cifar10, folder, load, shapes, stl10
from trainer.data.split import Indices, Split
from trainer.data.stratify import stratified_split
from trainer.errors import DataError, ExitCode

METHODS = ("supcon", "cross-entropy")
DATASETS = ("stl10", "cifar10", "shapes", "folder")


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dataset]:
    """Loads one of DATASETS by name: stl10 with 40 labelled images, cifar10 50, shapes 60 and a folder of 3 × 9."""
    accept_any_digest(monkeypatch)
    written: set[str] = set()

    def write(dataset: str) -> None:
        if dataset == "stl10":
            write_stl10(tmp_path, train=40, test=20, unlabeled=30)
        if dataset == "cifar10":
            write_cifar10(tmp_path)
        if dataset == "folder":
            write_folder(tmp_path / "own", classes=("ape", "bee", "cow"), train=9, test=2, unlabeled=4)

    def make(dataset: str, *, labelled_only: bool = False, **changes: Any) -> Dataset:
        if dataset not in written:
            write(dataset)
            written.add(dataset)
        name = f"folder:{tmp_path}/own" if dataset == "folder" else dataset
        limits = {"limit_per_class": 6, "limit_test_per_class": 1} if dataset == "shapes" else {}
        defaults = {"dataset": name, "data_dir": str(tmp_path), "image_size": 24, "num_workers": 0, **limits}
        config = PretrainConfig.from_values(defaults | changes)
        return load(config, lambda kind, message: pytest.fail(f"{kind}: {message}"), labelled_only=labelled_only)

    return make


def pixels(split: Split | None) -> list[bytes]:
    """Each image of a split as bytes, which tell the random images of these tests apart."""
    assert split is not None
    return [image.numpy().tobytes() for image in split.images.take(range(len(split)))]


@pytest.mark.parametrize(("cache", "hold_out"), [("none", 0.1), ("ram", 0.1), ("vram", 0.25), ("ram", 0.5)])
@pytest.mark.parametrize("dataset", DATASETS)
def test_what_is_trained_on_is_exactly_what_is_not_held_out(
    loaded: Callable[..., Dataset], dataset: str, cache: str, hold_out: float
) -> None:
    supervised = loaded(dataset, method="supcon", hold_out=hold_out, cache=cache)
    everything = loaded(dataset, cache=cache)
    assert supervised.train is not None
    assert supervised.validation is not None
    trained, held_out = pixels(supervised.pretrain), pixels(supervised.validation)
    whole = pixels(everything.train)
    assert len(set(whole)) == len(whole)
    assert set(trained).isdisjoint(held_out)
    assert sorted(trained + held_out) == sorted(whole) == sorted(pixels(supervised.train))
    assert not set(trained) & set(pixels(supervised.test))
    label_of = dict(zip(whole, supervised.train.labels.tolist(), strict=True))
    for split, images in ((supervised.pretrain, trained), (supervised.validation, held_out)):
        assert split.labels.tolist() == [label_of[image] for image in images]
        assert split.classes == supervised.train.classes
    totals, chosen = Counter(label_of.values()), Counter(supervised.validation.labels.tolist())
    assert chosen == {label: min(max(round(hold_out * n), 1), n - 1) for label, n in totals.items()}


@pytest.mark.parametrize("method", METHODS)
def test_what_is_held_out_depends_on_nothing_but_the_labels_and_the_part(
    loaded: Callable[..., Dataset], method: str
) -> None:
    """Else a run with another seed would be scored on other images."""
    first, second = (loaded("shapes", method=method, hold_out=0.2, seed=seed) for seed in (0, 77))
    assert pixels(first.validation) == pixels(second.validation)
    assert pixels(first.pretrain) == pixels(second.pretrain)
    rest, held_out = stratified_split(torch.arange(60) % 10, 0.2, seed=0)
    whole = pixels(first.train)
    assert pixels(first.validation) == [whole[index] for index in held_out.tolist()]
    assert pixels(first.pretrain) == [whole[index] for index in rest.tolist()]
    assert held_out.tolist() == PINNED


PINNED = [16, 20, 23, 24, 28, 31, 37, 52, 55, 59]
"""What is held out of shapes, six of each class, whatever the version: a resumed run must find the same images."""


@pytest.mark.parametrize("method", METHODS)
def test_with_nothing_held_out_all_labels_are_trained_on_and_none_validates(
    loaded: Callable[..., Dataset], method: str
) -> None:
    dataset = loaded("cifar10", method=method, hold_out=0)
    assert dataset.pretrain is dataset.train
    assert dataset.validation is None


@pytest.mark.parametrize("dataset", DATASETS)
def test_simclr_holds_nothing_out(loaded: Callable[..., Dataset], dataset: str) -> None:
    few, many = (loaded(dataset, method="simclr", hold_out=part) for part in (0.0, 0.5))
    assert pixels(few.pretrain) == pixels(many.pretrain)
    assert pixels(few.validation) == pixels(many.validation)


def test_images_are_held_out_of_those_that_the_limits_leave(loaded: Callable[..., Dataset]) -> None:
    dataset = loaded("cifar10", method="supcon", limit_per_class=4, limit_images=25, hold_out=0.4)
    whole = pixels(loaded("cifar10", limit_per_class=4).train)[:25]
    assert sorted(pixels(dataset.pretrain) + pixels(dataset.validation)) == sorted(whole)
    assert len(pixels(dataset.validation)) == 10
    assert dataset.train is not None
    assert len(dataset.train) == 40


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dataset", ["stl10", "folder"])
def test_a_supervised_method_opens_no_unlabelled_split(
    loaded: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch, dataset: str, method: str
) -> None:
    opened = spy_on_splits(monkeypatch)
    assert loaded(dataset, method=method).pretrain.name == "train"
    assert {name for name, _ in opened} == {"train", "test"}


@pytest.mark.parametrize(("cache", "split"), [("none", "auto"), ("ram", "unlabeled"), ("ram", "train+unlabeled")])
@pytest.mark.parametrize("dataset", DATASETS)
def test_an_evaluation_reads_labelled_images_alone(
    loaded: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch, dataset: str, cache: str, split: str
) -> None:
    opened = spy_on_splits(monkeypatch)
    dataset_of = loaded(dataset, cache=cache, split=split, labelled_only=True)
    for held in (dataset_of.train, dataset_of.test, dataset_of.pretrain):
        assert held is not None
        held.images.take(range(len(held)))
    assert {name for name, images in opened if images.reads} == {name for name, _ in opened} == {"train", "test"}


@pytest.mark.parametrize("dataset", ["stl10", "folder"])
def test_a_pretraining_run_does_read_the_unlabelled_images(
    loaded: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    """The control of the two tests above."""
    opened = spy_on_splits(monkeypatch)
    loaded(dataset, cache="ram")
    assert {name for name, _ in opened} == {"train", "test", "unlabeled"}


class CountedImages:
    """Images of another source, and how many of them were taken."""

    def __init__(self, split: Split) -> None:
        self.source = split.images
        self.reads = 0

    def __len__(self) -> int:
        return len(self.source)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.source.shape

    def take(self, indices: Indices) -> torch.Tensor:
        self.reads += len(indices)
        return self.source.take(indices)


def spy_on_splits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, CountedImages]]:
    """The splits that are opened from here on, by name, and what is read of them."""
    opened: list[tuple[str, CountedImages]] = []
    for reader in (stl10, cifar10, shapes, folder):
        original = reader.open_split

        def spied(*arguments: Any, original: Callable[..., Split] = original, **options: Any) -> Split:
            split = original(*arguments, **options)
            opened.append((split.name, CountedImages(split)))
            return Split(split.name, opened[-1][1], split.labels, split.classes)

        monkeypatch.setattr(reader, "open_split", spied)
    return opened


def refusal(dataset: str, **changes: Any) -> str:
    """The one sentence with which a load is refused."""
    config = PretrainConfig.from_values({"dataset": dataset, "image_size": 16, "num_workers": 0} | changes)
    with pytest.raises(DataError) as raised:
        load(config, lambda kind, message: pytest.fail(f"{kind}: {message}"))
    assert raised.value.exit_code == ExitCode.USAGE
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("method", METHODS)
def test_labels_that_teach_nothing_are_refused(tmp_path: Path, method: str) -> None:
    lone = write_folder(tmp_path / "lone", classes=("cat",), train=5)
    bare = write_folder(tmp_path / "bare", train=0, test=0, unlabeled=5)
    some = write_folder(tmp_path / "some", train=3)
    few = f"--method: {method} needs labels of two classes or more, and train of"
    assert refusal(f"folder:{lone}", method=method) == (
        f"{few} folder:{lone} has fewer; choose simclr, another data set, or a larger --limit-images"
    )
    assert refusal(f"folder:{some}", method=method, limit_images=3).startswith(few)
    assert refusal("shapes", method=method, limit_per_class=2, limit_images=1, hold_out=0.0).startswith(few)
    assert refusal(f"folder:{bare}", method=method) == (
        f"--method: {method} needs labels, and folder:{bare} has no train split; choose simclr, or put images into "
        "train/<class>/"
    )


@pytest.mark.parametrize("method", METHODS)
def test_where_no_image_can_be_held_out_the_way_out_is_named(method: str) -> None:
    one_each = {"method": method, "limit_per_class": 1, "limit_test_per_class": 1}
    assert refusal("shapes", **one_each) == (
        "--hold-out: no class of shapes has two images, so none can be held out; give --hold-out 0"
    )
    config = PretrainConfig.from_values({"dataset": "shapes", "image_size": 16, "hold_out": 0.0, **one_each})
    assert len(load(config, lambda _kind, _message: None).pretrain) == 10


def test_a_class_of_one_image_stays_in_what_is_trained_on(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", train=4)
    for number in range(1, 4):
        (root / "train" / "cat" / f"{number:04}.png").unlink()
    config = PretrainConfig(dataset=f"folder:{root}", method="supcon", hold_out=0.5, image_size=16, num_workers=0)
    dataset = load(config, lambda _kind, _message: None)
    assert dataset.validation is not None
    assert sorted(dataset.pretrain.labels.tolist()) == [0, 1, 1]
    assert dataset.validation.labels.tolist() == [1, 1]
