"""What the ranks of a group bear with: a first rank that is busy for long, and problems of any of them."""

import time
from datetime import timedelta
from typing import Any

import pytest

from tests.trainer.ranks import on_ranks
from trainer.errors import BusyError, TrainerError
from trainer.group import PATIENCE, Line, Word

SHORT = timedelta(seconds=1)
EVALUATION_SECONDS = 2.5


def long_evaluation(line: Line) -> list[Any]:
    """The first rank is busy with something in which the others have no part, and then goes on with a step."""
    if line.ranks.leads:
        time.sleep(EVALUATION_SECONDS)
        line.say(Word.STEP, 7)
        return [int(Word.STEP), 7]
    word, number = line.hear()
    return [int(word), number]


def problems(line: Line) -> list[Any]:
    """What all ranks hear where none, one and two of them can't take part."""
    heard = []
    for broken in ({}, {1: BusyError("held")}, {1: TrainerError("first"), 2: BusyError("second")}):
        found = line.hear_all(broken.get(line.ranks.rank))
        heard.append(None if found is None else [str(found), int(found.exit_code)])
    return heard


def test_the_others_wait_for_as_long_as_the_first_one_evaluates() -> None:
    assert timedelta(days=1) < PATIENCE
    assert on_ranks(2, long_evaluation) == [[int(Word.STEP), 7]] * 2


def test_a_timeout_that_is_shorter_than_an_evaluation_would_end_them() -> None:
    with pytest.raises(AssertionError, match=r"rank 1:[\s\S]*(Timed out|timed out)"):
        on_ranks(2, long_evaluation, patience=SHORT)


def test_every_rank_hears_the_first_problem_with_its_exit_code() -> None:
    assert on_ranks(3, problems) == [[None, ["held", 75], ["first", 1]]] * 3
