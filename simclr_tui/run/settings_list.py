"""Every setting of a run as lines: what differs first, then all of them by group; found by words. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from simclr_tui.format import UNKNOWN, count, moment
from simclr_tui.run.changed_settings import changed_settings, recipe_name
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.options import describe, show
from trainer.settings import Field, fields_of
from trainer.store.records import Event, Run
from trainer.stored_settings import settings_of

_CONFIGS: dict[str, type] = {"evaluate": EvaluateConfig, "benchmark": BenchmarkConfig}


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingLine:
    """A heading, a setting, or a sentence."""

    text: str
    """The heading, the setting's name as it is spelt on the command line, or the sentence."""
    value: str = ""
    note: str = ""
    """What it is beside: the recipe's value, the parent's, or nothing."""
    help: str = ""
    is_heading: bool = False
    is_changed: bool = False
    """Whether it differs from the recipe."""

    @property
    def is_setting(self) -> bool:
        """Whether the cursor can stand on it."""
        return bool(self.help)

    def matches(self, words: str) -> bool:
        """Whether every word is in its name, value, note or help."""
        haystack = f"{self.text} {self.value} {self.note} {self.help}".lower()
        return all(word in haystack for word in words.lower().split())


def setting_lines(run: Run, parent: Run | None, accepted: Sequence[Event], now: float) -> list[SettingLine]:
    """What a run's settings are, the differences first.

    Args:
        run: the run.
        parent: the run that it is a fork of, if that is known.
        accepted: the changes that were accepted over time, the oldest first.
        now: UTC seconds.
    """
    cls = _CONFIGS.get(run.kind, PretrainConfig)
    fields = {field.name: field for field in fields_of(cls)}
    usual = {one.name: show(one.usual) for one in changed_settings(run)}
    values = settings_of(run)
    lines = [_heading(f"differs from {recipe_name(run)}")]
    if not usual:
        lines.append(SettingLine(text="nothing"))
    lines += [_line(fields[name], values, f"{recipe_name(run)}: {was}", changed=True) for name, was in usual.items()]
    if run.parent_run_id is not None:
        lines += _beside_parent(run, parent, fields, usual)
    if accepted:
        lines.append(_heading("changes that were accepted"))
        for event in accepted:
            at = moment(event.at, now)
            step = f" after step {count(event.step)}" if event.step is not None else ""
            lines.append(SettingLine(text=f"{at}{step}  {event.message}"))
    for group, members in groupby(fields.values(), key=lambda field: field.setting.group):
        lines.append(_heading(group.lower()))
        lines += [_line(field, values, usual.get(field.name, ""), changed=field.name in usual) for field in members]
    return lines


def _beside_parent(
    run: Run, parent: Run | None, fields: dict[str, Field], usual: dict[str, str]
) -> Iterator[SettingLine]:
    if parent is None:
        yield _heading(f"forked from {run.parent_run_id}, which is not here any more")
        return
    yield _heading(f"differs from its parent {parent.name}, forked at step {count(run.parent_step)}")
    here, there = settings_of(run), settings_of(parent)
    names = [name for name in fields if name in here and here[name] != there.get(name)]
    if not names:
        yield SettingLine(text="nothing")
    for name in names:
        was = show(there[name]) if name in there else UNKNOWN
        yield _line(fields[name], here, f"{parent.name}: {was}", changed=name in usual)


def _heading(text: str) -> SettingLine:
    return SettingLine(text=text, is_heading=True)


def _line(field: Field, values: dict[str, Any], note: str, *, changed: bool) -> SettingLine:
    value = show(values[field.name]) if field.name in values else UNKNOWN
    return SettingLine(
        text=field.name.replace("_", "-"), value=value, note=note, help=describe(field), is_changed=changed
    )


def chosen(lines: Sequence[SettingLine], words: str) -> list[SettingLine]:
    """The lines that match, each heading with what is left below it."""
    if not words.strip():
        return list(lines)
    kept: list[SettingLine] = []
    for line in lines:
        if line.is_heading:
            if kept and kept[-1].is_heading:
                kept.pop()
            kept.append(line)
        elif line.matches(words):
            kept.append(line)
    if kept and kept[-1].is_heading:
        kept.pop()
    return kept
