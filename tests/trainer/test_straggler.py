"""Who is called a straggler: one rank, clearly, and for a while."""

import random
from typing import Any

import pytest

from trainer.straggler import LEAST_SLOWDOWN, find_straggler

STEP = 0.1


def rows(
    own: dict[int, float], *, seconds: float = 60.0, noise: float = 0.0, begin: float = 0.0
) -> list[dict[str, Any]]:
    """A row of each rank every five seconds: its own time of a step, while all wait for the longest."""
    draws = random.Random(0)
    step = max(own.values())
    found = []
    for number in range(int(seconds / 5) + 1):
        for rank, mine in own.items():
            drawn = mine * (1 + noise * draws.uniform(-1, 1))
            found.append({"rank": rank, "at": begin + 5.0 * number, "t_step": step, "t_collective": step - drawn})
    return found


def test_the_delay_and_what_a_step_is_longer_by_are_those_that_were_given() -> None:
    found = find_straggler(rows({0: STEP, 1: 1.12 * STEP, 2: STEP, 3: STEP}))
    assert found is not None
    assert found.rank == 1
    assert found.slowdown == pytest.approx(0.12)
    assert found.delay_seconds == pytest.approx(0.012)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("none is slower", rows({0: STEP, 1: STEP})),
        ("by less than ten percent", rows({0: STEP, 1: STEP * (1 + LEAST_SLOWDOWN - 0.01)})),
        ("only noise", rows({0: STEP, 1: STEP, 2: STEP}, noise=0.3)),
        ("for less than a minute", rows({0: STEP, 1: 2 * STEP}, seconds=45)),
        (
            "in the last third alone",
            rows({0: STEP, 1: STEP}, seconds=80) + rows({0: STEP, 1: 2 * STEP}, seconds=40, begin=85),
        ),
        ("another one each time", rows({0: 2 * STEP, 1: STEP}) + rows({0: STEP, 1: 2 * STEP}, begin=65)),
        ("one rank alone", rows({0: STEP})),
        ("nothing at all", []),
        ("long ago", rows({0: STEP, 1: 2 * STEP}) + rows({0: STEP, 1: STEP}, begin=200, seconds=120)),
        ("a rank that tells nothing of its steps", [row | {"t_step": None} for row in rows({0: STEP, 1: 2 * STEP})]),
        (
            "nothing of its collectives",
            [row | {"t_collective": None} for row in rows({0: STEP, 1: 2 * STEP})],
        ),
    ],
)
def test_nobody_is_named(name: str, given: list[dict[str, Any]]) -> None:
    assert find_straggler(given) is None, name


def test_it_is_named_in_noise_too() -> None:
    found = find_straggler(rows({0: STEP, 1: STEP, 2: 1.3 * STEP}, noise=0.1))
    assert found is not None
    assert found.rank == 2


def test_noise_alone_names_somebody_in_hardly_any_window() -> None:
    """Own times that differ by half from moment to moment, as on a machine with too few cores, but not by rank."""
    draws = random.Random(1)
    named = 0
    for _ in range(400):
        given = [
            {"rank": rank, "at": 5.0 * number, "t_step": STEP, "t_collective": STEP * draws.uniform(0.3, 0.9)}
            for number in range(24)
            for rank in range(2)
        ]
        named += find_straggler(given) is not None
    assert named <= 2
