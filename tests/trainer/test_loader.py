"""Batches: the same ones, whoever loads them and wherever one begins, each image with its own label."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from torch import Tensor

from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, draw_parameters, view_major
from trainer.augment_torchvision import augment_batch
from trainer.config import PretrainConfig
from trainer.data import load
from trainer.device import prepare
from trainer.loader import ViewLoader
from trainer.parts import AUGMENTATION, COPY, HOST_AUGMENTATION, unmeasured
from trainer.randomness import permutation, uniforms
from trainer.workers import WorkerPool

COUNT, SIDE = 23, 16
Make = Callable[..., ViewLoader]

UNTOUCHED = {
    "crop_scale_min": 1.0,
    "crop_ratio_max": 1.0,
    "flip_probability": 0.0,
    "jitter_probability": 0.0,
    "grayscale_probability": 0.0,
    "blur_probability": 0.0,
}
"""Settings whose views are the images themselves."""


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

    def make(
        workers: int = 0, *, source: Images = images, labels: Tensor | None = None, **changes: object
    ) -> ViewLoader:
        config = PretrainConfig.from_values({"image_size": SIDE, "batch_size": 5, "device": "cpu", **changes})
        machine = prepare(device="cpu", threads=0)
        made.append(ViewLoader(source, config, machine, workers=workers, labels=labels))
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


@pytest.mark.parametrize("same_on_batch", [False, True])
def test_fused_views_are_the_same_bits_with_any_workers_and_cache(make_loader: Make, same_on_batch: bool) -> None:
    """In their epochs, from any batch on, by their numbers, and in validation, whose draws are no epoch's."""
    settings = {"augment": "fused", "same_on_batch": same_on_batch, "drop_last": False}
    alone = make_loader(cache="none", **settings)
    whole = all_views(alone, 3)
    fixed = [alone.views(batch) for batch in alone.fixed_views(7, drop_last=False)]
    assert len(whole) == 5
    for cache, workers in (("ram", 2), ("vram", 0)):
        loader = make_loader(workers, cache=cache, **settings)
        assert same(all_views(loader, 3), whole)
        assert same(all_views(loader, 3, first=2), whole[2:])
        assert same([loader.views(batch) for batch in loader.fixed_views(7, drop_last=False)], fixed)
        assert not same(all_views(loader, 2), whole)
        assert loader.shares_parameters() is same_on_batch
    order_N, table_NVK = loader.epoch_tables(3)
    chosen = [loader.fused_views(order_N[k * 5 : k * 5 + 5], table_NVK) for k in range(5)]
    assert same(chosen, whole)


def test_with_tables_on_the_device_a_batch_is_numbers_and_nothing_is_gathered_for_it(make_loader: Make) -> None:
    """A graph gathers by itself, and what was gathered for it would be thrown away."""
    loader = make_loader(augment="fused", cache="vram")
    order_N, table_NVK = loader.epoch_tables(2)
    batches = list(loader.epoch(2))
    assert torch.equal(torch.cat([batch.images for batch in batches]), order_N[: 5 * len(batches)])
    assert {batch.images.untyped_storage().data_ptr() for batch in batches} == {order_N.untyped_storage().data_ptr()}
    assert all(batch.draws is table_NVK for batch in batches)


def test_fused_views_are_the_kornia_ones(make_loader: Make) -> None:
    """The same draws, to rounding; those of another seed are others."""
    fused, kornia = (all_views(make_loader(augment=augment, cache="vram"), 1) for augment in ("fused", "kornia"))
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(fused, kornia, strict=True))
    others = all_views(make_loader(augment="kornia", seed=1), 1)
    assert not any(torch.allclose(one, other, atol=1e-2) for one, other in zip(fused, others, strict=True))


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
    for count, drop, sizes, trained_on in (
        (COUNT, True, [10] * 4, 20),
        (COUNT, False, [10] * 4 + [6], COUNT),
        (20, True, [10] * 4, 20),
        (20, False, [10] * 4, 20),
    ):
        loader = make_loader(source=Images(images.stored[:count]), drop_last=drop)
        assert [len(views) for views in all_views(loader, 1)] == sizes
        assert loader.steps_per_epoch() == len(sizes)
        assert loader.images_per_epoch() == trained_on


def test_the_two_views_of_an_image_differ(images: Images, make_loader: Make) -> None:
    for views in all_views(make_loader(), 1):
        first, second = views.chunk(2)
        assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_draws_of_two_views_are_those_that_runs_began_with(make_loader: Make) -> None:
    """Pinned bits: other ones would change what a run that is resumed under a new version goes on with."""
    digest = hashlib.sha256()
    uniforms_NVK = uniforms(7, 2, COUNT, 2, UNIFORMS_PER_VIEW)
    recipe = AugmentRecipe.from_config(PretrainConfig(image_size=SIDE))
    loader = make_loader(seed=7)
    for number, batch in enumerate(loader.epoch(2)):
        chosen = permutation(7, 2, COUNT)[number * 5 : number * 5 + 5]
        expected = draw_parameters(view_major(uniforms_NVK[chosen]), recipe, SIDE, SIDE)
        assert batch.draws is not None
        drawn = loader._parameters(batch.draws)
        for name in ("order", "flip", "jitter", "grayscale", "brightness"):
            found = getattr(drawn, name)
            assert torch.equal(found, getattr(expected, name))
            digest.update(found.numpy().tobytes())
    assert digest.hexdigest() == "d00b8b8623af62712aa423e2e549108efb21b97abc2422f6a37783d54e02ce92"


