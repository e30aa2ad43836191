"""Fused views equal Kornia's and torchvision's, given the same parameters, on extreme images and parameters too."""

import dataclasses
import inspect
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.trainer.fused.cases import STAGES, Case, case, every_case
from tests.trainer.photographs import photographs
from tests.trainer.recipes import TUTORIAL
from trainer import augment_kornia, augment_torchvision
from trainer.augment import CONTRAST, HUE, UNIFORMS_PER_VIEW, draw_parameters, view_major
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.fused import grouped, plain, table
from trainer.fused.views import by_image, make_fused_views
from trainer.randomness import uniforms

STAGE, CHAIN, TORCHVISION_HUE = 2e-5, 1e-4, 5e-4
"""Largest differences allowed, where black is 0 and white is 1."""

CASES = every_case()
PASSES = [plain, grouped]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fused(chosen: Case, way: object = grouped, rows_MK: Tensor | None = None) -> Tensor:
    """The views by one of the ways."""
    rows_MK = table.pack(chosen.parameters, chosen.recipe) if rows_MK is None else rows_MK
    images = len(chosen.images)
    arguments = (chosen.images, by_image(rows_MK, images), torch.arange(images), chosen.recipe, chosen.size)
    views: Tensor = way.fused_views(*arguments)  # type: ignore[attr-defined]
    return views


def kornias(chosen: Case) -> Tensor:
    return augment_kornia.augment_batch(chosen.images, chosen.parameters, chosen.recipe, chosen.size)


@pytest.mark.parametrize("way", PASSES)
@pytest.mark.parametrize("name", CASES)
def test_views_equal_kornias(name: str, way: object) -> None:
    chosen = CASES[name]
    assert chosen.difference(fused(chosen, way), kornias(chosen)) < (STAGE if name in STAGES else CHAIN)


