"""The views of a preview are those that training sees, whoever computes them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer.data_files import accept_any_digest, write_cifar10, write_folder, write_image, write_stl10
from tests.trainer.photographs import photographs
from trainer.augment import NORMALISATIONS
from trainer.config import PretrainConfig
from trainer.data import load
from trainer.device import prepare
from trainer.loader import ViewLoader
from trainer.randomness import permutation
from trainer.view_sheet import draw_views, make_preview, preview_sheet

SMALL = {"dataset": "shapes", "image_size": 16, "limit_per_class": 3, "limit_test_per_class": 1, "batch_size": 4}
NOTHING = {
    "crop_scale_min": 1.0,
    "crop_ratio_max": 1.0,
    "flip_probability": 0.0,
    "jitter_probability": 0.0,
    "grayscale_probability": 0.0,
    "blur_probability": 0.0,
}


@pytest.fixture(autouse=True)
def keep_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def small(**settings: object) -> PretrainConfig:
    return PretrainConfig.from_values(
        {**SMALL, "cache": "ram", "num_workers": 0, "device": "cpu", "drop_last": False, **settings}
    )


def as_trained(config: PretrainConfig, epoch: int) -> Tensor:
    """What the network is given in an epoch, by image: float32 (N, V, 3, S, S)."""
    split = load(config, lambda _kind, _sentence: None).pretrain
    loader = ViewLoader(split.images, config, prepare(device="cpu", threads=0), workers=config.num_workers)
    batches = [loader.views(batch).unflatten(0, (config.views, -1)).transpose(0, 1) for batch in loader.epoch(epoch)]
    loader.close()
    by_image = torch.cat(batches)[permutation(config.seed, epoch, len(split)).argsort()]
    assert len(by_image) == len(split)
    return by_image


def as_levels(views: Tensor, normalisation: str) -> Tensor:
    """The network's input as 8-bit levels, in float64."""
    mean, deviation = torch.tensor(NORMALISATIONS[normalisation], dtype=torch.float64)[:, :, None, None]
    levels: Tensor = ((views.double() * deviation + mean) * 255).round().to(torch.uint8)
    return levels


