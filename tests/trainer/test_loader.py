"""Batches: the same ones, whoever loads them and wherever one begins."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, draw_parameters
from trainer.augment_torchvision import augment_batch
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.loader import ViewLoader
from trainer.randomness import permutation, uniforms

COUNT, SIDE = 23, 16
Make = Callable[..., ViewLoader]


@dataclass
class Images:
    """Stored images, as simple as can be."""

    stored: Tensor

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, SIDE, SIDE)

    def take(self, indices: Sequence[int] | Tensor) -> Tensor:
        return self.stored[torch.as_tensor(indices)]


@pytest.fixture(scope="module")
def images() -> Images:
    """Noise."""
    generator = torch.Generator().manual_seed(0)
    return Images(torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8))


@pytest.fixture
def make_loader(images: Images) -> Iterator[Callable[..., ViewLoader]]:
    """Makes loaders of batches of 5, and ends their workers after the test."""
    made: list[ViewLoader] = []

    def make(workers: int = 0, **changes: object) -> ViewLoader:
        config = PretrainConfig.from_values({"image_size": SIDE, "batch_size": 5, "device": "cpu", **changes})
        made.append(ViewLoader(images, config, prepare(device="cpu", threads=0), workers=workers))
        return made[-1]

    yield make
    for loader in made:
        loader.close()


def all_views(loader: ViewLoader, epoch: int, first: int = 0) -> list[Tensor]:
    """The input of each step of an epoch."""
    return [loader.views(batch) for batch in loader.epoch(epoch, first_batch=first)]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    """Whether two epochs are equal bit for bit."""
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("augment", ["kornia", "torchvision"])
def test_an_epoch_is_the_same_with_any_number_of_workers_and_any_cache(make_loader: Make, augment: str) -> None:
    alone = all_views(make_loader(augment=augment), 3)
    assert len(alone) == COUNT // 5
    for workers, persistent in ((1, True), (2, True), (3, False)):
        loader = make_loader(workers, augment=augment, persistent_workers=persistent)
        assert same(all_views(loader, 3), alone)
    if augment == "kornia":
        assert same(all_views(make_loader(cache="vram"), 3), alone)


@pytest.mark.parametrize("augment", ["kornia", "torchvision"])
def test_an_epoch_can_begin_at_any_batch(make_loader: Make, augment: str) -> None:
    loader = make_loader(workers=2, augment=augment)
    whole = all_views(loader, 1)
    for first in range(len(whole) + 1):
        assert same(all_views(loader, 1, first), whole[first:])
    assert not same(all_views(loader, 2), whole)


def test_views_follow_the_definition_from_the_epoch_and_the_image_alone(images: Images, make_loader: Make) -> None:
    """A slow reference: each view drawn by its own image's uniforms, one image at a time."""
    loader = make_loader(augment="torchvision", seed=7)
    config = PretrainConfig(image_size=SIDE, batch_size=5, augment="torchvision", seed=7)
    recipe = AugmentRecipe.from_config(config)
    order = permutation(7, 2, COUNT)
    for number, views in enumerate(all_views(loader, 2)):
        chosen = order[number * 5 : number * 5 + 5].tolist()
        slow = [
            augment_batch(
                images.take([index]),
                draw_parameters(
                    uniforms(7, 2, 1, 2, UNIFORMS_PER_VIEW, start=index)[0, view : view + 1], recipe, SIDE, SIDE
                ),
                recipe,
                SIDE,
            )
            for view in range(2)
            for index in chosen
        ]
        assert torch.equal(views, torch.cat(slow))


def test_every_image_is_seen_once_and_the_remainder_is_dropped_or_kept(images: Images, make_loader: Make) -> None:
    for drop, sizes in ((True, [10] * 4), (False, [10] * 4 + [6])):
        loader = make_loader(drop_last=drop)
        assert [len(views) for views in all_views(loader, 1)] == sizes
        assert loader.steps_per_epoch() == len(sizes)


def test_the_two_views_of_an_image_differ(images: Images, make_loader: Make) -> None:
    for views in all_views(make_loader(), 1):
        first, second = views.chunk(2)
        assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_validation_pairs_are_the_same_each_time_and_the_remainder_is_dropped(
    images: Images, make_loader: Make
) -> None:
    loader = make_loader()
    passes = [[loader.views(batch) for batch in loader.fixed_pairs(7)] for _ in range(2)]
    assert same(*passes)
    assert [len(views) for views in passes[0]] == [14] * 3


def test_the_global_generator_is_left_alone(images: Images, make_loader: Make) -> None:
    before = torch.get_rng_state()
    all_views(make_loader(workers=1), 1)
    assert torch.equal(torch.get_rng_state(), before)
