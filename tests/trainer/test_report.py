"""What a trainer prints, and that nobody who stops reading ends it."""

import subprocess
import sys

import pytest

from trainer.report import LineReporter, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (8.4, "8 s"),
        (60, "1 min"),
        (367, "6 min 7 s"),
        (3600, "1 h"),
        (14_700, "4 h 5 min"),
        (3605, "1 h"),
        (183_600, "2 d 3 h"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_lines_come_at_a_stages_ends_and_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = LineReporter()
    for step in range(1, 101):
        reporter.progress("pretraining, step", step, 100, "loss [1.0]")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "pretraining, step 1 of 100 loss [1.0]",
        "pretraining, step 100 of 100 loss [1.0]",
    ]


def test_a_pipe_that_was_closed_is_no_reason_to_end() -> None:
    code = (
        "import os, sys; from trainer.report import LineReporter\n"
        "reporter = LineReporter(); read, write = os.pipe(); os.dup2(write, 1); os.close(read); os.close(write)\n"
        "reporter.note('nobody reads this'); print('alive', file=sys.stderr); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "alive\n"


def test_without_the_guard_it_would_end() -> None:
    """The negative control."""
    code = (
        "import os; read, write = os.pipe(); os.dup2(write, 1); os.close(read); os.close(write); print(1, flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "BrokenPipeError" in done.stderr
