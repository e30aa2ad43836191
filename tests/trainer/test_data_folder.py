"""A person's own folder of images: order, damage, and what is said about it."""

import copy
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from tests.trainer.data_files import write_folder, write_image
from trainer.data import folder
from trainer.data.decode import decode
from trainer.data.split import Split
from trainer.errors import DataError

Reports = list[tuple[str, str]]


def open_split(
    root: Path,
    name: str = "train",
    size: int = 32,
    *,
    limit: int = 0,
    in_memory: bool = True,
    reports: Reports | None = None,
) -> Split:
    seen: Reports = [] if reports is None else reports
    return folder.open_split(
        root,
        name,
        size,
        limit=limit,
        in_memory=in_memory,
        shared=False,
        report=lambda kind, message: seen.append((kind, message)),
    )


def a_bomb(path: Path) -> None:
    """A PNG of a few hundred bytes that claims 50,000 × 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("size", [(80, 64), (64, 80), (96, 96), (32, 32), (64, 32)])
def test_pixels_agree_with_torchvisions_resize_and_centre_crop(tmp_path: Path, size: tuple[int, int]) -> None:
    write_image(tmp_path / "image.png", np.random.default_rng(0), size)
    theirs = v2.CenterCrop(32)(v2.Resize(32)(Image.open(tmp_path / "image.png")))
    ours = decode(tmp_path / "image.png", 32)
    assert np.abs(ours.astype(int) - np.asarray(theirs).astype(int)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((48, 48, 3), dtype=np.uint8)
    upright[:24, :24, 0] = 255
    upright[:24, 24:, 1] = 255
    stored = {  # how a camera held in that orientation stores an upright scene
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "image.png", exif=exif)
    assert np.array_equal(decode(tmp_path / "image.png", 48), upright)


@pytest.mark.parametrize("suffix", sorted(folder.EXTENSIONS))
def test_every_extension_can_be_read(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / "train" / "a" / f"image{suffix}", np.random.default_rng(0))
    assert open_split(tmp_path).images.take([0]).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixels_becomes_rgb(tmp_path: Path, mode: str) -> None:
    level = {"I;16": 204 << 8, "1": 255}.get(mode, 204)
    if mode == "I;16":
        image = Image.fromarray(np.full((40, 40), level, dtype=np.uint16))
    else:
        image = Image.new("RGB", (40, 40), (level,) * 3).convert(mode)
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(path)
    expected = 255 if mode == "1" else 204
    assert np.abs(decode(path, 16).astype(int) - expected).max() <= 1


def test_what_is_transparent_shows_white(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 40), (10, 20, 30, 0)).save(tmp_path / "image.png")
    assert (decode(tmp_path / "image.png", 16) == 255).all()


def test_a_very_long_image_costs_no_more_than_its_square(tmp_path: Path) -> None:
    Image.new("RGB", (60_000, 2), "red").save(tmp_path / "image.png")
    assert decode(tmp_path / "image.png", 512).shape == (512, 512, 3)


@pytest.mark.parametrize("in_memory", [True, False])
def test_images_come_by_class_and_name(tmp_path: Path, in_memory: bool) -> None:
    rng = np.random.default_rng(0)
    names = ["train/b/z.png", "train/a/2.png", "train/b/deep/er/a.png", "train/a/10.png", "train/a/.hidden.png"]
    pixels = {name: write_image(tmp_path / name, rng, (32, 32)) for name in names}
    (tmp_path / "train" / "a" / "notes.txt").write_text("not an image")
    split = open_split(tmp_path, in_memory=in_memory)
    expected = ["train/a/10.png", "train/a/2.png", "train/b/deep/er/a.png", "train/b/z.png"]
    assert split.labels.tolist() == [0, 0, 1, 1]
    assert split.classes == ("a", "b")
    taken = split.images.take(range(4)).permute(0, 2, 3, 1).numpy()
    assert all(np.array_equal(image, pixels[name]) for image, name in zip(taken, expected, strict=True))


def test_memory_and_decoding_on_the_fly_give_the_same_images(tmp_path: Path) -> None:
    write_folder(tmp_path, train=100, classes=("a", "b", "c"))
    held, read = (open_split(tmp_path, in_memory=in_memory).images for in_memory in (True, False))
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    assert torch.equal(held.take(order), read.take(order))
    assert torch.equal(read.take([5])[0], read.take(range(10))[5])
    assert torch.equal(copy.deepcopy(read).take(order), held.take(order))


@pytest.mark.parametrize("in_memory", [True, False])
def test_unreadable_files_are_reported_by_name_and_left_out(tmp_path: Path, in_memory: bool) -> None:
    write_folder(tmp_path, train=8, classes=("a",), test=0)
    whole = open_split(tmp_path).images.take(range(8))
    files = sorted((tmp_path / "train" / "a").iterdir())
    files[0].write_bytes(b"")
    files[2].write_bytes(files[2].read_bytes()[:200])
    files[3].write_text("this is not an image")
    a_bomb(files[6])
    (tmp_path / "train" / "a" / "9999.png").symlink_to(tmp_path / "nowhere.png")
    reports: Reports = []
    split = open_split(tmp_path, in_memory=in_memory, reports=reports)
    assert torch.equal(split.images.take(range(len(split))), whole[[1, 4, 5, 7]])
    assert split.labels.tolist() == [0] * 4
    assert [kind for kind, _ in reports] == [folder.UNREADABLE] * 5
    left_out = [files[0], files[2], files[3], files[6], tmp_path / "train" / "a" / "9999.png"]
    for (_, message), path in zip(reports, left_out, strict=True):
        assert str(path) in message
        assert "\n" not in message
    assert folder.fingerprint(tmp_path)


def test_a_limit_counts_readable_images_of_each_class(tmp_path: Path) -> None:
    write_folder(tmp_path, train=10, classes=("a", "b"), test=0)
    (tmp_path / "train" / "a" / "0001.png").write_bytes(b"")
    everything = open_split(tmp_path).images.take(range(19))
    split = open_split(tmp_path, limit=3)
    assert split.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(split.images.take(range(6)), everything[[0, 1, 2, 9, 10, 11]])


def test_unlabeled_images_may_be_nested_and_have_no_label(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("b/1.png", "a.png", "b/c/2.png"):
        write_image(tmp_path / "unlabeled" / name, rng)
    split = open_split(tmp_path, "unlabeled")
    assert split.labels.tolist() == [-1] * 3
    assert split.classes == ()
    assert len(open_split(tmp_path, "unlabeled", limit=2)) == 2


def test_test_labels_follow_the_classes_of_train(tmp_path: Path) -> None:
    write_folder(tmp_path, classes=("a", "b", "c"), test=1)
    shutil.rmtree(tmp_path / "test" / "a")
    split = open_split(tmp_path, "test")
    assert split.labels.tolist() == [1, 2]
    assert split.classes == ("a", "b", "c")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is not a folder"):
        folder.splits_of(tmp_path / "nowhere")


def test_a_folder_with_nothing_to_train_on_says_where_images_go(tmp_path: Path) -> None:
    write_folder(tmp_path, train=0)
    with pytest.raises(DataError, match="neither a train nor an unlabeled folder"):
        folder.splits_of(tmp_path)


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train" / "bird").mkdir()
    with pytest.raises(DataError, match="bird holds no image"):
        open_split(tmp_path)


def test_train_without_classes_is_explained(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "image.png", np.random.default_rng(0))
    with pytest.raises(DataError, match="no folder named after a class"):
        open_split(tmp_path)


def test_a_class_of_test_that_train_lacks_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_image(tmp_path / "test" / "emu" / "image.png", np.random.default_rng(0))
    with pytest.raises(DataError, match=r"class 'emu', which .*train lacks"):
        open_split(tmp_path, "test")


@pytest.mark.parametrize("name", ["train", "unlabeled"])
def test_a_class_of_which_nothing_can_be_read_is_named(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, classes=("cat", "dog"), train=1, unlabeled=1)
    for path in (tmp_path / name).rglob("*.png"):
        path.write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"none of the images of .* can be read"):
        open_split(tmp_path, name)


def test_an_empty_unlabeled_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "unlabeled").mkdir()
    with pytest.raises(DataError, match="unlabeled holds no image"):
        open_split(tmp_path, "unlabeled")


def test_a_file_that_vanishes_later_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    split = open_split(tmp_path, in_memory=False)
    (tmp_path / "train" / "cat" / "0001.png").unlink()
    with pytest.raises(DataError, match=r"0001\.png could be read before and can't be now"):
        split.images.take([1])


def test_the_fingerprint_is_of_paths_and_sizes(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", unlabeled=2)
    write_folder(tmp_path / "same", unlabeled=2)
    assert folder.fingerprint(tmp_path / "one") == folder.fingerprint(tmp_path / "same")
    write_image(tmp_path / "same" / "unlabeled" / "more.png", np.random.default_rng(0))
    assert folder.fingerprint(tmp_path / "one") != folder.fingerprint(tmp_path / "same")
