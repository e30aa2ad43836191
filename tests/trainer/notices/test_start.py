"""What the trainer does for its notices: it starts a messenger that is nobody's child, or says why there is none."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.trainer.test_store import make_run
from trainer.addresses import notify_file
from trainer.control import Control
from trainer.job import Job
from trainer.notices import start
from trainer.notices.start import Notices, ends_all
from trainer.pulse import Pulse
from trainer.report import make_reporter
from trainer.store import RunStore


@pytest.fixture
def job(store: RunStore, runs: Path) -> Job:
    """A claimed run."""
    run_id = make_run(store)
    return Job(store.run(run_id), store, runs, Control(store, run_id), make_reporter(headless=False))


def set_up(address: str = "json://me:hush-hush@127.0.0.1:1/a-secret-path") -> Path:
    """A person's file."""
    file = notify_file()
    file.parent.mkdir(parents=True)
    file.write_text(f'[to]\nhook = "{address}"\n')
    file.chmod(0o600)
    return file


def warnings(job: Job) -> list[str]:
    """What the store says."""
    return [event.message for event in job.store.events(run_id=job.run.id) if event.level == "warning"]


def test_where_nothing_is_set_up_nothing_is_started_or_said(job: Job) -> None:
    notices = Notices()
    notices.begin(job)
    notices.linger()
    assert notices._over is None
    assert warnings(job) == []


def test_addresses_that_others_can_read_are_said_at_once_and_the_run_goes_on(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    file = set_up()
    file.chmod(0o644)
    Notices().begin(job)
    assert len(warnings(job)) == 1
    assert warnings(job)[0].startswith(f"nobody will be told what becomes of this run: {file}: others may read")
    assert "chmod 600" in capsys.readouterr().out


def test_a_package_that_is_missing_is_said_at_once_and_the_run_goes_on(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    notices = Notices()
    notices.begin(job)
    assert "pip install 'simclr-tui[notify]'" in warnings(job)[0]
    assert notices._over is None


def test_a_messenger_that_can_not_be_started_is_said(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    Notices().begin(job)
    assert "No such file" in warnings(job)[0]


def test_the_messenger_is_nobody_s_child_in_a_session_of_its_own_and_its_end_is_seen(
    job: Job, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that neither a signal to the trainer's group nor a watchdog that ends all its children reaches it."""
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    set_up()
    me = psutil.Process()
    before = set(psutil.pids())
    notices = Notices()
    with_pulse = Job(job.run, store, job.runs, Control(store, job.run.id, pulse=Pulse.shared()), job.reporter)
    notices.begin(with_pulse)
    messenger = _wait_for_it(before, job.run.id)
    assert messenger.pid not in {child.pid for child in me.children(recursive=True)}
    assert os.getsid(messenger.pid) != os.getsid(0)
    words = " ".join(messenger.cmdline())
    assert "hush" not in words
    assert "secret" not in words
    notices_end = time.monotonic()
    messenger.kill()
    notices.linger()
    assert time.monotonic() - notices_end < start.LINGER_SECONDS


def _wait_for_it(before: set[int], run_id: str) -> psutil.Process:
    """The messenger, once it belongs to nobody here."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for process in psutil.process_iter():
            try:
                is_new = process.pid not in before and run_id in "".join(process.cmdline())
                if is_new and os.getpid() not in [parent.pid for parent in process.parents()]:
                    return process
            except psutil.Error:
                continue
        time.sleep(0.02)
    raise AssertionError("no messenger came")


def test_a_container_s_main_program_and_a_job_of_slurm_end_all_of_their_processes() -> None:
    assert not ends_all({"HOME": "/root"}, 700)
    assert ends_all({"SLURM_JOB_ID": "7"}, 700)
    assert ends_all({}, 1)


def test_a_supervisor_is_known_by_what_it_runs() -> None:
    code = "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, "trainer.supervise"]) as child:
        deadline = time.monotonic() + 30
        while not start._is_supervisor(child.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert start._is_supervisor(child.pid)
        child.kill()
    assert not start._is_supervisor(os.getpid())
    assert not start._is_supervisor(2**22 + 1)
