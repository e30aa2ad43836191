"""Real trainers and a real webhook: what becomes of a run is told once, whatever ends it, and changes nothing of it."""

import contextlib
import os
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.reliability.hanging import HANG_AT
from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, steps, until, workers
from tests.trainer.notices.servers import Hook, hook
from trainer.store import RunStore

pytestmark = pytest.mark.reliability

KILLS = 5
SECRETS = (b"hush-hush", b"a-secret-path")


def begun(runs: Path, store: RunStore, at_least: int = 1) -> str:
    """The id of the run once it has logged so many steps."""
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= at_least)
    return newest_run(runs)


def no_messenger_is_left(runs: Path) -> bool:
    """Whether every messenger of a runs folder has ended."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if "trainer.notices.messenger" in line and str(runs) in line[-1]:
                return False
    return True


def everything_below(folder: Path) -> bytes:
    """All that was written into a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_every_kill_is_told_once_and_the_losses_are_those_of_a_run_that_tells_nothing(
    runs: Path, store: RunStore, tmp_path: Path
) -> None:
    line = options(num_workers="1")
    with hook() as server:
        told = {"SIMCLR_TUI_NOTIFY": server.url}
        trainer = Trainer(runs, *line, "--name", "first", environment=told)
        run_id = begun(runs, store)
        for number in range(KILLS):
            until(partial(_has_moved, trainer, store, run_id))
            trainer.kill()
            until(partial(_has, server, number + 1))
            trainer = Trainer(runs, "--run", run_id, environment=told)
        assert trainer.wait() == 0, trainer.said()
        until(lambda: "first has finished" in server.titles and no_messenger_is_left(runs))
        assert server.titles.count("first has finished") == 1
        assert server.titles.count("first was interrupted") == len(server.titles) - 1 == KILLS
    lost = [event for event in store.events(run_id=run_id) if event.kind == "resumed"]
    assert len(lost) == KILLS
    written = everything_below(runs) + trainer.log.read_bytes()
    assert not any(secret in written for secret in SECRETS)
    alone = tmp_path / "alone"
    assert steps(runs, run_id) == steps(alone, run_to_end(alone, *line))


def _has(server: Hook, count: int) -> bool:
    return len(server.got) >= count


def _has_moved(trainer: Trainer, store: RunStore, run_id: str) -> bool:
    """Whether this trainer itself has begun to train."""
    run = store.run(run_id)
    return run.pid == trainer.pid and run.lifecycle in ("started", "resumed")


def test_a_messenger_that_went_with_its_trainer_would_tell_nobody(runs: Path, store: RunStore) -> None:
    with hook() as server:
        told = {"SIMCLR_TUI_NOTIFY": server.url}
        trainer = Trainer(runs, *options(), control="messenger-tied", environment=told)
        begun(runs, store)
        until(lambda: _tied(trainer.pid))
        time.sleep(1.0)
        assert _tied(trainer.pid)  # it is at work, and not only begun
        trainer.kill()
        until(lambda: not _tied(trainer.pid))
        time.sleep(8.0)
        assert server.titles == []


def _tied(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return any("die_with_parent" in " ".join(child.cmdline()) for child in psutil.Process(pid).children())
    return False


def test_a_hang_is_told_by_its_words_once_the_watchdog_has_ended_it(runs: Path, store: RunStore) -> None:
    with hook() as server:
        trainer = Trainer(
            runs,
            *options(hang_seconds="4"),
            "--name",
            "first",
            control="hang",
            environment={"SIMCLR_TUI_NOTIFY": server.url},
        )
        assert trainer.wait() == 70
        until(lambda: bool(server.got) and no_messenger_is_left(runs))
        assert server.titles == ["first has failed"]
        assert f"after step {HANG_AT}" in server.got[0]["message"]


def test_a_server_that_never_answers_holds_up_no_step_no_checkpoint_and_no_end(runs: Path, store: RunStore) -> None:
    with hook() as server:
        server.hangs.set()
        told = {"SIMCLR_TUI_NOTIFY": server.url + "?rto=60&cto=60"}
        trainer = Trainer(runs, *options(), environment=told)
        run_id = begun(runs, store)
        assert trainer.wait() == 0, trainer.said()
        since = store.run(run_id).lifecycle_at
        assert time.time() - since < 3.0
        assert server.asked == 0


def test_a_supervised_run_tells_of_its_new_start_and_of_its_end(runs: Path, store: RunStore) -> None:
    with hook() as server:
        told = {"SIMCLR_TUI_NOTIFY": server.url}
        supervisor = Trainer(runs, *options(epochs="6"), "--name", "first", "--restart", "2", environment=told)
        run_id = begun(runs, store, 3)
        pid = store.run(run_id).pid
        assert pid is not None
        os.kill(pid, 9)
        assert supervisor.wait() == 0, supervisor.said()
        until(lambda: len(server.got) == 2 and no_messenger_is_left(runs))
        assert server.titles == ["first was started again", "first has finished"]
        assert "killed by SIGKILL; restarts left: 1" in server.got[0]["message"]


def test_in_a_job_of_slurm_the_last_notice_is_out_before_the_trainer_ends(runs: Path, store: RunStore) -> None:
    """Also with workers, which have what a trainer has open; the messenger is none of them."""
    with hook() as server:
        told = {"SIMCLR_TUI_NOTIFY": server.url, "SLURM_JOB_ID": "1"}
        trainer = Trainer(runs, *options(num_workers="2"), "--name", "first", environment=told)
        begun(runs, store)
        assert len(workers(trainer.pid)) == 2
        assert trainer.wait() == 0, trainer.said()
        assert server.titles == ["first has finished"]
