"""Who a process is among its ranks, and what they tell each other."""

import pytest
import torch

from tests.trainer.distributed.ranks import on_ranks
from trainer.distributed.group import ALONE, Ranks, fingerprints_differ, from_first, highest, ranks_of
from trainer.distributed.shares import check_shares, share
from trainer.errors import ConfigError


def test_without_a_launcher_a_process_is_alone() -> None:
    assert ranks_of({}) == ranks_of({"WORLD_SIZE": ""}) == ALONE
    assert ALONE.is_alone
    assert ALONE.is_first


def test_a_launcher_says_who_a_process_is() -> None:
    ranks = ranks_of({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
    assert ranks == Ranks(5, 8, 1)
    assert not ranks.is_alone
    assert not ranks.is_first


@pytest.mark.parametrize(
    "words",
    [
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": "two", "RANK": "0", "LOCAL_RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": "2", "LOCAL_RANK": "0"},
        {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "-1"},
    ],
)
def test_words_that_make_no_sense_are_a_sentence_with_the_remedy(words: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="torchrun"):
        ranks_of(words)


def conversation(ranks: Ranks) -> tuple[int, object, bool, bool]:
    """What is told around."""
    same = torch.arange(7.0)
    other = same.clone()
    if ranks.rank == 1:
        other[3] = torch.nextafter(other[3], torch.tensor(9.0))
    told = from_first({"run": "abc"} if ranks.is_first else None, ranks)
    return highest(ranks.rank * 3, ranks), told, fingerprints_differ(same, ranks), fingerprints_differ(other, ranks)


def test_what_one_rank_knows_all_know_and_weights_that_part_by_a_bit_are_seen() -> None:
    assert on_ranks(3, conversation) == [(6, {"run": "abc"}, False, True)] * 3
    assert conversation(ALONE) == (0, {"run": "abc"}, False, False)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_shares_are_the_batch_in_its_order(world: int) -> None:
    images = list(range(12))
    pieces = [images[share(12, Ranks(rank, world))] for rank in range(world)]
    assert [image for piece in pieces for image in piece] == images
    assert {len(piece) for piece in pieces} == {12 // world}


def test_what_can_not_be_shared_out_is_refused_before_anything_is_trained() -> None:
    two = Ranks(0, 2)
    check_shares(256, 1000, drop_last=True, ranks=two)
    check_shares(256, 1000, drop_last=False, ranks=two)
    with pytest.raises(ConfigError, match="255 is no multiple of the 2 ranks; give 254 or 256"):
        check_shares(255, 1000, drop_last=True, ranks=two)
    with pytest.raises(ConfigError, match="last batch of 1 images"):
        check_shares(256, 257, drop_last=False, ranks=two)
    with pytest.raises(ConfigError, match="can't be shared out"):
        share(7, two)
