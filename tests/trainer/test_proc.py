"""What the kernel tells of real processes."""

import os
import signal
import subprocess
import sys

from tests.processes import until
from trainer.proc import catches, command_line, descendants, is_stopped, session, state
from trainer.process import start_ticks


def test_a_stopped_process_is_told_from_one_that_runs_and_one_that_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert not is_stopped(child.pid)
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: is_stopped(child.pid))
    os.kill(child.pid, signal.SIGCONT)
    until(lambda: not is_stopped(child.pid))
    child.kill()
    child.wait()
    assert state(child.pid) is None
    assert not is_stopped(child.pid)


def test_a_process_is_told_by_the_words_that_it_was_started_with() -> None:
    words = [sys.executable, "-c", "import time; time.sleep(60)", "a word", "", "größer"]
    child = subprocess.Popen(words)
    until(lambda: command_line(child.pid) == words)
    child.kill()
    child.wait()
    assert command_line(child.pid) == []


def test_descendants_are_children_and_theirs_with_what_they_are_known_by() -> None:
    code = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).wait()"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: len(descendants(child.pid)) == 1)
    grandchild = next(iter(descendants(child.pid)))
    found = descendants(os.getpid())
    assert found[child.pid] == start_ticks(child.pid)
    assert found[grandchild] == start_ticks(grandchild)
    assert os.getpid() not in found
    os.kill(grandchild, signal.SIGKILL)
    child.wait()


def test_only_a_process_with_a_handler_catches_a_signal() -> None:
    code = (
        "import faulthandler, signal, time; faulthandler.register(signal.SIGUSR2); print('on', flush=True);"
        " time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    assert catches(child.pid, signal.SIGUSR2)
    assert not catches(child.pid, signal.SIGUSR1)
    child.kill()
    child.wait()
    child.stdout.close()
    assert not catches(child.pid, signal.SIGUSR2)


def test_a_process_has_the_session_of_its_parent_or_one_of_its_own() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    children = [subprocess.Popen(command, start_new_session=own) for own in (False, True)]
    until(lambda: session(children[1].pid) == children[1].pid)
    assert session(children[0].pid) == os.getsid(0)
    for child in children:
        child.kill()
        child.wait()
        assert session(child.pid) is None
