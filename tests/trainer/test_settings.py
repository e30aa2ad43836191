"""Settings: one definition gives type, bounds, help and errors."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.evaluate_config import EvaluateConfig
from trainer.settings import Field, fields_of, parse

NUMBERS = [field for field in fields_of(PretrainConfig) if field.kind in (int, float)]
BY_NAME = {field.name: field for field in fields_of(PretrainConfig)}


@pytest.mark.parametrize("cls", [PretrainConfig, EvaluateConfig])
def test_every_field_has_help_that_ends_as_a_sentence(cls: type) -> None:
    for field in fields_of(cls):
        assert field.help.endswith("."), field.name
        assert field.setting.group


@pytest.mark.parametrize("field", NUMBERS, ids=lambda field: field.name)
def test_a_number_beyond_its_bounds_is_refused_by_name(field: Field) -> None:
    low, high = field.setting.low, field.setting.high
    beyond = [bound + sign for bound, sign in ((low, -1), (high, 1)) if bound is not None]
    assert beyond
    for value in beyond:
        with pytest.raises(ConfigError) as caught:
            parse(field, str(value if field.kind is float else int(value)))
        assert caught.value.setting == field.name
        assert str(caught.value).startswith(field.option)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", " 1_000 ", 1000),
        ("learning_rate", "5e-4", 5e-4),
        ("drop_last", "no", False),
        ("drop_last", "True", True),
        ("augment", "torchvision", "torchvision"),
        ("dataset", "folder:/a b/c", "folder:/a b/c"),
    ],
)
def test_text_becomes_the_value_of_its_type(name: str, text: str, value: object) -> None:
    assert parse(BY_NAME[name], text) == value
    assert type(parse(BY_NAME[name], text)) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("epochs", "many", "not a whole number"),
        ("epochs", "1.5", "not a whole number"),
        ("learning_rate", "nan", "out of bounds"),
        ("drop_last", "maybe", "neither yes nor no"),
        ("augment", "pil", "choose one of them"),
        ("image_size", "8", "16 to 512 pixels"),
    ],
)
def test_bad_text_is_answered_with_what_is_allowed(name: str, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(BY_NAME[name], text)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"dataset": "imagenet"}, "dataset"),
        ({"dataset": "folder:"}, "dataset"),
        ({"device": "tpu"}, "device"),
        ({"blur_kernel": 8}, "blur_kernel"),
        ({"crop_scale_min": 0.9, "crop_scale_max": 0.5}, "crop_scale_min"),
        ({"blur_sigma_min": 3.0}, "blur_sigma_min"),
        ({"cache": "vram", "augment": "torchvision"}, "cache"),
        ({"epochs": 5, "warmup_epochs": 6.0}, "warmup_epochs"),
        ({"epochs": "5"}, "epochs"),
        ({"epochs": True}, "epochs"),
    ],
)
def test_a_config_that_contradicts_itself_names_the_setting(changes: dict[str, object], setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PretrainConfig(**changes)  # type: ignore[arg-type]
    assert caught.value.setting == setting


def test_a_config_survives_its_json() -> None:
    config = PretrainConfig(epochs=7, dataset="folder:/x", learning_rate=0.1 + 0.2)
    assert PretrainConfig.from_json(config.to_json()) == config


def test_settings_added_later_take_their_default_and_unknown_ones_are_refused() -> None:
    values = json.loads(PretrainConfig(epochs=7).to_json())
    del values["temperature"]
    assert PretrainConfig.from_values(values).temperature == PretrainConfig().temperature
    with pytest.raises(ConfigError, match="--no-such: no such setting"):
        PretrainConfig.from_values({"no_such": 1})


@given(st.sampled_from(sorted(BY_NAME)), st.data())
def test_the_digest_changes_with_what_can_change_a_result_and_only_with_that(name: str, data: st.DataObject) -> None:
    field = BY_NAME[name]
    other = {
        bool: st.booleans(),
        int: st.integers(2, 15),
        float: st.floats(0.05, 0.45),
        str: st.sampled_from(field.choices or ("cpu", "shapes")),
    }[field.kind]
    base = PretrainConfig()
    try:
        changed = PretrainConfig.from_values(dataclasses.asdict(base) | {name: data.draw(other)})
    except ConfigError:
        return
    is_same = getattr(changed, name) == getattr(base, name) or not field.setting.results
    assert (changed.digest() == base.digest()) == is_same


def test_the_blur_kernel_is_a_tenth_of_the_side_and_odd() -> None:
    sizes = {side: PretrainConfig(image_size=side).blur_kernel_size for side in (32, 64, 96, 224)}
    assert sizes == {32: 3, 64: 7, 96: 9, 224: 23}