@pytest.mark.parametrize("name", ["every order", "hue by half a turn", "double contrast"])
def test_colours_chain_by_chain_equal_those_step_by_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches go the one way and large ones the other."""
    chosen = CASES[name]
    by_step = fused(chosen)
    monkeypatch.setattr(grouped, "_FEW", 0)
    for piece in (1, 2**16):
        monkeypatch.setattr(grouped, "_PIECE", piece)
        assert chosen.difference(fused(chosen), by_step) < 1e-6
        assert chosen.difference(fused(chosen), kornias(chosen)) < CHAIN


@pytest.mark.parametrize("name", CASES)
def test_views_equal_torchvisions(name: str) -> None:
    chosen = CASES[name]
    expected = augment_torchvision.augment_batch(chosen.images, chosen.parameters, chosen.recipe, chosen.size)
    has_hue = bool(chosen.recipe.strengths[HUE]) and name not in STAGES
    assert chosen.difference(fused(chosen), expected) < (
        TORCHVISION_HUE if has_hue else STAGE if name in STAGES else CHAIN
    )


@pytest.mark.parametrize(("source", "size"), [(32, 32), (96, 96), (110, 96), (40, 64)])
def test_views_of_photographs_equal_kornias_at_every_kind_of_size(source: int, size: int) -> None:
    """Small and large views are made by other operations on a CPU."""
    images = photographs(6, source)
    draws = view_major(uniforms(3, 1, 6, 2, UNIFORMS_PER_VIEW))
    parameters = draw_parameters(draws, TUTORIAL, source, source)
    chosen = Case(images, parameters, dataclasses.replace(TUTORIAL, blur_kernel_size=size // 20 * 2 + 1), size)
    expected = kornias(chosen)
    assert chosen.difference(fused(chosen), expected) < CHAIN
    assert chosen.difference(fused(chosen, plain), expected) < CHAIN


@pytest.mark.parametrize("way", PASSES)
def test_another_luma_order_factor_or_flip_is_seen(way: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    chosen = case(strengths=(0.5, 0.5, 0.5, 0.1), jitter_probability=1.0)
    expected = kornias(chosen)
    rows_MK = table.pack(chosen.parameters, chosen.recipe)
    for column in (table.OPERATIONS, table.OPERATIONS + 1, table.FACTORS, table.FLIP):
        changed = rows_MK.clone()
        changed[:, column] = 1 - rows_MK[:, column] if column == table.FLIP else rows_MK[:, column + 1]
        assert chosen.difference(fused(chosen, way, changed), expected) > 100 * CHAIN
    monkeypatch.setattr(way, "LUMA_WEIGHTS", (0.299, 0.587, 0.114))
    gray = case(**{**STAGES["grayscale"], "grayscale_probability": 1.0})
    assert gray.difference(fused(gray, way), kornias(gray)) > STAGE


def test_contrast_takes_the_mean_of_the_image_as_it_is_at_that_moment() -> None:
    """The negative control: the mean of the crop would be another picture where brightness came before."""
    chosen = case(strengths=(0.5, 0.5, 0.0, 0.0), jitter_probability=1.0, blur_probability=0.0, views=2)
    rows_MK = table.pack(chosen.parameters, chosen.recipe)
    operations = rows_MK[:, table.OPERATIONS : table.OPERATIONS + 4]
    both_ways = (operations == CONTRAST).int().argmax(1) < (operations == 0).int().argmax(1)
    assert both_ways.any()
    assert not both_ways.all()
    swapped = dataclasses.replace(
        chosen, parameters=dataclasses.replace(chosen.parameters, order=chosen.parameters.order.flip(1))
    )
    assert chosen.difference(kornias(swapped), kornias(chosen)) > 100 * CHAIN


def test_bfloat16_is_rounded_once_after_the_last_step() -> None:
    chosen = case(16, 16, 16)
    config = PretrainConfig.from_values({"image_size": 16, "blur_kernel": 3, "device": "cpu", "precision": "bfloat16"})
    machine = prepare(device="cpu", threads=1, precision="bfloat16", channels_last="yes")
    images = len(chosen.images)
    rows_BVK = by_image(table.pack(chosen.parameters, chosen.recipe), images)
    views = make_fused_views(config, machine)(chosen.images, rows_BVK, torch.arange(images))
    assert views.dtype == torch.bfloat16
    assert views.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(views, fused(chosen).bfloat16())


def test_a_batch_takes_its_images_and_rows_by_their_numbers() -> None:
    chosen = CASES["imagenet"]
    rows_NVK = by_image(table.pack(chosen.parameters, chosen.recipe), len(chosen.images))
    indices_B = torch.tensor([5, 0, 6])
    for way in PASSES:
        whole = fused(chosen, way).unflatten(0, (2, -1))
        some = way.fused_views(chosen.images, rows_NVK, indices_B, chosen.recipe, chosen.size)
        assert chosen.recipe.normalisation == "imagenet"
        assert torch.allclose(some.unflatten(0, (2, -1)), whole[:, indices_B], atol=1e-6)


def test_the_passes_ask_nothing_of_the_device_and_have_static_shapes() -> None:
    """Traced with tensors that hold no numbers: a step that looked at one would raise."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        images = torch.empty(9, 3, 20, 20, dtype=torch.uint8)
        views = plain.fused_views(images, torch.empty(9, 2, table.COLUMNS), torch.arange(4), TUTORIAL, 10)
    assert views.shape == (8, 3, 10, 10)
    assert "nonzero" not in inspect.getsource(plain)


@pytest.mark.parametrize(("longest", "size"), [(12, 12), (13, 12), (23, 12), (24, 12), (29, 10), (96, 33), (110, 96)])
def test_enough_old_pixels_are_looked_at_for_any_crop(longest: int, size: int) -> None:
    most = 0
    for length in range(1, longest + 1):
        support = max(length / size, 1.0)
        for place in range(size):
            centre = (place + 0.5) * length / size
            first = max(math.floor(centre - support + 0.5), 0)
            parts = [old for old in range(length) if abs(old + 0.5 - centre) < support]
            most = max(most, parts[-1] + 1 - first)
    assert most <= plain.taps_of(longest, longest, size)
