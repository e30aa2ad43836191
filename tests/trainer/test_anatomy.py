"""Steps and spans on one line, against a raster that is painted by priority."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.anatomy import HOST_PARTS, EpochSums, Timeline
from trainer.parts import AUGMENTATION, EPOCH_PARTS, FORWARD, HOST_AUGMENTATION, STEP_PARTS, UNEXPLAINED, WAIT

_STEP = "step"


@dataclass(frozen=True)
class Piece:
    """Cells of the raster, from one to before another, and what was going on."""

    name: str
    begin: int
    end: int


def pieces(names: list[str], numbers: list[int]) -> list[Piece]:
    """Pieces one after the other: each begins so many cells after the one before and lasts so many."""
    found, at = [], 0
    for name, gap, length in zip(names, numbers[::2], numbers[1::2], strict=False):
        found.append(Piece(name, at + gap, at + gap + length))
        at += gap + length
    return found


numbers = st.lists(st.integers(0, 6), min_size=2, max_size=24)
steps = st.builds(pieces, st.just([_STEP] * 12), numbers)
spans = st.builds(pieces, st.lists(st.sampled_from(HOST_PARTS), min_size=12, max_size=12), numbers)


def painted(steps: list[Piece], spans: list[Piece], length: int) -> list[str]:
    """What each cell of an epoch belongs to: the host's spans first, and the steps over them."""
    cells = [UNEXPLAINED] * length
    for piece in (*spans, *steps):
        for cell in range(piece.begin, min(piece.end, length)):
            cells[cell] = piece.name
    return cells


def folded(steps: list[Piece], spans: list[Piece], length: int, *, chunk: int) -> EpochSums:
    """The same by the timeline, told `chunk` steps at a time with the spans that began before each had ended."""
    sums = EpochSums()
    line = Timeline(sums)
    told = 0
    for first in range(0, len(steps), chunk):
        some = steps[first : first + chunk]
        while told < len(spans) and spans[told].begin < some[-1].end:
            line.add_span(spans[told].name, spans[told].begin, spans[told].end)
            told += 1
        for step in some:
            line.add_step(step.begin, step.end, [(FORWARD, step.end - step.begin)])
    for span in spans[told:]:
        line.add_span(span.name, span.begin, span.end)
    line.fold_to(length)
    return sums


@given(steps=steps, spans=spans, chunk=st.integers(1, 12))
def test_the_line_is_the_raster_on_which_a_step_covers_what_the_host_did(
    steps: list[Piece], spans: list[Piece], chunk: int
) -> None:
    length = max((piece.end for piece in (*steps, *spans)), default=0) + 3
    cells = painted(steps, spans, length)
    sums = folded(steps, spans, length, chunk=chunk)
    assert {part: sums.host[part] for part in HOST_PARTS} == {part: cells.count(part) for part in HOST_PARTS}
    assert sums.step_seconds == cells.count(_STEP)
    assert sums.rows(length)[-1]["seconds"] == cells.count(UNEXPLAINED)


@given(steps=steps, spans=spans, chunk=st.integers(1, 12))
def test_idle_is_what_lies_between_steps_and_is_no_evaluation_or_checkpoint(
    steps: list[Piece], spans: list[Piece], chunk: int
) -> None:
    length = max((piece.end for piece in (*steps, *spans)), default=0) + 3
    cells = painted(steps, spans, length)
    between = cells[steps[0].end : steps[-1].begin] if steps else []
    waited = [cell for cell in between if cell not in (_STEP, "evaluation", "checkpoint")]
    assert folded(steps, spans, length, chunk=chunk).idle_seconds == len(waited)


def test_a_host_that_waits_while_the_device_works_costs_nothing() -> None:
    sums = EpochSums()
    line = Timeline(sums)
    line.add_span(WAIT, 0.0, 9.0)
    line.add_step(1.0, 8.0, [])
    line.fold_to(10.0)
    assert sums.host[WAIT] == 2.0, "the negative control would be 9: what a clock of the host alone says"


def test_nothing_is_kept_of_what_is_folded() -> None:
    sums = EpochSums()
    line = Timeline(sums)
    for step in range(10_000):
        line.add_span(WAIT, step, step + 0.25)
        line.add_step(step + 0.25, step + 1, [])
        assert len(line._spans) <= 1
    assert (sums.steps, sums.host[WAIT]) == (10_000, 2500.0)


def test_the_gap_between_two_epochs_is_not_between_two_steps() -> None:
    sums = EpochSums()
    line = Timeline(sums)
    line.add_step(0.0, 1.0, [])
    line.next_epoch()
    line.add_step(5.0, 6.0, [])
    line.add_step(6.5, 7.0, [])
    assert sums.idle_seconds == 0.5


def test_parts_sum_up_to_the_epoch_and_say_whose_clock_they_are_of() -> None:
    sums = EpochSums()
    line = Timeline(sums)
    line.add_span(WAIT, 0.0, 1.0)
    line.add_step(1.0, 3.0, [("forward", 0.5), ("backward", 1.0)])
    line.fold_to(4.0)
    rows = sums.rows(4.0)
    assert [row["part"] for row in rows] == list(EPOCH_PARTS)
    assert math.fsum(row["seconds"] for row in rows) == pytest.approx(4.0, abs=1e-12)
    assert {row["part"] for row in rows if row["clock"] == "device"} == set(STEP_PARTS)
    assert {row["is_sampled"] for row in rows} == {0}
    seconds = {row["part"]: row["seconds"] for row in rows}
    # A second after the step, and half a one within it that no part accounts for.
    assert seconds[UNEXPLAINED] == 1.5


