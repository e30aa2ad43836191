"""STL10 read in place, beside torchvision's own reader on files of the exact format."""

import pickle
import socket
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from tests.trainer.data_files import STL10_CLASSES, accept_any_digest, write_stl10
from trainer.data import stl10
from trainer.errors import DataError


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write_stl10(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", stl10.SPLITS)
def test_pixels_and_labels_agree_with_torchvisions_reader(
    data_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_any_digest(monkeypatch)
    theirs = torchvision.datasets.STL10(str(data_dir), split=name)
    ours = stl10.open_split(data_dir, name, 96)
    assert len(ours) == len(theirs)
    taken = ours.images.take(range(len(ours)))
    for index in range(len(theirs)):
        image, label = theirs[index]
        assert np.array_equal(taken[index].permute(1, 2, 0).numpy(), np.asarray(image))
        assert int(ours.labels[index]) == label
    assert ours.classes == STL10_CLASSES


def test_pixels_are_those_that_were_written(tmp_path: Path) -> None:
    written = write_stl10(tmp_path)["test"]
    split = stl10.open_split(tmp_path, "test", 96)
    assert np.array_equal(split.images.take([7, 2]).permute(0, 2, 3, 1).numpy(), written.images[[7, 2]])
    assert split.labels.tolist() == written.labels.tolist()
    assert split.labels.dtype == torch.int64


def test_the_unlabeled_split_has_no_labels(data_dir: Path) -> None:
    assert stl10.open_split(data_dir, "unlabeled", 96).labels.tolist() == [-1] * 30


def test_images_are_resized_where_another_size_is_asked_for(data_dir: Path) -> None:
    images = stl10.open_split(data_dir, "train", 32).images
    assert images.shape == (3, 32, 32)
    together = images.take(range(20))
    assert together.shape == (20, 3, 32, 32)
    assert torch.equal(images.take([13])[0], together[13])


def test_what_is_taken_may_be_written_to_and_leaves_the_file_as_it_is(data_dir: Path) -> None:
    images = stl10.open_split(data_dir, "train", 96).images
    before = images.take([0])
    images.take([0]).zero_()
    assert torch.equal(images.take([0]), before)


def test_a_pickled_source_names_its_file_instead_of_copying_it(data_dir: Path) -> None:
    images = stl10.open_split(data_dir, "unlabeled", 96).images
    pickled = pickle.dumps(images)
    assert len(pickled) < 1000
    assert torch.equal(pickle.loads(pickled).take([4, 1]), images.take([4, 1]))


def test_the_ten_folds_are_those_of_the_file(data_dir: Path) -> None:
    folds = stl10.folds(data_dir)
    assert len(folds) == 10
    assert [fold.tolist() for fold in folds] == [[number, number + 10] for number in range(10)]


def test_a_fold_agrees_with_torchvisions(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept_any_digest(monkeypatch)
    theirs = torchvision.datasets.STL10(str(data_dir), split="train", folds=3)
    ours = stl10.open_split(data_dir, "train", 96).images.take(stl10.folds(data_dir)[3])
    assert np.array_equal(ours.numpy(), theirs.data)


def test_a_truncated_file_is_named(data_dir: Path) -> None:
    path = data_dir / "stl10_binary" / "unlabeled_X.bin"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"unlabeled_X\.bin holds 29 whole images and 27643 bytes more"):
        stl10.open_split(data_dir, "unlabeled", 96)


def test_an_empty_file_is_named(data_dir: Path) -> None:
    (data_dir / "stl10_binary" / "train_X.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"train_X\.bin holds 0 whole images"):
        stl10.open_split(data_dir, "train", 96)


@pytest.mark.parametrize("labels", [b"\x01" * 19, b"\x01" * 21, b"\x00" * 20, b"\x0b" * 20, b""])
def test_labels_that_do_not_fit_are_named(data_dir: Path, labels: bytes) -> None:
    (data_dir / "stl10_binary" / "train_y.bin").write_bytes(labels)
    with pytest.raises(DataError, match=r"train_y\.bin"):
        stl10.open_split(data_dir, "train", 96)


@pytest.mark.parametrize("text", ["", "1 2 3\n", "one two\n" * 10])
def test_a_broken_list_of_folds_is_named(data_dir: Path, text: str) -> None:
    (data_dir / "stl10_binary" / "fold_indices.txt").write_text(text)
    with pytest.raises(DataError, match=r"fold_indices\.txt"):
        stl10.folds(data_dir)


def test_without_a_network_the_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_args: object, **_kwargs: object) -> None:
        raise URLError(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))

    monkeypatch.setattr("torchvision.datasets.stl10.download_and_extract_archive", no_network)
    with pytest.raises(
        DataError, match=r"downloaded \(Name or service not known\); .*copy stl10_binary there"
    ) as raised:
        stl10.open_split(tmp_path, "train", 96)
    assert "\n" not in str(raised.value)


def test_nothing_is_downloaded_where_the_files_are(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        pytest.fail("a download was begun")

    monkeypatch.setattr("torchvision.datasets.stl10.download_and_extract_archive", refuse)
    stl10.open_split(data_dir, "train", 96)


def test_the_fingerprint_changes_with_the_files(data_dir: Path) -> None:
    before = stl10.fingerprint(data_dir)
    assert before == stl10.fingerprint(data_dir)
    path = data_dir / "stl10_binary" / "unlabeled_X.bin"
    path.write_bytes(path.read_bytes() + bytes(stl10.IMAGE_BYTES))
    assert stl10.fingerprint(data_dir) != before
