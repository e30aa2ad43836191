"""Lists of values in the form and on the command line, the runs that they make, and the names of those."""

import itertools

import pytest

from simclr_tui.launch.draft import Draft
from simclr_tui.launch.sweep import MOST_RUNS, parse_sweep, plan, tag_of, untaken, varied
from trainer.config import PretrainConfig
from trainer.errors import ConfigError, UsageError
from trainer.presets import load_preset
from trainer.settings import Field, fields_of
from trainer.store.labels import checked_tag

FIELDS: dict[str, Field] = {one.name: one for one in fields_of(PretrainConfig)}


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("learning_rate", "1e-3, 3e-4", (1e-3, 3e-4)),
        ("learning_rate", "0.001,0.002", (0.001, 0.002)),
        ("seed", "1..5", (1, 2, 3, 4, 5)),
        ("seed", "1 .. 3, 7", (1, 2, 3, 7)),
        ("batch_size", "128, 1_024", (128, 1024)),
        ("drop_last", "yes, no", (True, False)),
        ("method", "simclr, supcon", ("simclr", "supcon")),
        ("backbone", "resnet18, resnet34", ("resnet18", "resnet34")),
        ("milestones", '"70,90", "60,80"', ("70,90", "60,80")),
        ("dataset", '"folder:/a, b", "stl10"', ("folder:/a, b", "stl10")),
    ],
)
def test_commas_and_ranges_make_a_list(name: str, text: str, values: tuple[object, ...]) -> None:
    found = varied(FIELDS[name], text)
    assert found is not None
    assert found.values == values


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("learning_rate", "1e-3"),
        ("seed", "7"),
        ("milestones", "70,90"),
        ("dataset", "folder:/a,b"),
        ("data_dir", "/a,b"),
    ],
)
def test_one_value_is_no_list_and_paths_and_milestones_keep_their_commas(name: str, text: str) -> None:
    assert varied(FIELDS[name], text) is None


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("learning_rate", "1e-3,", "a value is missing beside a comma"),
        ("learning_rate", "1e-3, 0.001", "0.001 is there twice"),
        ("learning_rate", "1e-3, fast", "'fast' is not a number"),
        ("batch_size", "1,024", "write 1024 or 1_024"),
        ("seed", "5..1", "does not grow"),
        ("seed", "1..99999999999", "give at most 64"),
        ("milestones", '"70,90", "60', "a quote is missing"),
        ("milestones", '"70,90"', "a list of one value"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(name: str, text: str, part: str) -> None:
    with pytest.raises(ConfigError, match=r"^--") as caught:
        varied(FIELDS[name], text)
    assert part in caught.value.reason


def test_a_sweep_is_every_combination_the_last_list_changing_fastest() -> None:
    lists = parse_sweep(["lr=1e-3,3e-4", "seed=1..3"])
    planned = plan("demo", {"epochs": 7}, lists, lambda own: load_preset("demo").config(**own))
    slowly = [
        (f"demo-lr-{rate}-seed-{seed}", {"epochs": 7, "learning_rate": float(rate), "seed": seed})
        for rate, seed in itertools.product(("1e-3", "3e-4"), (1, 2, 3))
    ]
    assert [(one.name, one.values) for one in planned] == slowly


def test_a_sweep_is_no_larger_than_one_can_look_through() -> None:
    assert len(parse_sweep(["seed=1..64"])[0].values) == MOST_RUNS
    with pytest.raises(ConfigError, match="make 80 runs"):
        parse_sweep(["seed=1..40", "epochs=1,2"])
    with pytest.raises(ConfigError, match="are lists already"):
        parse_sweep(["seed=1,2", "epochs=1,2", "views=2,3"])


def test_settings_that_disagree_in_one_of_the_runs_are_told_with_the_run() -> None:
    draft = Draft(typed={"cache": "ram, vram", "augment": "kornia, torchvision"})
    assert draft.errors["cache"].startswith("in augment-torchvision-cache-vram: ") or draft.errors["cache"].startswith(
        "in cache-vram-augment-torchvision: "
    )
    assert draft.planned() == []


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["lrr=1,2"], "did you mean lr?"),
        (["seed"], "write NAME=V1,V2"),
        (["seed=1"], "seed has one value"),
        (["seed=1,2", "seed=3,4"], "seed is there twice"),
    ],
)
def test_a_wrong_word_after_sweep_is_a_sentence(words: list[str], part: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_sweep(words)
    assert part in str(caught.value)


def test_names_and_tags_are_those_that_no_run_has() -> None:
    draft = Draft(typed={"seed": "1..2"})
    assert [one.name for one in draft.planned()] == ["demo-seed-1", "demo-seed-2"]
    assert [one.name for one in draft.planned({"demo-seed-2"})] == ["demo-2-seed-1", "demo-2-seed-2"]
    assert draft.base({"demo-seed-2", "sweep:demo-2"}) == "demo-3"
    assert untaken("a", lambda base: [base], {"b"}) == "a"


def test_a_tag_is_one_word_that_the_store_takes() -> None:
    for name in ("demo", "a long name with many words in it, much too long for a tag", "été"):
        assert checked_tag(tag_of(name)) == tag_of(name)


def test_two_values_that_would_be_called_alike_and_names_too_long_are_refused() -> None:
    draft = Draft(typed={"dataset": '"folder:/a/birds", "folder:/b/birds"'})
    assert "two runs would be called demo-dataset-birds" in draft.errors["dataset"]
    draft = Draft(name="n" * 58, typed={"seed": "1..2"})
    assert "longer than 60 characters" in draft.errors["name"]


def test_a_draft_with_a_list_says_what_its_first_run_is() -> None:
    draft = Draft(typed={"learning_rate": "1e-3, 3e-4", "epochs": "3"})
    assert draft.errors == {}
    assert draft.values == {"epochs": 3}
    assert draft.config is not None
    assert (draft.config.learning_rate, draft.config.epochs) == (1e-3, 3)
