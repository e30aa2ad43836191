"""Other settings for a run that exists: refused with every way out, or accepted by name and told."""

import dataclasses
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes import finishes
from tests.trainer.checkpoint_files import manifest_of, write_checkpoint
from tests.trainer.test_changes import CONFIG, other_value
from trainer.changes import RULES, Way
from trainer.config import PretrainConfig
from trainer.device import fingerprint, prepare
from trainer.drift import ACCEPTED, change_settings
from trainer.errors import ConfigError, DataError, UsageError
from trainer.exactness import Exactness
from trainer.keeper import CheckpointKeeper
from trainer.seal import is_intact
from trainer.start import new_pretrain_run
from trainer.store import Run, RunStore
from trainer.store.records import StepRow


@pytest.fixture
def run(store: RunStore) -> Run:
    """A run with steps up to 20 and checkpoints of 10 and 20."""
    run_id = new_pretrain_run(store, CONFIG, name="first")
    store.append(run_id, [step_row(step) for step in range(1, 21)])
    for step in (10, 20):
        write_checkpoint(store, run_id, step)
    return store.run(run_id)


def step_row(step: int) -> StepRow:
    return StepRow(
        step=step,
        epoch=(step - 1) // 10 + 1,
        loss=1.0,
        acc_top1=0.5,
        acc_top5=0.5,
        acc_mean_pos=1.0,
        lr=1e-3,
        grad_norm=1.0,
        t_data=0.1,
        t_batch=0.1,
    )


def config_of(run: Run) -> PretrainConfig:
    return PretrainConfig.from_json(run.config)


@pytest.mark.parametrize("name", RULES)
def test_a_change_of_the_result_is_refused_by_name_with_every_way_out(store: RunStore, run: Run, name: str) -> None:
    value, way = other_value(name), RULES[name].way
    with pytest.raises(ConfigError) as caught:
        change_settings(store, run, {name: value})
    sentence = str(caught.value)
    option = "--" + name.replace("_", "-")
    assert sentence.startswith(f"{option}: first was made with ")
    assert (f"`simclr-tui fork {run.id}" in sentence) == (way is not Way.NEVER)
    assert (f"`simclr-tui resume {run.id} --accept {name}" in sentence) == (way is Way.ACCEPT)
    assert store.run(run.id) == run
    if way is not Way.ACCEPT:  # and accepting it by name does not help
        with pytest.raises(ConfigError, match=option):
            change_settings(store, run, {name: value}, [name])
        assert store.run(run.id) == run


def test_what_the_sentence_proposes_can_be_pasted(store: RunStore, run: Run) -> None:
    from simclr_tui.commands.parser import parse

    with pytest.raises(ConfigError) as caught:
        change_settings(store, run, {"epochs": 800, "negatives": False, "milestones": "70,90"})
    commands = re.findall(r"`simclr-tui (.*?)`", str(caught.value))
    assert [command.split()[0] for command in commands] == ["fork", "resume"]
    for command in commands:
        options = parse(shlex.split(command))
        assert (options.run, options.epochs, options.negatives) == (run.id, 800, False)
    assert options.accept == ["negatives", "epochs", "milestones"]


def test_longer_training_of_a_cosine_says_from_which_to_which_learning_rate(store: RunStore, run: Run) -> None:
    with pytest.raises(ConfigError, match="the cosine is then one over 800 epochs instead of 500, and the learning"):
        change_settings(store, run, {"epochs": 800})


def test_an_accepted_change_is_in_the_row_the_manifests_and_an_event(store: RunStore, run: Run) -> None:
    facts = Exactness(
        fingerprint(prepare(device="cpu", threads=1, precision="float32", channels_last="no", deterministic="yes"))
    )
    store.update_run(run.id, fingerprint=facts.to_json(), exactness=facts.verdict())
    run = change_settings(store, store.run(run.id), {"learning_rate": 1e-4, "num_workers": 7}, ["learning-rate"])
    assert (config_of(run).learning_rate, config_of(run).num_workers) == (1e-4, 7)
    for step in (10, 20):
        manifest = manifest_of(store, run.id, step)
        assert manifest["config"] == run.config
        assert [PretrainConfig.from_json(text) for text in manifest["was"]] == [as_made(run)]
        assert is_intact(manifest)
    event = store.events(run_id=run.id)[-1]
    assert (event.kind, event.level, event.step) == (ACCEPTED, "warning", 20)
    assert event.message.startswith("settings changed after step 20: learning_rate 0.0005 → 0.0001 (the learning rate")
    assert "num_workers 2 → 7" in event.message
    assert run.exactness == "not promised: from step 21 on learning_rate 0.0005 → 0.0001"
    again = Exactness.from_json(run.fingerprint or "")
    assert again.doubt(25, resumed_after=20) == "", "steps that were all taken with the new settings are promised"
    assert again.doubt(25, resumed_after=10) != ""


def as_made(run: Run) -> PretrainConfig:
    """CONFIG as it was stored, with the folder of the data as it is from anywhere."""
    return PretrainConfig.from_values(dataclasses.asdict(CONFIG) | {"data_dir": config_of(run).data_dir})


def test_a_change_that_was_made_is_no_change_when_the_command_is_given_again(store: RunStore, run: Run) -> None:
    once = change_settings(store, run, {"epochs": 800}, ["epochs"])
    events = len(store.events(run_id=run.id))
    assert change_settings(store, once, {"epochs": 800}, ["epochs"]) == once
    assert len(store.events(run_id=run.id)) == events


