"""What a config makes of a data set: which splits, how many images, kept where."""

import multiprocessing
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.data_files import accept_any_digest, write_cifar10, write_folder, write_stl10
from trainer.config import PretrainConfig
from trainer.data import Dataset, load, split_names
from trainer.data.split import ImageSource, TensorImages
from trainer.errors import ConfigError, DataError


def loaded(dataset: str, data_dir: Path | None = None, **changes: Any) -> Dataset:
    defaults: dict[str, Any] = {"dataset": dataset, "data_dir": str(data_dir or ""), "image_size": 32, "num_workers": 0}
    return load(PretrainConfig(**(defaults | changes)), lambda kind, message: pytest.fail(f"{kind}: {message}"))


@pytest.fixture
def stl10_dir(tmp_path: Path) -> Path:
    write_stl10(tmp_path, train=40, test=20, unlabeled=30)
    return tmp_path


@pytest.mark.parametrize(
    ("split", "count", "validation"),
    [
        ("auto", 30, "train"),
        ("unlabeled", 30, "train"),
        ("train", 40, "test"),
        ("test", 20, "train"),
        ("train+unlabeled", 70, "test"),
    ],
)
@pytest.mark.parametrize("cache", ["none", "ram", "vram"])
def test_stl10_gives_each_split_and_validates_on_one_that_is_not_trained_on(
    stl10_dir: Path, split: str, count: int, validation: str, cache: str
) -> None:
    dataset = loaded("stl10", stl10_dir, split=split, cache=cache)
    assert dataset.pretrain.name == ("unlabeled" if split == "auto" else split)
    assert len(dataset.pretrain) == len(dataset.pretrain.labels) == count
    assert dataset.validation is not None
    assert dataset.validation.name == validation
    assert dataset.train is not None
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.test)) == (40, 20)
    assert not dataset.synthetic


def test_train_and_unlabeled_follow_each_other(stl10_dir: Path) -> None:
    dataset = loaded("stl10", stl10_dir, split="train+unlabeled", image_size=96)
    written = write_stl10(stl10_dir / "again", train=40, test=20, unlabeled=30)
    taken = dataset.pretrain.images.take([39, 40]).permute(0, 2, 3, 1).numpy()
    assert (taken[0] == written["train"].images[39]).all()
    assert (taken[1] == written["unlabeled"].images[0]).all()
    assert dataset.pretrain.labels[38:42].tolist() == [8, 9, -1, -1]


@pytest.mark.parametrize(
    ("split", "limit", "expected"),
    [
        ("unlabeled", 7, 7),
        ("train", 7, 7),
        ("train+unlabeled", 7, 7),
        ("train+unlabeled", 50, 50),
        ("unlabeled", 99, 30),
    ],
)
def test_limit_images_takes_the_first_of_the_split(stl10_dir: Path, split: str, limit: int, expected: int) -> None:
    whole = loaded("stl10", stl10_dir, split=split)
    few = loaded("stl10", stl10_dir, split=split, limit_images=limit)
    assert len(few.pretrain) == expected
    assert torch.equal(few.pretrain.images.take(range(expected)), whole.pretrain.images.take(range(expected)))
    assert few.train is not None
    assert len(few.train) == 40


def test_limits_per_class_take_the_first_of_each_class(stl10_dir: Path) -> None:
    dataset = loaded("stl10", stl10_dir, split="train", limit_per_class=2, limit_test_per_class=1)
    assert dataset.train is not None
    assert dataset.test is not None
    assert dataset.train.labels.tolist() == list(range(10)) * 2
    assert dataset.test.labels.tolist() == list(range(10))
    assert len(dataset.pretrain) == 20


