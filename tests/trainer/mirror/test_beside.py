"""The trainer's side: mirrors are started, started again where they were killed, and waited for only where asked."""

import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.processes import trainer_of, until
from tests.trainer.mirror.living import mirrored_run
from tests.trainer.mirror.reading import expected, held
from trainer.evaluate_config import EvaluateConfig
from trainer.mirror import beside, names
from trainer.mirror.beside import Mirrors
from trainer.mirror.mark import only_mirror
from trainer.mirror.wanted import want
from trainer.signals import Signals
from trainer.start import new_evaluate_run
from trainer.store import RunStore

WAIT_SECONDS = 30


def test_an_evaluation_hands_on_what_it_found_of_a_run_that_has_ended(store: RunStore, runs: Path) -> None:
    run = store.run(mirrored_run(store))
    want(store, run, ("tensorboard",))
    job = store.run(new_evaluate_run(store, run, EvaluateConfig(run=run.id)))
    told: list[str] = []
    mirrors = Mirrors()
    with mirrors.beside(runs, job, told.append):
        assert not mirrors._children, "the job itself has nothing to be mirrored"
    mirrors.wait(WAIT_SECONDS, Signals())
    assert held("tensorboard", runs, run.id) == expected(runs, run.id)
    assert told == []


def test_one_that_is_killed_is_started_again_and_not_for_ever(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(beside, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(beside, "_STARTS", 2)
    run = store.run(mirrored_run(store))
    want(store, run, ("tensorboard",))
    told: list[str] = []
    mirrors = Mirrors()
    with trainer_of(runs, run.id), mirrors.beside(runs, run, told.append):
        first = mirrors._children["tensorboard"]
        first.kill()
        until(lambda: mirrors._children.get("tensorboard", first) is not first)
        mirrors._children["tensorboard"].kill()
        until(lambda: bool(told))
    assert told == ["the mirror to TensorBoard was killed 2 times; a resume tries again"]


def test_a_package_that_is_gone_by_now_is_told_and_training_goes_on(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.run(mirrored_run(store))
    want(store, run, ("wandb",))
    monkeypatch.setattr(names, "find_spec", lambda name: None)
    told: list[str] = []
    with Mirrors().beside(runs, run, told.append):
        pass
    (sentence,) = told
    assert sentence.startswith("Weights & Biases is not installed here, so it gets nothing of this run; `pip install ")


def test_one_that_finds_the_one_before_still_at_its_end_hands_on_the_rest_though_the_run_has_ended_meanwhile(
    store: RunStore, runs: Path
) -> None:
    run = store.run(mirrored_run(store))
    with only_mirror(runs, run.id, "tensorboard"):  # as one does that waits for its logger to take the rest
        mirror = subprocess.Popen(beside.command(runs, run.id, "tensorboard"))
        until(lambda: psutil.Process(mirror.pid).nice() == 10)
        time.sleep(0.5)
    assert mirror.wait(WAIT_SECONDS) == 0
    assert held("tensorboard", runs, run.id) == expected(runs, run.id)


def test_nothing_is_started_where_nobody_asked_for_it(store: RunStore, runs: Path) -> None:
    run = store.run(mirrored_run(store))
    mirrors = Mirrors()
    with mirrors.beside(runs, run, lambda _: None):
        assert not mirrors._children
    started = time.monotonic()
    mirrors.wait(WAIT_SECONDS, Signals())
    assert time.monotonic() - started < 1