def numbered() -> Images:
    """Images that say which one they are: image i is of the even gray 10·i."""
    grays = torch.arange(COUNT, dtype=torch.uint8) * 10
    return Images(grays[:, None, None, None].repeat(1, 3, SIDE, SIDE))


def numbers_of(views: Tensor) -> Tensor:
    """Which of the numbered images each untouched view shows."""
    grays = (views.mean(dim=(1, 2, 3)) / 2 + 0.5) * 255
    numbers = (grays / 10).round()
    assert torch.allclose(grays, numbers * 10, atol=0.1)
    return numbers.long()


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize(
    ("augment", "workers", "cache"),
    [("kornia", 0, "ram"), ("kornia", 2, "ram"), ("kornia", 0, "vram"), ("torchvision", 0, "ram"),
     ("torchvision", 2, "none"), ("fused", 0, "vram"), ("fused", 2, "ram")],
)  # fmt: skip
def test_each_image_comes_with_its_own_label_once_a_batch_however_many_views(
    make_loader: Make, augment: str, workers: int, cache: str, views: int
) -> None:
    """The labels are the images' numbers, so that each batch tells both; it may begin anywhere in the epoch."""
    changes = {"augment": augment, "cache": cache, "views": views, "method": "cross-entropy", "drop_last": False}
    loader = make_loader(workers, source=numbered(), labels=torch.arange(COUNT), **UNTOUCHED, **changes)
    order = permutation(42, 2, COUNT)
    for first in (0, 2):
        seen = []
        for number, batch in enumerate(loader.epoch(2, first_batch=first), start=first):
            assert batch.labels is not None
            assert torch.equal(batch.labels, loader.indices(2, number))
            assert batch.labels.dtype == torch.int64
            assert torch.equal(numbers_of(loader.views(batch)), batch.labels.repeat(views))
            seen.append(batch.labels)
        assert torch.equal(torch.cat(seen), order[5 * first :])
    assert order.tolist() != sorted(order.tolist())


@pytest.mark.parametrize(("cache", "workers"), [("none", 2), ("ram", 2), ("vram", 0)])
def test_labels_match_the_images_of_a_data_set_in_every_cache(cache: str, workers: int) -> None:
    """Held out and limited, an image still has the label that the whole split gives to its pixels."""
    limits = {"limit_per_class": 6, "limit_images": 50, "limit_test_per_class": 1, "hold_out": 0.2}
    way = {"method": "supcon", "batch_size": 7, "cache": cache, "num_workers": workers}
    config = PretrainConfig.from_values({"dataset": "shapes", "image_size": SIDE, **limits, **way})
    dataset = load(config, lambda kind, message: pytest.fail(f"{kind}: {message}"))
    assert dataset.train is not None
    pixels = [image.numpy().tobytes() for image in dataset.train.images.take(range(60))]
    label_of = dict(zip(pixels, dataset.train.labels.tolist(), strict=True))
    assert len(label_of) == 60
    loader = ViewLoader(
        dataset.pretrain.images, config, prepare(device="cpu", threads=0), workers=workers,
        labels=dataset.pretrain.labels,
    )  # fmt: skip
    seen = []
    for batch in loader.epoch(1):
        assert batch.labels is not None
        images = batch.images if loader._resident is None else loader._resident[batch.images]
        assert batch.labels.tolist() == [label_of[image.numpy().tobytes()] for image in images]
        seen += batch.labels.tolist()
    assert len(seen) == 35  # 40 are trained on
    loader.close()


def test_a_split_whose_labels_are_not_asked_for_gives_none(make_loader: Make) -> None:
    assert {batch.labels for batch in make_loader().epoch(1)} == {None}


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("augment", ["kornia", "torchvision"])
def test_with_the_same_draws_for_a_batch_images_share_them_and_views_do_not(
    images: Images, make_loader: Make, augment: str, views: int
) -> None:
    """All images are one picture here, so that what differs is what was drawn."""
    one_picture = Images(images.stored[:1].repeat(COUNT, 1, 1, 1))
    settings = {"augment": augment, "views": views, "method": "cross-entropy", "source": one_picture}
    together = all_views(make_loader(same_on_batch=True, **settings), 1)
    apart = all_views(make_loader(**settings), 1)
    for batch, other in zip(together, apart, strict=True):
        for view, its_own in zip(batch.chunk(views), other.chunk(views), strict=True):
            assert torch.equal(view, view[:1].expand_as(view))
            assert torch.equal(view[0], its_own[0])
            assert not torch.equal(its_own[0], its_own[1])
        firsts = [view[0] for view in batch.chunk(views)]
        assert len({first.numpy().tobytes() for first in firsts}) == views
    assert len({batch[0].numpy().tobytes() for batch in together}) == len(together)
    assert same(all_views(make_loader(same_on_batch=True, **settings), 1, first=2), together[2:])


