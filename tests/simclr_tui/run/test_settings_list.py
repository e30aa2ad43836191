"""Settings as lines: differences first, a fork beside its parent, everything by group."""

import dataclasses
import json

from simclr_tui.run.settings_list import SettingLine, chosen, setting_lines
from trainer.config import PretrainConfig
from trainer.presets import load_preset
from trainer.settings import fields_of
from trainer.store.records import Event, Run

NOW = 1_700_000_000.0


def changed(run: Run, **settings: object) -> Run:
    return dataclasses.replace(run, config=json.dumps({**json.loads(run.config), **settings}))


def below(lines: list[SettingLine], heading: str) -> list[SettingLine]:
    """The lines between a heading and the next one."""
    start = next(number for number, line in enumerate(lines) if line.is_heading and heading in line.text)
    rest = lines[start + 1 :]
    end = next((number for number, line in enumerate(rest) if line.is_heading), len(rest))
    return rest[:end]


def test_what_differs_from_the_preset_comes_first_with_the_presets_value(run: Run) -> None:
    lines = setting_lines(changed(run, batch_size=64), None, (), NOW)
    assert lines[0].text == "differs from preset demo"
    usual = load_preset("demo").config()
    expected = {
        "temperature": ("0.5", f"preset demo: {usual.temperature:g}"),
        "batch-size": ("64", f"preset demo: {usual.batch_size}"),
    }
    assert {one.text: (one.value, one.note) for one in below(lines, "differs from")} == expected


def test_every_setting_is_there_once_by_group_and_marked_where_it_differs(run: Run) -> None:
    lines = setting_lines(run, None, (), NOW)
    first_group = next(number for number, line in enumerate(lines) if line.is_heading and line.text == "data")
    rest = [line for line in lines[first_group:] if line.is_setting]
    assert [line.text for line in rest] == [field.name.replace("_", "-") for field in fields_of(PretrainConfig)]
    assert [line.text for line in rest if line.is_changed] == ["temperature"]
    assert all(line.help for line in rest)


def test_a_run_that_is_as_its_preset_says_so(run: Run) -> None:
    lines = setting_lines(dataclasses.replace(run, config=load_preset("demo").config().to_json()), None, (), NOW)
    assert [line.text for line in below(lines, "differs from preset")] == ["nothing"]


def test_a_fork_is_shown_beside_its_parent(run: Run) -> None:
    child = dataclasses.replace(changed(run, epochs=99), parent_run_id=run.id, parent_step=46)
    lines = setting_lines(child, run, (), NOW)
    heading = "differs from its parent resting, forked at step 46"
    assert [(one.text, one.value) for one in below(lines, heading)] == [("epochs", "99")]
    alone = setting_lines(child, None, (), NOW)
    assert any(line.is_heading and "which is not here any more" in line.text for line in alone)


def test_changes_that_were_accepted_are_told_with_their_step(run: Run) -> None:
    event = Event(id=1, run_id=run.id, at=NOW, level="warning", kind="settings-accepted", message="lr 1 → 2", step=1234)
    (line,) = below(setting_lines(run, None, (event,), NOW), "changes that were accepted")
    assert "after step 1,234  lr 1 → 2" in line.text


def test_searching_keeps_headings_of_what_is_found_only(run: Run) -> None:
    lines = setting_lines(run, None, (), NOW)
    found = chosen(lines, "blur kernel")
    assert [line.text for line in found] == ["augmentation", "blur-kernel"]
    assert chosen(lines, "no such word") == []
    assert chosen(lines, "  ") == lines
