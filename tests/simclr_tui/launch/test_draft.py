"""The form's texts, values and errors."""

from pathlib import Path

import pytest

from simclr_tui.launch.draft import Draft, common_fields, folded_fields, hint
from simclr_tui.run.changed_settings import changed_settings, recipe_name
from trainer.config import PretrainConfig
from trainer.presets import load_preset, preset_names
from trainer.settings import Field, fields_of
from trainer.store.reader import StoreReader

FIELDS: dict[str, Field] = {one.name: one for one in fields_of(PretrainConfig)}


def test_common_and_folded_settings_are_all_settings_once() -> None:
    names = [one.name for one in common_fields()] + [one.name for group in folded_fields().values() for one in group]
    assert sorted(names) == sorted(FIELDS)


def test_an_untouched_draft_of_every_preset_is_that_preset() -> None:
    for name in preset_names():
        draft = Draft(preset=name)
        assert draft.errors == {}
        assert draft.values == {}
        for one in FIELDS.values():
            assert draft.text(one) == draft.usual(one)


def test_what_was_typed_stays_when_the_preset_changes() -> None:
    draft = Draft(preset="demo")
    draft.type(FIELDS["epochs"], "7")
    draft.preset = "stl10"
    assert draft.text(FIELDS["epochs"]) == "7"
    assert draft.text(FIELDS["image_size"]) == "96"
    assert draft.values == {"epochs": 7}


def test_typing_the_presets_own_value_takes_the_change_back() -> None:
    draft = Draft(preset="demo")
    draft.type(FIELDS["epochs"], "7")
    assert draft.is_changed(FIELDS["epochs"])
    draft.type(FIELDS["epochs"], str(load_preset("demo").settings["epochs"]))
    assert not draft.is_changed(FIELDS["epochs"])


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("epochs", "0", "out of bounds; give 1 to 100000 epochs"),
        ("epochs", "many", "not a whole number"),
        ("temperature", "", "not a number"),
        ("drop_last", "perhaps", "neither yes nor no"),
        ("dataset", "imagenet", "'imagenet' is not known"),
        ("device", "tpu", "'tpu' is not known"),
        ("blur_kernel", "4", "even"),
    ],
)
def test_an_error_is_found_at_its_setting(name: str, text: str, part: str) -> None:
    draft = Draft(preset="demo")
    draft.type(FIELDS[name], text)
    assert list(draft.errors) == [name]
    assert part in draft.errors[name]


def test_settings_that_disagree_are_found_once_each_is_right() -> None:
    draft = Draft(preset="demo")
    draft.type(FIELDS["crop_scale_min"], "0.9")
    draft.type(FIELDS["crop_scale_max"], "0.5")
    assert list(draft.errors) == ["crop_scale_min"]


def test_every_setting_has_a_hint_or_is_free_text() -> None:
    for one in FIELDS.values():
        assert hint(one) or one.name == "data_dir"


def test_changed_settings_are_those_that_differ_from_the_preset(runs: Path, some_runs: dict[str, str]) -> None:
    reader = StoreReader.open(runs)
    resting, done = reader.run(some_runs["resting"]), reader.run(some_runs["done"])
    reader.close()
    assert [(one.name, one.value, one.usual) for one in changed_settings(resting)] == [("temperature", 0.5, 0.2)]
    assert changed_settings(done) == []
    assert recipe_name(done) == "preset demo"