def test_two_changes_one_after_the_other_keep_both_pasts(store: RunStore, run: Run) -> None:
    change_settings(store, run, {"epochs": 800}, ["epochs"])
    again = change_settings(store, store.run(run.id), {"temperature": 0.2}, ["temperature"])
    was = [PretrainConfig.from_json(text) for text in manifest_of(store, run.id, 20)["was"]]
    assert [(one.epochs, one.temperature) for one in was] == [(500, 0.07), (800, 0.07)]
    assert (config_of(again).epochs, config_of(again).temperature) == (800, 0.2)


@pytest.mark.parametrize(
    ("changes", "accept", "words"),
    [
        ({"epochs": 800}, ["temperature"], "--accept: the new value of temperature is missing; give --temperature too"),
        ({"epochs": 800}, ["epoch"], "--accept: 'epoch' is no setting; did you mean epochs"),
        ({"epochs": 800, "temperature": 0.2}, ["epochs"], "--temperature: first was made with 0.07"),
        ({"milestones": "900"}, ["milestones"], "--milestones: '900' must grow"),
    ],
)
def test_only_what_is_named_and_right_is_accepted(
    store: RunStore, run: Run, changes: dict[str, Any], accept: list[str], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        change_settings(store, run, changes, accept)
    assert str(caught.value).startswith(words)
    assert store.run(run.id) == run
    assert "was" not in manifest_of(store, run.id, 20)


def test_steps_after_the_newest_checkpoint_would_be_taken_twice_and_are_not(store: RunStore, run: Run) -> None:
    store.append(run.id, [step_row(21)])
    with pytest.raises(ConfigError, match="steps 21 to 21 of first were logged with the old settings"):
        change_settings(store, store.run(run.id), {"epochs": 800}, ["epochs"])


def test_a_run_is_not_made_shorter_than_it_is_already(store: RunStore, run: Run) -> None:
    """It would be called finished in the middle of an epoch, after more steps than it has in all."""
    before = manifest_of(store, run.id, 20)
    with pytest.raises(ConfigError, match="--epochs: first is in epoch 2 already, so that 1 leave nothing to train"):
        change_settings(store, run, {"epochs": 1}, ["epochs"])
    assert (store.run(run.id), manifest_of(store, run.id, 20)) == (run, before)
    assert config_of(change_settings(store, run, {"epochs": 2}, ["epochs"])).epochs == 2


def test_a_finished_run_stays_what_it_is_and_is_forked(store: RunStore, run: Run) -> None:
    store.lifecycle(run.id, "finished", "finished")
    with pytest.raises(
        ConfigError, match=f"first is finished and stays what it is; `simclr-tui fork {run.id} --epochs 800`"
    ):
        change_settings(store, store.run(run.id), {"epochs": 800}, ["epochs"])
    assert store.run(run.id).config == run.config


def test_a_job_takes_no_settings(store: RunStore) -> None:
    job = store.run(store.create_run(kind="evaluate", name="job", config="{}"))
    assert change_settings(store, job, {}) == job
    with pytest.raises(UsageError, match="takes no settings"):
        change_settings(store, job, {"epochs": 3}, ["epochs"])


def test_ended_anywhere_between_manifests_and_store_a_checkpoint_still_fits(store: RunStore, run: Run) -> None:
    """The n-th call on a checkpoint's folder ends the process, for every n, in a process of its own."""
    for number in range(1, 30):
        before = store.run(run.id).config
        for step in (10, 20):  # as they were before the try that was cut off
            write_checkpoint(store, run.id, step)
        if change_and_end_at(store, run.id, number):
            break
        config = PretrainConfig.from_json(store.run(run.id).config)
        keeper = CheckpointKeeper(store, store.runs_path, run.id, config)
        assert config.to_json() == before
        assert all(keeper._fits(manifest_of(store, run.id, step)) for step in (10, 20)), number
    assert number > 8, "the change has so many points to end at"
    assert config_of(store.run(run.id)).epochs == 800


def test_without_the_settings_before_a_checkpoint_is_lost_by_the_same_end(store: RunStore, run: Run) -> None:
    """The negative control: a manifest that is only given the new settings."""
    for number in range(1, 30):
        if change_and_end_at(store, run.id, number):
            break
        config = PretrainConfig.from_json(store.run(run.id).config)
        keeper = CheckpointKeeper(store, store.runs_path, run.id, config)
        manifests = [{**manifest_of(store, run.id, step), "was": []} for step in (10, 20)]
        if not all(keeper._fits(manifest) for manifest in manifests):
            return
    pytest.fail("the naive way lost nothing")


def change_and_end_at(store: RunStore, run_id: str, number: int) -> bool:
    """Accept other epochs in a process that ends at its n-th call on the checkpoints' folder; whether it was done."""

    def prepare() -> Callable[[], object]:
        own = RunStore.open(Path(store.runs_path))
        return lambda: change_settings(own, own.run(run_id), {"epochs": 800}, ["epochs"])

    return finishes(
        prepare, number, lambda event, what: event == "os.rename" or (event == "open" and "checkpoints" in what)
    )


@pytest.mark.parametrize("name", RULES)
def test_a_row_that_was_edited_by_hand_is_refused_by_the_name_of_the_setting(
    store: RunStore, run: Run, name: str
) -> None:
    """Drift that nobody accepted: the store's settings are not those that the checkpoints were made with."""
    values = dataclasses.asdict(config_of(run))
    edited = PretrainConfig.from_values(values | {name: other_value(name)})
    keeper = CheckpointKeeper(store, store.runs_path, run.id, edited)
    with pytest.raises(DataError, match=f"{name} .* instead of "):
        keeper.newest(owner=False)
