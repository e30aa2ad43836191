"""Memory and open files of a dashboard stay flat, however long a run grows under it."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

MINUTES = float(os.environ.get("SIMCLR_TUI_SOAK_MINUTES", "10"))
"""Of polls back to back in the long test: at 20 polls a second ten minutes are more than an hour and a half of use."""

POLLS = 300
MOST_BYTES_A_POLL = 16 << 10
"""Resident memory that a poll may leave behind, with what the store itself has more: events, epochs, points."""
MOST_FILES = 2
"""More that may be open at the end than at first: a log of SQLite's that happens to be open."""

Sample = tuple[int, int, int]


def live(runs: Path, *words: str, timeout: float = 280) -> list[Sample]:
    """What a session took, by poll."""
    command = [sys.executable, "-m", "tests.simclr_tui.growth", str(runs), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return [tuple(one) for one in json.loads(done.stdout)]


def growth(samples: list[Sample]) -> tuple[float, int]:
    """Bytes a poll and open files more, between the second fifth of a session and its last one.

    The first fifth fills what is filled once: modules, caches of styles, screens.
    """
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]

    def middle(some: list[Sample], column: int) -> float:
        return statistics.median(one[column] for one in some)

    polls = middle(late, 0) - middle(early, 0)
    return (middle(late, 1) - middle(early, 1)) / polls, int(middle(late, 2) - middle(early, 2))


@pytest.mark.timeout(300)
@pytest.mark.screens
def test_three_hundred_polls_of_a_growing_store_leave_memory_and_files_as_they_were(runs: Path) -> None:
    memory, files = growth(live(runs, "--polls", str(POLLS)))
    assert memory <= MOST_BYTES_A_POLL
    assert files <= MOST_FILES


@pytest.mark.timeout(300)
@pytest.mark.screens
def test_a_dashboard_that_keeps_something_at_every_poll_would_be_found(runs: Path) -> None:
    memory, files = growth(live(runs, "--polls", "100", "--leaks"))
    assert memory > MOST_BYTES_A_POLL
    assert files > MOST_FILES


@pytest.mark.soak
@pytest.mark.timeout(60 * MINUTES + 300)
def test_a_session_of_hours_leaves_memory_and_files_as_they_were(runs: Path) -> None:
    samples = live(runs, "--seconds", str(60 * MINUTES), timeout=60 * MINUTES + 240)
    memory, files = growth(samples)
    print(
        f"{samples[-1][0]} polls: {memory:.0f} bytes a poll, {files} files more, {samples[-1][1] >> 20} MiB at the end"
    )
    assert memory <= MOST_BYTES_A_POLL
    assert files <= MOST_FILES
