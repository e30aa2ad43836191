"""Who a process is among its ranks."""

import pytest

from trainer.errors import ConfigError
from trainer.ranks import ALONE, Ranks, ranks_of, starts_again


def test_without_a_launcher_a_process_is_alone() -> None:
    assert ranks_of({}) == ranks_of({"WORLD_SIZE": ""}) == ALONE
    assert ALONE.is_alone
    assert ALONE.leads


def test_a_launcher_says_who_a_process_is() -> None:
    ranks = ranks_of({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
    assert ranks == Ranks(5, 8, 1)
    words = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    assert ranks_of(words) == Ranks(5, 8, 1, local_world=4)
    assert not ranks.is_alone
    assert not ranks.leads


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


def test_whether_a_launcher_starts_ranks_again_is_read_as_it_says_it() -> None:
    assert starts_again({"TORCHELASTIC_MAX_RESTARTS": "3"})
    assert not any(map(starts_again, ({}, {"TORCHELASTIC_MAX_RESTARTS": "0"}, {"TORCHELASTIC_MAX_RESTARTS": ""})))