def test_validation_pairs_are_the_same_each_time_and_the_remainder_is_dropped(make_loader: Make) -> None:
    loader = make_loader()
    passes = [[loader.views(batch) for batch in loader.fixed_views(7, drop_last=True)] for _ in range(2)]
    assert same(*passes)
    assert [len(views) for views in passes[0]] == [14] * 3


def test_validation_pairs_are_drawn_for_validation_and_are_no_epochs(make_loader: Make) -> None:
    order_N = permutation(42, "validation", COUNT)
    uniforms_NVK = uniforms(42, "validation", COUNT, 2, UNIFORMS_PER_VIEW)
    for number, batch in enumerate(make_loader().fixed_views(7, drop_last=True)):
        assert batch.draws is not None
        assert torch.equal(batch.draws, uniforms_NVK[order_N[7 * number : 7 * number + 7]])


def test_a_batch_is_named_by_its_place_in_the_epoch_wherever_that_began(
    make_loader: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told of a worker that is lost."""
    loader, named = make_loader(), list[str]()
    answers = WorkerPool.answers

    def answers_and_names(
        self: WorkerPool, requests: Sequence[object], where: Callable[[int], str]
    ) -> Iterator[Tensor]:
        named.extend(where(number) for number in range(len(requests)))
        return answers(self, requests, where)

    monkeypatch.setattr(WorkerPool, "answers", answers_and_names)
    assert len(list(loader.epoch(2, first_batch=2))) == len(list(loader.fixed_views(11, drop_last=True))) == 2
    epoch, validation = ("epoch 2, batch {} of 4", "validation, batch {} of 2")
    assert named == [epoch.format(3), epoch.format(4), validation.format(1), validation.format(2)]


def test_closing_ends_the_thread_that_draws_tables(make_loader: Make) -> None:
    loader = make_loader(augment="fused", cache="vram")
    assert loader._tables is not None
    thread = loader._tables._thread
    loader.close()
    with pytest.raises(RuntimeError, match="after shutdown"):
        thread.submit(int)


@pytest.mark.parametrize("wanted", [True, False])
def test_memory_is_page_locked_for_a_cuda_device_only(images: Images, wanted: bool) -> None:
    config = PretrainConfig(image_size=SIDE, batch_size=5, pin_memory=wanted)
    cpu = prepare(device="cpu", threads=0)
    for machine, is_pinned in ((cpu, False), (replace(cpu, device=torch.device("cuda")), wanted)):
        loader = ViewLoader(images, config, machine, workers=2)
        assert loader._pool is not None
        assert loader._pool._pin_memory is is_pinned


def test_where_the_remainder_is_kept_every_image_is_validated_on_once(make_loader: Make) -> None:
    loader = make_loader(labels=torch.arange(COUNT))
    batches = list(loader.fixed_views(7, drop_last=False))
    assert [len(loader.views(batch)) for batch in batches] == [14] * 3 + [4]
    seen = [batch.labels for batch in batches if batch.labels is not None]
    assert torch.cat(seen).sort().values.tolist() == list(range(COUNT))


def test_a_folder_that_lies_class_by_class_is_validated_in_mixed_batches(make_loader: Make) -> None:
    by_class = torch.arange(COUNT) * 3 // COUNT
    for batch in make_loader(labels=by_class).fixed_views(7, drop_last=True):
        assert batch.labels is not None
        assert set(batch.labels.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(("augment", "workers"), [("torchvision", 0), ("torchvision", 1), ("kornia", 0)])
def test_what_the_loader_itself_augments_is_told_as_its_own_part(make_loader: Make, augment: str, workers: int) -> None:
    """Without workers torchvision works in this process; what a step makes of a batch is the step's, draws included."""
    of_loader: list[str] = []
    of_step: list[str] = []

    @contextmanager
    def part(name: str, entered: list[str] = of_loader) -> Iterator[None]:
        entered.append(name)
        yield

    loader = make_loader(workers, augment=augment)
    for batch in loader.epoch(1, part=part):
        loader.views(batch, partial(part, entered=of_step))
    by_loader = augment == "torchvision"
    assert of_loader == ([HOST_AUGMENTATION] * (COUNT // 5) if by_loader and not workers else [])
    assert not workers or loader._answers.part is unmeasured, "a worker would fill a timer that nobody reads"
    assert of_step == ([COPY] if by_loader else [COPY, AUGMENTATION]) * (COUNT // 5)
    assert len(list(loader.fixed_views(7, drop_last=True))) == 3
    assert len(of_loader) in (0, COUNT // 5), "validation is none of the epoch's augmentation"


def test_the_global_generator_is_left_alone(images: Images, make_loader: Make) -> None:
    before = torch.get_rng_state()
    all_views(make_loader(workers=1), 1)
    assert torch.equal(torch.get_rng_state(), before)
