"""A run in words."""

import json
from dataclasses import replace

import pytest

from simclr_tui.model import Curves, RunRow
from simclr_tui.verbs import refusal, useful
from simclr_tui.words import checkpoint_words, settings_words, status_line
from tests.simclr_tui.support import plain
from trainer.state import LIVE_STATES, RESUMABLE_STATES, STATES
from trainer.store.records import Event, Run


def test_a_live_run_says_when_it_ends_only_after_its_first_epoch(run: Run) -> None:
    row = RunRow(run, "running", 0)
    first = plain(status_line(row, Curves(run_id=run.id), 0.0))
    assert first == "running · epoch 9/15 · end known after its first epoch"
    epochs = tuple({"epoch": n, "t_epoch": 23.0} for n in range(1, 9))
    later = plain(status_line(row, Curves(run_id=run.id, epochs=epochs), 0.0))
    assert later.startswith("running · epoch 9/15 · ends ")
    assert later.endswith("(in 2 min 25 s)")  # 145 of 345 steps are left, one a second


def test_time_left_follows_the_latest_epochs_and_not_the_first(run: Run) -> None:
    epochs = tuple({"epoch": n, "t_epoch": 1000.0 if n == 1 else 23.0} for n in range(1, 9))
    assert Curves(run_id=run.id, epochs=epochs).seconds_left(run) == pytest.approx(145)


def test_a_run_that_is_not_alive_says_what_the_next_key_is(run: Run) -> None:
    for state, words in (("interrupted", "r resumes it"), ("paused", "r resumes it"), ("queued", "r starts it")):
        assert f"{state} · {words}" in plain(status_line(RunRow(run, state, 0), Curves(run_id=run.id), 0.0))


def test_a_run_in_slurms_queue_needs_no_key(run: Run) -> None:
    row = RunRow(replace(run, lifecycle="submitted"), "queued", 0)
    assert "queued · in Slurm's queue, starts by itself" in plain(status_line(row, Curves(run_id=run.id), 0.0))


def test_a_stalled_run_says_since_when_at_what_and_whether_its_process_runs_at_all(run: Run) -> None:
    begun = run.lifecycle_at
    hung = replace(run, progress_at=begun + 5, alive_at=begun + 50, phase="evaluating", pid=4711)
    words = plain(status_line(RunRow(hung, "stalled", 0), Curves(run_id=run.id), begun + 50))
    assert words.endswith("no progress for 45 s while evaluating")
    stopped = RunRow(hung, "stalled", 0, is_stopped=True)
    words = plain(status_line(stopped, Curves(run_id=run.id), begun + 50))
    assert words.endswith("its process is stopped: kill -CONT 4711 lets it go on")


def test_a_stalled_run_without_a_heartbeat_is_not_called_stopped_where_its_process_is_not(run: Run) -> None:
    begun = run.lifecycle_at
    mute = replace(run, progress_at=begun + 5, alive_at=begun + 5, phase="saving", pid=4711)
    words = plain(status_line(RunRow(mute, "stalled", 0), Curves(run_id=run.id), begun + 50))
    assert words.endswith("while saving, and no sign of life in the store: look whether the disk is full")


def test_a_live_run_says_what_it_is_at_unless_it_just_trains(run: Run) -> None:
    def said(phase: str | None, lifecycle: str = "resumed", state: str = "running", step: int = 200) -> str:
        doing = replace(run, phase=phase, lifecycle=lifecycle, step=step)
        epochs = ({"epoch": 8, "t_epoch": 23.0},)
        return plain(status_line(RunRow(doing, state, 0), Curves(run_id=run.id, epochs=epochs), 0.0))

    assert said("training").startswith("running · epoch")
    assert said("evaluating").startswith("running · evaluating · epoch")
    assert said("evaluating", step=345) == "running · evaluating · epoch 9/15", "and not twice"
    assert said("waiting").startswith("running · waits for space on the disk · epoch")
    assert said("loading", state="starting").startswith("starting · loading images")
    assert said("saving", lifecycle="launched", state="starting").startswith("starting · epoch"), "that of the last one"
    assert said("waiting", lifecycle="queued", state="pausing").startswith("pausing · epoch"), "it waits for a device"


def test_checkpoints_that_cannot_be_written_are_told_with_the_age_of_the_newest(run: Run) -> None:
    message = "checkpoint of step 9 not written (no space)"
    failed = Event(id=1, run_id=run.id, at=100.0, level="error", kind="checkpoint-failed", message=message, step=9)
    curves = Curves(run_id=run.id, checkpoint_failure=failed)
    assert checkpoint_words(Curves(run_id=run.id), 160.0) == ""
    assert checkpoint_words(curves, 160.0) == f"✗ checkpoints can't be written, there is none · {message}"


def test_a_verb_is_refused_exactly_where_it_makes_no_sense() -> None:
    for state in STATES:
        is_ending = state in ("pausing", "stopping")
        for verb in ("pause", "stop"):
            # A run that waits for its device may be told not to; one that was only made waits for nothing.
            allowed = state == "queued" or (state in LIVE_STATES and not is_ending)
            assert (refusal(verb, "name", state) is None) == allowed, (verb, state)
            assert refusal(verb, "name", "queued", is_launched=False)
            assert useful(verb, state) == allowed
        assert (refusal("resume", "name", state) is None) == (state in RESUMABLE_STATES), state
        assert useful("resume", state) == (state in RESUMABLE_STATES)
        assert refusal("evaluate", "name", state) is None


def test_a_refusal_says_what_can_be_done_instead() -> None:
    assert refusal("pause", "a", "finished") == "a is finished, so there is nothing to pause; evaluate scores it again"
    assert refusal("stop", "a", "paused") == "a is paused, so there is nothing to stop; resume goes on with it"
    assert refusal("resume", "a", "running") == "a is running already; there is nothing to resume"


def test_a_run_that_is_not_simclr_says_what_it_is_and_a_job_what_it_does(run: Run) -> None:
    assert settings_words(RunRow(run, "paused", 0)).startswith("demo · shapes · ")
    binary = json.dumps(json.loads(run.config) | {"temperature": 0.1 + 0.2, "learning_rate": 5e-4})
    assert " · T 0.3 · lr 0.0005 · " in settings_words(RunRow(replace(run, config=binary), "paused", 0))
    config = json.dumps(json.loads(run.config) | {"method": "supcon"})
    assert settings_words(RunRow(replace(run, config=config), "paused", 0)).startswith("demo · supcon · shapes")
    job = replace(run, kind="evaluate", config='{"what": "map"}', source_run_id="abc")
    assert settings_words(RunRow(job, "paused", 0)) == "evaluate map of run abc"
