"""Shares of a batch, and what can't be shared out."""

import dataclasses
from typing import Any

import pytest

from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.ranks import ALONE, Ranks
from trainer.shares import check_shares, share

TWO = Ranks(0, 2)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_shares_are_the_batch_in_its_order(world: int) -> None:
    images = list(range(100, 130))
    pieces = [images[share(slice(6, 18), Ranks(rank, world))] for rank in range(world)]
    assert [image for piece in pieces for image in piece] == images[6:18]
    assert {len(piece) for piece in pieces} == {12 // world}


def test_a_batch_that_can_not_be_shared_out_is_an_error() -> None:
    with pytest.raises(ConfigError, match="7 images can't be shared out evenly among 2"):
        share(slice(0, 7), TWO)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 255}, "255 is no multiple of the 2 ranks; give 254 or 256"),
        ({"batch_size": 333, "drop_last": False}, "no multiple"),
        ({"batch_size": 998, "drop_last": False}, ""),
        ({"batch_size": 998, "drop_last": True}, ""),
        ({"batch_size": 250, "drop_last": False}, "last batch of 249 images"),
        ({"same_on_batch": True}, "no first image"),
        ({"compile": "graph"}, "with several ranks give auto, no or yes"),
        ({"compile": "yes"}, ""),
        ({"device": "cuda:1"}, "is one device"),
    ],
)
def test_what_several_ranks_can_not_do_is_refused_before_anything_is_trained(
    settings: dict[str, Any], said: str
) -> None:
    config = dataclasses.replace(PretrainConfig(), **settings)
    check_shares(config, 999, ALONE)
    count = 1000 if settings.get("batch_size") == 998 else 999
    if not said:
        check_shares(config, count, TWO)
        return
    with pytest.raises(ConfigError, match=said):
        check_shares(config, count, TWO)