@pytest.mark.parametrize("augment", ["kornia", "torchvision"])
@pytest.mark.parametrize("views", [1, 2, 3])
def test_the_views_are_pixel_for_pixel_those_of_the_first_epochs(augment: str, views: int) -> None:
    method = "cross-entropy" if views == 1 else "simclr"
    config = small(augment=augment, views=views, seed=7, jitter_hue=0.5, method=method)
    preview = make_preview(config, 5, 6)
    assert preview.views_BVCHW.shape == (5, 6, 3, 16, 16)
    epochs = [as_levels(as_trained(config, epoch), "half")[:5] for epoch in range(1, 6 // views + 1)]
    assert torch.equal(preview.views_BVCHW, torch.cat(epochs, dim=1))
    assert preview.headings[0] == "epoch 1 view 1"
    assert preview.headings[views] == "epoch 2 view 1"


def test_views_beyond_a_batch_are_those_of_the_next_epoch_and_the_first_ones_stay() -> None:
    config = small()
    six, three = make_preview(config, 4, 6), make_preview(config, 4, 3)
    assert torch.equal(three.views_BVCHW, six.views_BVCHW[:, :3])
    assert three.headings == ("epoch 1 view 1", "epoch 1 view 2", "epoch 2 view 1")


def test_another_number_of_views_in_a_batch_draws_other_views() -> None:
    two, three = (make_preview(small(views=views), 4, 2).views_BVCHW for views in (2, 3))
    assert torch.equal(two[0], three[0]), "only the first image's row begins where it did"
    assert not torch.equal(two[1:], three[1:])


@pytest.mark.parametrize("augment", ["kornia", "torchvision"])
def test_same_on_batch_shows_the_draws_of_the_batch_that_an_image_is_in(augment: str) -> None:
    config = small(augment=augment, same_on_batch=True, batch_size=7)
    shown = make_preview(config, 6, 2).views_BVCHW
    assert torch.equal(shown, as_levels(as_trained(config, 1), "half")[:6])
    assert not torch.equal(shown, make_preview(small(augment=augment), 6, 2).views_BVCHW)


@pytest.mark.parametrize("normalisation", sorted(NORMALISATIONS))
@pytest.mark.parametrize("augment", ["kornia", "torchvision"])
def test_a_recipe_that_does_nothing_shows_each_image_itself(augment: str, normalisation: str) -> None:
    config = small(augment=augment, normalisation=normalisation, image_size=32, **NOTHING)
    images = photographs(4, 32)
    views = draw_views(config, images, 1, total=4)
    assert torch.equal(views, images[:, None].expand_as(views))


def test_the_images_are_the_first_that_the_run_trains_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept_any_digest(monkeypatch)
    write_stl10(tmp_path)
    write_cifar10(tmp_path)
    root = write_folder(tmp_path / "own", classes=("a", "b"), train=3, test=2, unlabeled=4)
    write_image(root / "train" / "c" / "only.png", np.random.default_rng(1))
    for settings in (
        {"dataset": "stl10"},
        {"dataset": "stl10", "split": "train+unlabeled"},
        {"dataset": "stl10", "split": "train+unlabeled", "limit_per_class": 1},
        {"dataset": "cifar10"},
        {"dataset": "cifar10", "split": "test", "limit_test_per_class": 2},
        {"dataset": "cifar10", "limit_per_class": 1},
        {"dataset": "shapes", "limit_images": 3},
        {"dataset": f"folder:{root}"},
        {"dataset": f"folder:{root}", "split": "train"},
        {"dataset": f"folder:{root}", "split": "train+unlabeled", "limit_images": 9},
        {"dataset": f"folder:{root}", "method": "supcon", "hold_out": 0.3},
        {"dataset": "shapes", "method": "cross-entropy", "limit_per_class": 4, "hold_out": 0.5},
    ):
        config = PretrainConfig.from_values({**SMALL, "limit_per_class": 0, "data_dir": str(tmp_path), **settings})
        split = load(config, lambda _kind, _sentence: None).pretrain
        for count in (1, 5, 100):
            expected = split.images.take(range(min(count, len(split))))
            found = make_preview(config, count, 2)
            assert torch.equal(found.images_BCHW, expected), settings
            assert set(found.split.split("+")) <= set(split.name.split("+"))
            names = [split.classes[label] if label >= 0 else "" for label in split.labels[:count].tolist()]
            assert list(found.captions) == [f"{index} {name}".strip() for index, name in enumerate(names)]


def test_no_more_of_a_folder_is_decoded_than_is_shown(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", classes=("a",), train=3, test=1)
    (root / "train" / "a" / "9.png").write_bytes(b"no image")
    reports: list[str] = []
    make_preview(small(dataset=f"folder:{root}", limit_per_class=0), 3, 2, lambda _kind, text: reports.append(text))
    assert reports == []
    make_preview(small(dataset=f"folder:{root}", limit_per_class=0), 4, 2, lambda _kind, text: reports.append(text))
    assert len(reports) == 1
    assert "9.png is left out" in reports[0]


def test_the_sheet_shows_each_image_before_its_views() -> None:
    config = small(image_size=32)
    page = preview_sheet(config, 3, 2)
    preview = make_preview(config, 3, 2)
    assert page.tobytes() == preview.sheet().tobytes()
    scale, gap = 4, 4
    side = 32 * scale
    left, top = page.width - 3 * (side + gap), page.height - 3 * (side + gap)
    for row, images in enumerate(preview.rows):
        for column, image in enumerate(images):
            x, y = left + column * (side + gap), top + row * (side + gap)
            small_again = page.crop((x, y, x + side, y + side)).resize((32, 32), 0)
            assert small_again.tobytes() == image.permute(1, 2, 0).contiguous().numpy().tobytes()


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    make_preview(small(), 2, 6)
    assert torch.equal(torch.get_rng_state(), before)
