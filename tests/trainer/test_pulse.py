"""The page of memory that says whether a trainer gets on, read from another process."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import pytest

from trainer.pulse import PHASES, Pulse


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    """A page that can be given away."""
    made = Pulse.shared()
    yield made
    made.close()


def test_a_new_pulse_is_of_a_trainer_that_starts(pulse: Pulse) -> None:
    assert pulse.read() == (0, "starting", 0, 0.0)


def test_every_beat_and_every_phase_is_progress(pulse: Pulse) -> None:
    seen = [pulse.read().beats]
    acts: list[Callable[[], None]] = [pulse.beat, lambda: pulse.beat(7), *[lambda: pulse.enter("saving")] * 2]
    for act in acts:
        act()
        seen.append(pulse.read().beats)
    assert seen == sorted(set(seen))
    assert pulse.read()[1:3] == ("saving", 7)


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_comes_back_as_it_was_entered(pulse: Pulse, phase: str) -> None:
    pulse.enter(phase)
    assert pulse.read().phase == phase


def test_another_process_reads_what_is_beaten_here_later(pulse: Pulse) -> None:
    assert pulse.descriptor is not None
    code = f"""
        import sys
        from trainer.pulse import Pulse
        pulse = Pulse({pulse.descriptor})
        for _ in sys.stdin:
            print(*pulse.read(), flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=(pulse.descriptor,)
    )
    assert child.stdin is not None
    assert child.stdout is not None
    answers = []
    for step in (1, 10**12):
        pulse.beat(step)
        pulse.pace(0.25)
        child.stdin.write("\n")
        child.stdin.flush()
        answers.append(child.stdout.readline().split())
    child.stdin.close()
    child.wait()
    child.stdout.close()
    assert answers == [["1", "starting", "1", "0.25"], ["2", "starting", str(10**12), "0.25"]]


def test_the_descriptor_is_not_inherited_by_itself(pulse: Pulse) -> None:
    assert pulse.descriptor is not None
    assert not os.get_inheritable(pulse.descriptor)


def test_a_beat_costs_next_to_nothing(pulse: Pulse) -> None:
    """A thousand beats take less than one write of a row, so that the loop can make one at every step."""
    begun = time.process_time()
    for step in range(1000):
        pulse.beat(step)
    assert time.process_time() - begun < 0.25
    assert pulse.read().beats == 1000
