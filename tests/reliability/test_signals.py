"""Every way to be asked to end: the step is finished, everything is saved, the exit code says what happened."""

import contextlib
import functools
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.reliability.signalling import WAYS, faults
from tests.reliability.trainers import UNSCORED, Trainer, newest_run, options, run_to_end, steps, until, workers
from trainer import checkpoint, proc
from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.paths import checkpoint_dir, log_file
from trainer.process import launch
from trainer.start import new_evaluate_run
from trainer.store import RunStore


def begun(runs: Path, store: RunStore) -> str:
    """The id of the newest run once it has logged a step."""
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    return newest_run(runs)


@pytest.mark.parametrize(("number", "code", "count"), [(signal.SIGTERM, 143, "2"), (signal.SIGINT, 130, "0")])
def test_a_signal_saves_ends_and_the_run_goes_on_exactly(
    runs: Path, store: RunStore, tmp_path: Path, number: int, code: int, count: str
) -> None:
    """With workers the signal is sent to them as well, as a terminal and a supervisor do."""
    line = options(num_workers=count, checkpoint_seconds="600")
    trainer = Trainer(runs, *line)
    run_id = begun(runs, store)
    for pid in [*proc.descendants(trainer.pid), trainer.pid]:
        os.kill(pid, number)
    assert trainer.wait() == code
    run = store.run(run_id)
    assert (run.lifecycle, run.exit_code) == ("interrupted", code)
    assert checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))[0] == store.last_step(run_id)
    assert Trainer(runs, "--run", run_id).wait() == 0
    calm = tmp_path / "calm"
    assert steps(runs, run_id) == steps(calm, run_to_end(calm, *line))


def test_a_lost_terminal_changes_nothing(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options())
    run_id = begun(runs, store)
    os.kill(trainer.pid, signal.SIGHUP)
    assert trainer.wait() == 0
    assert "pretraining, step 24 of 24 epoch 3/3" in trainer.said()
    assert store.run(run_id).lifecycle == "finished"


def test_sigusr1_saves_and_goes_on(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(checkpoint_seconds="600", knn_every="0"))
    run_id = begun(runs, store)
    os.kill(trainer.pid, signal.SIGUSR1)
    assert trainer.wait() == 0
    assert "asked" in {row.reason for row in store.checkpoints(run_id)}


def test_no_worker_outlives_a_trainer_that_was_killed(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(num_workers="2", epochs="500"))
    begun(runs, store)
    mine = proc.descendants(trainer.pid)
    assert set(workers(trainer.pid)) < set(mine)
    assert len(workers(trainer.pid)) == 2
    trainer.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in mine), seconds=10)


def test_of_many_trainers_of_one_run_exactly_one_trains(runs: Path, store: RunStore) -> None:
    run_id = run_to_end(runs, *options(epochs="1", **UNSCORED))
    config = store.run(run_id).config
    other = store.create_run(kind="pretrain", name="contested", config=config)
    trainers = [Trainer(runs, "--run", other) for _ in range(6)]
    codes: list[int] = []
    threads = [threading.Thread(target=lambda one=one: codes.append(one.wait())) for one in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = [event for event in store.events(run_id=other) if event.kind in ("started", "resumed")]
    assert len(started) == 1
    assert sorted(codes).count(75) + sorted(codes).count(0) == 6
    assert steps(runs, other) == steps(runs, run_id)


def test_a_signal_while_images_are_loaded_ends_the_run_before_its_first_step(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(image_size="224", limit_per_class="500"))
    until(lambda: "loading" in trainer.said())
    os.kill(trainer.pid, signal.SIGTERM)
    asked_at = time.monotonic()
    assert trainer.wait() == 143
    assert time.monotonic() - asked_at < 10
    assert store.steps(newest_run(runs)) == []
    assert store.run(newest_run(runs)).lifecycle == "interrupted"


@pytest.mark.reliability
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("way", "instants"),
    [("SIGTERM", 50), ("SIGINT", 50), ("SIGUSR1 to be queued again", 25), ("SIGUSR1 and then kill -9", 25)],
)
def test_a_signal_at_any_instant_is_answered_and_the_end_is_bit_identical(
    tmp_path: Path, way: str, instants: int
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    assert faults(tmp_path, WAYS[way], instants, random.Random(seed)) == []


@pytest.mark.reliability
@pytest.mark.parametrize("control", ["save-in-handler", "exit-in-handler"])
def test_a_handler_that_does_more_than_setting_a_flag_is_found_out(tmp_path: Path, control: str) -> None:
    """The negative control: saving inside the handler, in the middle of a step, and leaving at once."""
    assert faults(tmp_path, WAYS["SIGTERM"], 10, random.Random(1), control) != []


def test_sigusr1_saves_and_ends_where_the_run_is_to_be_queued_again(runs: Path, store: RunStore) -> None:
    """With --requeue, and where it comes twice within two seconds; `--resume-or-start` goes on with it."""
    name = ("--resume-or-start", "again")
    trainer = Trainer(runs, *options(checkpoint_seconds="600"), *name, "--requeue")
    run_id = begun(runs, store)
    os.kill(trainer.pid, signal.SIGUSR1)
    assert trainer.wait() == 75
    assert (store.run(run_id).lifecycle, store.run(run_id).exit_code) == ("interrupted", 75)
    assert checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))[0] == store.last_step(run_id)
    second = Trainer(runs, *options(checkpoint_seconds="600"), *name)
    until(lambda: store.run(run_id).pid == second.pid)
    for _ in range(2):
        os.kill(second.pid, signal.SIGUSR1)
        time.sleep(0.3)
    assert second.wait() == 75
    assert Trainer(runs, *options(checkpoint_seconds="600"), *name).wait() == 0
    assert len(store.runs()) == 1