def test_sampled_parts_are_spread_over_all_steps_and_marked() -> None:
    sums = EpochSums()
    line = Timeline(sums)
    for step in range(8):
        # One eager step of 4 s among steps of 1 s in a graph, which copies its batch outside of the graph.
        is_eager = step % 4 == 0
        parts = [("copy", 0.25), ("forward", 1.0), ("backward", 2.0)] if is_eager else [("copy", 0.25)]
        begin = 10.0 * step
        line.add_step(begin, begin + (4.0 if is_eager else 1.0), parts)
    rows = {row["part"]: row for row in sums.rows(80.0)}
    assert sums.step_seconds == 14.0
    assert rows["backward"]["seconds"] == pytest.approx(14.0 * 2 / 4)
    assert rows["copy"]["seconds"] == pytest.approx(14.0 / 16), "of the eager steps alone, or it would count twice"
    assert rows["backward"]["steps"] == 2
    assert {part for part, row in rows.items() if row["is_sampled"]} == set(STEP_PARTS)
    assert math.fsum(row["seconds"] for row in rows.values()) == pytest.approx(80.0)


def test_an_epoch_without_a_sampled_step_takes_the_shares_of_the_one_before() -> None:
    sums = EpochSums()
    Timeline(sums).add_step(0.0, 3.0, [])
    rows = {row["part"]: row["seconds"] for row in sums.rows(4.0)}
    assert rows[UNEXPLAINED] == 4.0, "nothing is known yet"
    Timeline(sums).add_step(3.0, 5.0, [(FORWARD, 0.5)])
    for _ in range(2):
        sums.clear()
        Timeline(sums).add_step(5.0, 8.0, [])
        rows = {row["part"]: row["seconds"] for row in sums.rows(4.0)}
        assert (rows[FORWARD], rows[UNEXPLAINED]) == (0.75, 3.25)
        assert next(row for row in sums.rows(4.0) if row["part"] == FORWARD)["is_sampled"] == 1


@pytest.mark.parametrize("forward", [0.5, None], ids=["dissected", "in a graph"])
def test_views_that_the_host_makes_between_steps_are_augmentation_by_its_clock(forward: float | None) -> None:
    sums = EpochSums()
    line = Timeline(sums)
    line.add_span(WAIT, 0.0, 1.0)
    line.add_span(HOST_AUGMENTATION, 1.0, 3.5)  # half a second of it beside the step
    line.add_step(3.0, 4.0, [(FORWARD, forward)] if forward else [])
    rows = {row["part"]: row for row in sums.rows(4.0)}
    assert list(rows) == list(EPOCH_PARTS)
    assert (rows[WAIT]["seconds"], rows[AUGMENTATION]["seconds"]) == (1.0, 2.0)
    assert [rows[AUGMENTATION][about] for about in ("clock", "is_sampled", "steps")] == ["host", 0, 1]
    assert rows[FORWARD]["clock"] == "device"
    assert math.fsum(row["seconds"] for row in rows.values()) == pytest.approx(4.0, abs=1e-12)
    assert EpochSums.from_state(sums.to_state()) == sums


def test_shares_of_an_epoch_before_travel_in_a_checkpoint() -> None:
    sums = EpochSums()
    Timeline(sums).add_step(0.0, 2.0, [(FORWARD, 0.5)])
    sums.clear()
    resumed = EpochSums.from_state(sums.to_state())
    Timeline(resumed).add_step(3.0, 6.0, [])
    rows = {row["part"]: row["seconds"] for row in resumed.rows(4.0)}
    assert (rows[FORWARD], rows[UNEXPLAINED]) == (0.75, 3.25)


def test_sums_go_on_from_what_a_checkpoint_kept() -> None:
    whole, first = EpochSums(), EpochSums()
    for sums in (whole, first):
        line = Timeline(sums)
        line.add_span(WAIT, 0.0, 1.0)
        line.add_step(1.0, 2.0, [(FORWARD, 0.5)])
    second = EpochSums.from_state(first.to_state())
    assert second == whole
    for sums in (whole, second):
        Timeline(sums).add_step(3.0, 4.0, [(FORWARD, 0.25)])
    assert second == whole
    assert EpochSums.from_state({}) == EpochSums(), "an older version kept none"
    whole.clear()
    assert whole == EpochSums()


def test_a_step_that_seems_to_begin_before_what_is_counted_has_only_what_comes_after_it() -> None:
    """The two clocks are brought together anew again and again, and never perfectly."""
    sums = EpochSums()
    line = Timeline(sums)
    line.add_span(WAIT, 0.0, 2.0)
    line.fold_to(2.0)
    line.add_step(1.5, 4.0, [])
    line.add_step(3.5, 5.0, [])
    line.add_step(4.0, 4.5, [])
    assert sums.host[WAIT] == 2.0
    assert sums.step_seconds == 3.0
    assert sums.idle_seconds == 0.0
