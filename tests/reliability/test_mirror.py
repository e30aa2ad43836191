"""A mirror harms nothing: the run stays the run that it was, and the logger has every value of the store once."""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.reliability.same import differing
from tests.reliability.trainers import UNSCORED, Trainer, newest_run, options, run_to_end, steps, until
from tests.trainer.mirror.living import lives, mirrored_run, needs
from tests.trainer.mirror.reading import expected, held
from trainer.mirror.mark import mark_file, read_mark
from trainer.mirror.names import LOGGERS
from trainer.paths import tensorboard_dir
from trainer.store import RunStore

_RECORD_BYTES = 200


def mirrors(runs: Path) -> list[psutil.Process]:
    """The mirrors of a runs folder that are at work."""
    processes = psutil.process_iter(["cmdline"])
    return [one for one in processes if {"trainer.mirror", str(runs)} <= set(one.info["cmdline"] or [])]


def written(runs: Path, run_id: str) -> int:
    """Bytes of the run's event files."""
    return sum(path.stat().st_size for path in tensorboard_dir(runs, run_id).glob("*"))


def kill_both(trainer: Trainer, runs: Path, store: RunStore) -> str:
    """Kill -9 a mirror that has handed something on, then its trainer, which can't get on meanwhile; the run's id."""
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 3)
    run_id = newest_run(runs)
    os.kill(trainer.pid, signal.SIGSTOP)
    until(lambda: written(runs, run_id) > _RECORD_BYTES)
    (mirror,) = mirrors(runs)
    mirror.kill()
    os.kill(trainer.pid, signal.SIGCONT)
    trainer.kill()
    return run_id


def test_killed_with_its_mirror_a_run_is_the_one_without_and_tensorboard_has_each_value_once(
    runs: Path, store: RunStore, tmp_path: Path
) -> None:
    line = options(epochs="2", **UNSCORED)
    alone = tmp_path / "alone"
    left_alone = (alone, run_to_end(alone, *line))
    run_id = kill_both(Trainer(runs, *line, "--tensorboard"), runs, store)
    resumed = Trainer(runs, "--run", run_id)
    assert resumed.wait() == 0, resumed.said()
    until(lambda: not mirrors(runs))
    assert differing(left_alone, (runs, run_id)) == []
    assert held("tensorboard", runs, run_id) == expected(runs, run_id)
    assert [event.message for event in store.events(run_id=run_id) if event.kind == "mirror"] == []
    store.connection.execute("UPDATE steps SET loss = loss * (1 + 1e-12) WHERE run_id = ? AND step = 5", (run_id,))
    assert len(differing(left_alone, (runs, run_id))) == 1, "it would be seen"


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_six_kills_of_mirrors_and_trainers_leave_each_value_once_and_every_bit(
    runs: Path, store: RunStore, tmp_path: Path
) -> None:
    line = options(epochs="16", **UNSCORED)
    alone = tmp_path / "alone"
    left_alone = (alone, run_to_end(alone, *line))
    draw = random.Random(8)
    landed = Counter[str]()
    trainer = Trainer(runs, *line, "--tensorboard")
    until(lambda: bool(store.runs()))
    run_id = newest_run(runs)
    for _ in range(6):
        until(lambda: bool(mirrors(runs)) or store.run(run_id).lifecycle == "finished")
        time.sleep(draw.uniform(0.0, 1.5))
        for mirror in mirrors(runs):
            mirror.kill()
            landed["mirror"] += 1
        trainer.kill()
        trainer = Trainer(runs, "--run", run_id)
    assert trainer.wait() == 0, trainer.said()
    until(lambda: not mirrors(runs))
    assert landed["mirror"] >= 3
    assert differing(left_alone, (runs, run_id)) == []
    assert held("tensorboard", runs, run_id) == expected(runs, run_id)


@pytest.mark.reliability
def test_a_mirror_outlives_the_end_of_a_hung_trainer(runs: Path) -> None:
    line = options(hang_seconds="4", num_workers="2")
    trainer = Trainer(runs, *line, "--tensorboard", control="hang")
    assert trainer.wait() == 70, "its watchdog has ended it, and all that belongs to it"
    run_id = newest_run(runs)
    until(lambda: not mirrors(runs))
    assert held("tensorboard", runs, run_id) == expected(runs, run_id)
    reached = read_mark(mark_file(runs, run_id, "tensorboard")).reached
    assert reached["steps"] == (steps(runs, run_id)[-1][0],), "it was let be, and has ended in good order"


@pytest.mark.reliability
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", LOGGERS)
def test_mirrors_that_are_killed_at_every_page_hand_each_value_on_once(store: RunStore, runs: Path, name: str) -> None:
    needs(name)
    run_id = mirrored_run(store)
    assert lives(name, runs, run_id, 1, 2, 2, 1, 2, 0)[0] == expected(runs, run_id)


@pytest.mark.reliability
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", LOGGERS)
def test_mirrors_that_believe_their_marks_alone_would_double_values(store: RunStore, runs: Path, name: str) -> None:
    needs(name)
    run_id = mirrored_run(store)
    found = lives(name, runs, run_id, 0, 0, forgetful=True)[0]
    assert set(found) == set(expected(runs, run_id))
    assert len(found) > len(expected(runs, run_id))