def _has_workers(trainer: Trainer) -> bool:
    return bool(workers(trainer.pid))


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.reliability)])
def test_a_signal_to_the_whole_group_while_workers_start_ends_the_run_in_order(
    runs: Path, store: RunStore, rounds: int
) -> None:
    """As a supervisor sends it: to trainer, workers and watchdog alike, while some of them have yet to begin."""
    draw = random.Random(rounds)
    for _ in range(rounds):
        trainer = Trainer(runs, *options(num_workers="4", epochs="500"), control="own-session")
        until(functools.partial(_has_workers, trainer), every=0.001)
        time.sleep(draw.uniform(0.0, 0.05))
        os.killpg(trainer.pid, signal.SIGTERM)
        assert trainer.wait() == 143, trainer.said()
        assert store.run(newest_run(runs)).lifecycle == "interrupted"


def test_a_signal_while_torch_is_imported_ends_the_run_before_anything_is_loaded(runs: Path, store: RunStore) -> None:
    run_id = store.create_run(kind="pretrain", name="early", config=PretrainConfig(dataset="shapes").to_json())
    child = launch(runs, run_id)
    until(lambda: store.run(run_id).lifecycle == "started")
    asked_at = time.monotonic()
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait(timeout=60) == 143
    taken = time.monotonic() - asked_at
    assert store.run(run_id).lifecycle == "interrupted"
    assert "loading" not in log_file(runs, run_id).read_text()
    assert taken < 30


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_a_signal_during_any_kind_of_evaluation_ends_it_within_ten_seconds(runs: Path, store: RunStore) -> None:
    source = store.run(run_to_end(runs, *options(epochs="1", limit_per_class="40", limit_test_per_class="20")))
    draw = random.Random(3)
    for what in ("layers", "labels", "invariance", "finetune", "map"):
        wish = {"run": source.id, "what": what, "device": "cpu", "threads": 1}
        config = EvaluateConfig.from_values(wish | ({"fractions": "10,100"} if what == "finetune" else {}))
        job = new_evaluate_run(store, source, config)
        trainer = Trainer(runs, "--run", job)
        until(functools.partial(_evaluates, store, job, trainer), every=0.005)
        time.sleep(draw.uniform(0.0, 0.5))
        asked_at = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(trainer.pid, signal.SIGTERM)
        code = trainer.wait()
        assert time.monotonic() - asked_at < 10, what
        assert code in (0, 143), trainer.said()
        assert store.run(job).lifecycle == ("interrupted" if code else "finished")


def _evaluates(store: RunStore, job: str, trainer: Trainer) -> bool:
    return store.run(job).total_steps is not None or trainer.process.exitcode is not None