@pytest.mark.parametrize("dataset", ["shapes", "stl10", "cifar10", "folder"])
def test_the_images_do_not_depend_on_the_cache(dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept_any_digest(monkeypatch)
    write_stl10(tmp_path)
    write_cifar10(tmp_path)
    name = f"folder:{write_folder(tmp_path / 'own', unlabeled=4)}" if dataset == "folder" else dataset
    changes = {"limit_per_class": 2, "limit_test_per_class": 1, "image_size": 24}
    held, read, resident = (loaded(name, tmp_path, cache=cache, **changes) for cache in ("ram", "none", "vram"))
    for split in ("train", "test", "pretrain"):
        first, second, third = (getattr(d, split).images for d in (held, read, resident))
        everything = range(len(first))
        assert torch.equal(first.take(everything), second.take(everything))
        assert torch.equal(first.take(everything), third.take(everything))
    assert held.fingerprint == read.fingerprint == resident.fingerprint


def test_shapes_are_synthetic_and_need_nothing() -> None:
    dataset = loaded("shapes", limit_per_class=30, limit_test_per_class=10, image_size=32)
    assert dataset.synthetic
    assert len(dataset.pretrain) == 300
    assert dataset.test is not None
    assert dataset.validation is dataset.test
    assert len(dataset.test) == 100


def test_shapes_do_not_change_with_the_seed_of_the_run() -> None:
    first, second = (loaded("shapes", limit_per_class=2, limit_test_per_class=2, seed=seed) for seed in (1, 2))
    assert first.test is not None
    assert second.test is not None
    assert torch.equal(first.test.images.take(range(20)), second.test.images.take(range(20)))


def test_pretraining_on_train_holds_its_images_once() -> None:
    dataset = loaded("shapes", limit_per_class=3, cache="ram")
    assert dataset.pretrain is dataset.train


def test_an_unknown_split_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cifar10 has no split unlabeled; choose auto, train or test") as raised:
        loaded("cifar10", tmp_path, split="unlabeled")
    assert raised.value.setting == "split"
    with pytest.raises(ConfigError, match=r"shapes has no split train\+unlabeled"):
        loaded("shapes", split="train+unlabeled")


def test_a_folder_of_unlabeled_images_alone_can_be_pretrained_on(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", train=0, test=0, unlabeled=5)
    dataset = loaded(f"folder:{root}")
    assert len(dataset.pretrain) == 5
    assert (dataset.train, dataset.test, dataset.validation) == (None, None, None)
    with pytest.raises(ConfigError, match="choose auto, unlabeled"):
        loaded(f"folder:{root}", split="train")


def test_a_folder_without_test_trains_on_train_and_validates_on_nothing(tmp_path: Path) -> None:
    dataset = loaded(f"folder:{write_folder(tmp_path / 'own', test=0)}")
    assert dataset.pretrain is dataset.train
    assert dataset.test is None
    assert dataset.validation is None


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "own")
    assert len(loaded("folder:~/own").pretrain) == 6
    with pytest.raises(DataError, match="missing is not a folder"):
        loaded("folder:~/missing")


def test_unreadable_files_reach_the_report(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own")
    (root / "test" / "dog" / "0000.png").write_bytes(b"")
    seen: list[tuple[str, str]] = []
    config = PretrainConfig(dataset=f"folder:{root}", image_size=32, num_workers=0)
    load(config, lambda kind, message: seen.append((kind, message)))
    assert [kind for kind, _ in seen] == ["unreadable-image"]
    assert str(root / "test" / "dog" / "0000.png") in seen[0][1]


class Stop(Exception):  # noqa: N818 - stands for any exception that a check may raise
    """What the checks of these tests raise."""


@pytest.mark.parametrize("cache", ["none", "ram"])
@pytest.mark.parametrize("dataset", ["shapes", "stl10", "cifar10", "folder"])
def test_a_load_can_be_stopped_wherever_it_checks(
    dataset: str, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_any_digest(monkeypatch)
    write_stl10(tmp_path)
    write_cifar10(tmp_path)
    name = f"folder:{write_folder(tmp_path / 'own', train=70, unlabeled=4)}" if dataset == "folder" else dataset
    values = {"limit_per_class": 70, "limit_test_per_class": 1, "image_size": 16, "num_workers": 0, "cache": cache}
    config = PretrainConfig.from_values({"dataset": name, "data_dir": str(tmp_path), **values})
    checks = 0

    def count() -> None:
        nonlocal checks
        checks += 1

    load(config, lambda _kind, _message: None, check=count)
    assert checks >= {"shapes": 2, "stl10": 3, "cifar10": 4, "folder": 7}[dataset]
    for last in (1, checks):
        left = last

        def stop() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Stop

        with pytest.raises(Stop):
            load(config, lambda _kind, _message: None, stop)


@pytest.mark.parametrize("dataset", ["stl10", "cifar10"])
def test_a_download_can_be_left(dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that goes on for as long as the test."""
    begun, over = threading.Event(), threading.Event()

    def download(*_: object, **__: object) -> None:
        begun.set()
        over.wait()
        raise OSError("cut off")

    monkeypatch.setattr(f"torchvision.datasets.{dataset.upper()}", download)

    def stop() -> None:
        if begun.is_set():
            raise Stop

    config = PretrainConfig(dataset=dataset, data_dir=str(tmp_path), image_size=32, num_workers=0)
    with pytest.raises(Stop):
        load(config, lambda _kind, _message: None, stop)
    over.set()


def test_the_fingerprint_does_not_depend_on_the_split_or_the_limits(stl10_dir: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", unlabeled=4)
    for name in ("stl10", f"folder:{root}"):
        found = {
            loaded(name, stl10_dir, split=split, limit_per_class=limit).fingerprint
            for split in ("train", "test", "unlabeled", "train+unlabeled")
            for limit in (0, 1)
        }
        assert len(found) == 1
    before = loaded(f"folder:{root}").fingerprint
    (root / "train" / "cat" / "0000.png").unlink()
    assert loaded(f"folder:{root}").fingerprint != before


def test_the_splits_are_named_without_reading_an_image(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", train=0, test=0, unlabeled=1)
    (root / "unlabeled" / "0000.png").write_bytes(b"")
    assert split_names(PretrainConfig(dataset=f"folder:{root}")) == ("unlabeled",)
    assert split_names(PretrainConfig(dataset="stl10", data_dir=str(tmp_path))) == ("train", "test", "unlabeled")


def _mark(images: ImageSource) -> None:
    assert isinstance(images, TensorImages)
    images.tensor[0] = 77


@pytest.mark.parametrize("kind", ["shapes", "folder"])
def test_workers_share_one_tensor_with_the_training_process(kind: str, tmp_path: Path) -> None:
    name = kind if kind == "shapes" else f"folder:{write_folder(tmp_path / 'own')}"
    images = loaded(name, limit_per_class=2, cache="ram", num_workers=2).pretrain.images
    worker = multiprocessing.get_context("fork").Process(target=_mark, args=(images,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert (images.take([0]) == 77).all()
