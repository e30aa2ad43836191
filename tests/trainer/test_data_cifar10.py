"""CIFAR-10 through torchvision's reader, on files of the exact format."""

import socket
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch

from tests.trainer.data_files import CIFAR10_CLASSES, accept_any_digest, write_cifar10
from trainer.data import cifar10
from trainer.errors import DataError


@pytest.mark.parametrize("name", cifar10.SPLITS)
def test_pixels_and_labels_are_those_that_were_written(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_any_digest(monkeypatch)
    written = write_cifar10(tmp_path)[name]
    split = cifar10.open_split(tmp_path, name, 32)
    assert np.array_equal(split.images.take(range(len(split))).permute(0, 2, 3, 1).numpy(), written.images)
    assert split.labels.tolist() == written.labels.tolist()
    assert split.labels.dtype == torch.int64
    assert split.classes == CIFAR10_CLASSES


def test_images_are_resized_where_another_size_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept_any_digest(monkeypatch)
    write_cifar10(tmp_path)
    images = cifar10.open_split(tmp_path, "test", 48).images
    assert images.take([3, 1]).shape == (2, 3, 48, 48)
    assert torch.equal(images.take([3, 1])[1], images.take([1])[0])


def test_files_that_are_not_the_published_ones_are_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        pytest.fail("a download was begun")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    write_cifar10(tmp_path)
    with pytest.raises(DataError, match="does not hold CIFAR-10 as it was published; delete it"):
        cifar10.open_split(tmp_path, "train", 32)


def test_without_a_network_the_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_args: object, **_kwargs: object) -> None:
        raise URLError(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", no_network)
    with pytest.raises(DataError, match=r"downloaded \(Name or service not known\); .*copy cifar-10-batches-py there"):
        cifar10.open_split(tmp_path, "train", 32)


def test_the_fingerprint_changes_with_the_files(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "a")
    write_cifar10(tmp_path / "same")
    write_cifar10(tmp_path / "other", seed=1)
    digests = [cifar10.fingerprint(tmp_path / name) for name in ("a", "same", "other")]
    assert digests[0] == digests[1] != digests[2]
