"""Tests of benchmarks that are made small."""

import pytest

from trainer.config import PretrainConfig
from trainer.lab.scale import scale_words, scaled


def test_at_scale_one_nothing_changes() -> None:
    base = PretrainConfig()
    assert scaled(base, 1) is base
    assert scale_words(base, 1) == ""


def test_images_model_data_and_batches_shrink_together() -> None:
    small = scaled(PretrainConfig(), 0.25)
    assert (small.image_size, small.width_multiplier, small.limit_images, small.batch_size) == (24, 0.25, 25_000, 64)


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.1, 0.05])
def test_an_epoch_keeps_its_number_of_steps(scale: float) -> None:
    small = scaled(PretrainConfig(), scale)
    steps = small.limit_images / small.batch_size
    assert steps >= 0.95 * 100_000 / 256 or small.batch_size == 8


@pytest.mark.parametrize("side", [16, 32, 96, 224])
@pytest.mark.parametrize("scale", [0.01, 0.1, 0.33, 0.5, 0.99])
def test_sides_are_multiples_of_eight_from_sixteen_on(side: int, scale: float) -> None:
    small = scaled(PretrainConfig(image_size=side), scale)
    assert small.image_size % 8 == 0
    assert 16 <= small.image_size <= side


def test_nothing_is_made_larger_than_it_was() -> None:
    base = PretrainConfig(dataset="shapes", image_size=18, batch_size=4, width_multiplier=0.125, limit_images=50)
    small = scaled(base, 0.01)
    assert (small.image_size, small.batch_size, small.width_multiplier, small.limit_images) == (16, 4, 0.125, 50)


def test_a_model_that_has_no_width_stays_as_it_is() -> None:
    assert scaled(PretrainConfig(backbone="resnet-narrow"), 0.5).width_multiplier == 1
    assert "resnet-narrow as it is" in scale_words(PretrainConfig(backbone="resnet-narrow"), 0.5)


def test_supervised_runs_count_the_labelled_images() -> None:
    assert scaled(PretrainConfig(method="cross-entropy"), 0.1).limit_images == 500


def test_images_of_a_folder_are_left_since_nobody_knows_how_many_there_are() -> None:
    base = PretrainConfig(dataset="folder:/photos")
    assert scaled(base, 0.5).limit_images == 0
    assert "all images (their number is not known)" in scale_words(base, 0.5)


def test_the_sentence_says_what_was_done() -> None:
    assert scale_words(PretrainConfig(), 0.25) == (
        "Scale 0.25: 24 instead of 96 pixels, width × 0.25, 25,000 images, batches of 64 instead of 256; times are not "
        "those of the full size."
    )
