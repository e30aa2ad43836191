"""What is said of a replay is true, whatever the steps give the second time."""

import itertools
import math
from typing import Any

import pytest

from tests.trainer.test_store import step_row
from trainer.replay_check import COMPARED, ReplayCheck, tolerance

Said = list[tuple[str, str, int | None]]


def replayed(
    stored: list[float | None],
    now: list[float | None],
    *,
    doubted_to: int = 0,
    changed: str = "",
    ended: bool = False,
) -> Said:
    """What is said when the steps after 10, stored with these losses, are run again and give those."""
    said: Said = []

    def tell(message: str, *, level: str, step: int | None) -> None:
        said.append((level, message, step))

    check = ReplayCheck(
        [_stored(step, loss) for step, loss in enumerate(stored, start=11)],
        resumed_after=10,
        doubt=lambda step: "threads 2 → 1" if step <= doubted_to else "",
        changed=changed,
        tell=tell,
    )
    for step, loss in enumerate(now, start=11):
        check.compare(step_row(step, loss))
    if ended:
        check.end()
    return said


def _stored(step: int, loss: float | None) -> dict[str, Any]:
    row = step_row(step, loss)
    return {name: getattr(row, name) for name in ("step", *COMPARED)}


def just_above(value: float) -> float:
    """The next number."""
    return math.nextafter(value, math.inf)


def test_all_bits_the_same_is_identical_and_said_once() -> None:
    assert replayed([3.0, 2.0, 1.0], [3.0, 2.0, 1.0, 0.5]) == [("info", "replay 3 of 3 identical", None)]


def test_nothing_is_said_where_nothing_is_replayed() -> None:
    assert replayed([], [1.0, 2.0], ended=True) == []


def test_two_losses_that_were_not_finite_are_the_same_and_one_alone_is_not() -> None:
    assert replayed([3.0, None], [3.0, None]) == [("info", "replay 2 of 2 identical", None)]
    (first, _) = replayed([3.0, None], [3.0, 2.0])
    assert first[2] == 12
    assert "loss was not finite and is 2 now; nothing that bits depend on" in first[1]


def test_the_last_bit_is_a_difference_that_is_told_at_once_with_its_step_and_what_changed() -> None:
    said = replayed([3.0, 2.0, 1.0], [3.0, just_above(2.0)], changed="num_workers 0 → 2")
    ((level, message, step),) = said
    assert (level, step) == ("warning", 12)
    assert message.startswith("replay differs from step 12 on: loss was 2 and is 2 now")
    assert "has changed, only num_workers 0 → 2" in message


def test_at_the_end_of_a_replay_that_differs_the_count_is_said_too() -> None:
    (_, (level, message, step)) = replayed([4.0, 2.0, 1.0], [4.0, 2.1, 1.0])
    assert (level, step) == ("warning", 12)
    assert message == "replay 2 of 3 identical, differs from step 12 on, at most 4.8 % apart"


def test_another_figure_than_the_loss_is_a_difference_too() -> None:
    said: list[str] = []
    row = step_row(11, 1.0)
    stored = _stored(11, 1.0) | {"grad_norm": just_above(row.grad_norm or 0)}
    check = ReplayCheck(
        [stored],
        resumed_after=10,
        doubt=lambda _: "",
        changed="",
        tell=lambda message, *, level, step: said.append(message),
    )
    check.compare(row)
    assert "grad_norm was 1 and is 1 now" in said[0]


def test_where_bits_are_not_promised_a_small_difference_is_close_and_never_identical() -> None:
    said = replayed([3.0, 2.0], [3.0, 2.01], doubted_to=12)
    assert said == [
        ("info", "replay 2 of 2 close (largest difference 0.5 %); bits are not promised: threads 2 → 1", None)
    ]


def test_where_bits_are_not_promised_and_all_are_equal_it_is_identical() -> None:
    assert replayed([3.0, 2.0], [3.0, 2.0], doubted_to=12) == [("info", "replay 2 of 2 identical", None)]


def test_where_bits_are_not_promised_a_large_difference_is_a_warning_with_its_first_step() -> None:
    (said,) = replayed([3.0, 2.0, 1.0], [3.0, 3.0, 2.0], doubted_to=13)
    assert said[0] == "warning"
    assert said[1].startswith("replay not close from step 12 on (largest difference 50 %)")
    assert said[2] == 12


def test_steps_from_after_the_change_are_still_held_to_the_bit() -> None:
    said = replayed([3.0, 2.0], [3.01, just_above(2.0)], doubted_to=11)
    assert said[0][1].startswith("replay differs from step 12 on")


def test_a_replay_that_is_cut_short_claims_no_more_than_was_compared() -> None:
    assert replayed([3.0, 2.0, 1.0], [3.0, 2.0], ended=True) == [
        ("info", "replay 2 of 3 identical so far, the run ended before the rest", None)
    ]
    ((_, message, _),) = replayed([3.0, 2.0, 1.0], [3.0, 2.01], doubted_to=13, ended=True)
    assert message.startswith("replay 2 of 3 close so far, the run ended before the rest (largest difference 0.5 %)")
    assert replayed([3.0, 2.0], [], ended=True) == []


def test_every_pattern_of_equal_and_different_steps_is_called_what_it_is() -> None:
    """Against the plain definition: identical if and only if every stored value came again."""
    for pattern in itertools.product([False, True], repeat=4):
        for doubted_to in range(10, 15):
            now = [just_above(1.0) if differs else 1.0 for differs in pattern]
            said = replayed([1.0] * 4, list(now), doubted_to=doubted_to)
            identical = not any(pattern)
            assert (said[-1][1] == "replay 4 of 4 identical") == identical
            broken = [step for step, differs in enumerate(pattern, start=11) if differs and step > doubted_to]
            assert ("warning" in {level for level, _, _ in said}) == bool(broken)
            assert {step for _, _, step in said if step is not None} == set(broken[:1])


@pytest.mark.parametrize("steps", [1, 10, 60, 10_000])
def test_the_tolerance_grows_to_a_bound(steps: int) -> None:
    assert tolerance(steps) <= tolerance(steps + 1) <= 1
    assert tolerance(1) == 0.005
    assert tolerance(2) == pytest.approx(0.005 * 1.15)
    assert tolerance(100) == 0.15
