"""The command that forks, in a process of its own, and what `resume` says and does of other settings."""

import json
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from tests.trainer.checkpoint_files import write_checkpoint
from trainer.changes import RULES, Way
from trainer.config import PretrainConfig
from trainer.process import lock_holder
from trainer.settings import fields_of
from trainer.start import new_pretrain_run
from trainer.store.records import Run
from trainer.store.runs import RunStore


@pytest.fixture
def parent(store: RunStore) -> Run:
    """A paused run with checkpoints of steps 15 and 25."""
    run_id = new_pretrain_run(store, PretrainConfig(dataset="shapes", epochs=9, threads=1), name="first")
    for step in (15, 25):
        write_checkpoint(store, run_id, step)
    store.lifecycle(run_id, "paused", "paused")
    return store.run(run_id)


def call(runs: Path, *words: str) -> int:
    return main([*words, "--runs-dir", str(runs)])


def test_it_prints_the_childs_id_and_leaves_it_queued_if_told_to(
    store: RunStore, runs: Path, parent: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(runs, "fork", "first", "--no-start", "--epochs", "20", "--step", "15", "--name", "longer") == 0
    child = store.run(capsys.readouterr().out.strip())
    assert (child.name, child.parent_run_id, child.parent_step, child.lifecycle) == ("longer", parent.id, 15, "created")
    assert PretrainConfig.from_json(child.config).epochs == 20
    assert lock_holder(runs, child.id) is None


def test_json_names_the_child_and_where_it_came_from(
    store: RunStore, runs: Path, parent: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(runs, "fork", parent.id[:6], "--no-start", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    child = store.run(said["id"])
    assert said == {
        "id": child.id,
        "name": "first-fork",
        "pid": None,
        "parent_run_id": parent.id,
        "parent_step": 25,
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--backbone", "resnet50"), "--backbone: the checkpoint was made with resnet18, and it shapes the weights"),
        (("--step", "7"), "--step: first has no checkpoint of step 7; it has 15, 25"),
        (("--step=-3",), "--step: -3 is below 0"),
        (("--epochs", "2"), "--epochs: the checkpoint of step 25 is in epoch 3 already"),
        (("--queue",), "--no-start: nothing is started"),
    ],
)
def test_a_refusal_is_one_sentence_and_makes_nothing(
    store: RunStore,
    runs: Path,
    parent: Run,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    sentence: str,
) -> None:
    assert call(runs, "fork", "first", "--no-start", *words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"simclr-tui: {sentence}")
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert [run.id for run in store.runs()] == [parent.id]


def test_help_shows_what_may_change(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call(runs, "fork", "--help")
    text = capsys.readouterr().out
    for field in fields_of(PretrainConfig):
        option = f"--no-{field.option[2:]}" if field.kind is bool else field.option
        hidden = field.name in RULES and RULES[field.name].way is Way.NEVER
        assert (f"  {field.option} " in text or f"  {field.option}," in text) != hidden, option


def test_resume_with_another_setting_names_both_ways_and_takes_the_accepted_one(
    store: RunStore, runs: Path, parent: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def start(_store: RunStore, run_id: str, **_: object) -> object:
        started.append(run_id)
        return type("Child", (), {"pid": 1})()

    monkeypatch.setattr("simclr_tui.commands.starting.start_run", start)
    assert call(runs, "resume", "first", "--epochs", "12") == 2
    said = capsys.readouterr().err
    assert "the cosine is then one over 12 epochs instead of 9" in said
    assert f"`simclr-tui fork {parent.id} --epochs 12`" in said
    assert f"`simclr-tui resume {parent.id} --accept epochs --epochs 12`" in said
    assert not started
    assert call(runs, "resume", "first", "--accept", "epochs", "--epochs", "12") == 0
    assert started == [parent.id]
    assert PretrainConfig.from_json(store.run(parent.id).config).epochs == 12
