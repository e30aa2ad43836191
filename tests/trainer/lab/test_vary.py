"""Tests of what a person may write after --vary."""

import os

import pytest

from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.lab.vary import MOST_TRIALS, parse_vary, usual_values


def test_values_are_of_the_settings_types() -> None:
    text = (
        "num_workers=0,2,4 pin_memory=yes,no cache=none,ram,vram augment=kornia,fused batch_size=256,512 "
        "precision=float32,bfloat16 compile=no,graph"
    )
    assert parse_vary(text) == {
        "num_workers": (0, 2, 4),
        "pin_memory": (True, False),
        "cache": ("none", "ram", "vram"),
        "augment": ("kornia", "fused"),
        "batch_size": (256, 512),
        "precision": ("float32", "bfloat16"),
        "compile": ("no", "graph"),
    }


def test_names_may_be_written_as_options_are() -> None:
    assert parse_vary("--num-workers=1 persistent-workers=on,off") == {
        "num_workers": (1,),
        "persistent_workers": (True, False),
    }


def test_a_value_twice_is_tried_once() -> None:
    assert parse_vary("num_workers=2,2,0") == {"num_workers": (2, 0)}


def test_batch_sizes_shrink_with_the_scale() -> None:
    assert parse_vary("batch_size=256,512,16", scale=0.25) == {"batch_size": (64, 128, 8)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_wokers=2", "did you mean num_workers=?"),
        ("temperature=0.1,0.2", "temperature does not decide how fast a step is made"),
        ("spam=1", "choose augment, cache"),
        ("num_workers", "has no values; write num_workers=A,B"),
        ("num_workers=", "has no values"),
        ("num_workers=2 num-workers=4", "num_workers is given twice"),
        ("num_workers=two", "num_workers: 'two' is not a whole number"),
        ("num_workers=2,,4", "num_workers: '' is not a whole number"),
        ("num_workers=65", "is out of bounds"),
        ("pin_memory=maybe", "neither yes nor no"),
        ("cache=disk", "is not one of none, ram, vram"),
    ],
)
def test_what_is_wrong_is_told_with_the_remedy(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_vary(text)
    assert caught.value.setting == "vary"
    assert words in str(caught.value)


def test_a_grid_that_would_take_for_ever_is_refused() -> None:
    many = ",".join(map(str, range(21)))
    with pytest.raises(ConfigError, match=f"above {MOST_TRIALS}"):
        parse_vary(f"num_workers={many} prefetch_factor={many.removeprefix('0,')}")


@pytest.mark.parametrize(
    ("cores", "workers"),
    [(1, (0, 1)), (2, (0, 1, 2)), (6, (0, 1, 2, 4, 6)), (16, (0, 1, 2, 4, 8, 16)), (200, (0, 1, 2, 4, 8, 16, 32, 64))],
)
def test_without_a_word_the_workers_go_up_to_the_cores(
    cores: int, workers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert usual_values(PretrainConfig(), auto=False)["num_workers"] == workers


def test_a_search_tries_the_fused_augmentation_too_and_a_grid_does_not() -> None:
    assert usual_values(PretrainConfig(), auto=True)["augment"] == ("kornia", "fused")
    assert usual_values(PretrainConfig(), auto=False)["augment"] == ("kornia",)
