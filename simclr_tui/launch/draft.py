"""A run that is being made: what was typed, what it would be, what is wrong with it. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from simclr_tui.launch.sweep import Planned, Varied, plan, tag_of, untaken, varied
from trainer.config import BACKBONES, PretrainConfig
from trainer.errors import ConfigError
from trainer.options import show
from trainer.presets import load_preset, preset_names
from trainer.settings import Field, fields_of, parse
from trainer.start import checked_name
from trainer.store.records import Run
from trainer.stored_settings import settings_of

_LONGEST_TEXT = 4096

_WORDS = {
    "dataset": "stl10, cifar10, shapes or folder:PATH",
    "backbone": ", ".join(BACKBONES),
    "device": "auto, next, cpu, cuda or cuda:N",
}
"""What may be typed for settings that are text with a form of its own."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What follows from the texts of a draft."""

    errors: Mapping[str, str]
    """By setting; empty where all is well."""
    lists: Sequence[Varied] = ()
    planned: Sequence[Planned] = ()
    """The runs of a sweep, under the name as it was typed."""
    config: PretrainConfig | None = None


@dataclass
class Draft:
    """The texts of a form. What was typed stays when the preset changes."""

    preset: str = "demo"
    name: str = ""
    typed: dict[str, str] = field(default_factory=dict)
    """Texts by setting; only those that a person changed. A list of values makes a sweep."""
    _judged: tuple[object, Judged] | None = field(default=None, init=False, repr=False, compare=False)

    @cached_property
    def _presets(self) -> dict[str, PretrainConfig]:
        return {name: load_preset(name).config() for name in preset_names()}

    def usual(self, one: Field) -> str:
        """What the preset has for a setting."""
        return show(getattr(self._presets[self.preset], one.name))

    def text(self, one: Field) -> str:
        """What the form shows for a setting."""
        return self.typed.get(one.name, self.usual(one))

    def type(self, one: Field, text: str) -> None:
        """Take what was typed; typing the preset's own value takes a change back."""
        if text == self.usual(one):
            self.typed.pop(one.name, None)
        else:
            self.typed[one.name] = text

    def is_changed(self, one: Field) -> bool:
        """Whether a setting differs from the preset's."""
        return one.name in self.typed

    @property
    def is_empty(self) -> bool:
        """Whether a person has typed nothing that could be lost."""
        return not self.typed and not self.name.strip()

    @property
    def values(self) -> dict[str, Any]:
        """The changed settings with values of their own type, without those that are lists.

        Raises:
            ConfigError: one of them is wrong.
        """
        fields = {name: by_name()[name] for name in self.typed}
        return {
            name: parse(one, self.typed[name]) for name, one in fields.items() if varied(one, self.typed[name]) is None
        }

    @property
    def lists(self) -> Sequence[Varied]:
        """The settings that are lists of values, in the order of the config; none where something is wrong."""
        return self._judge().lists

    @property
    def errors(self) -> Mapping[str, str]:
        """What is wrong, by setting: first each setting by itself, then how they agree."""
        return self._judge().errors

    @property
    def config(self) -> PretrainConfig | None:
        """The settings of the run, or of the first run of the sweep; None where something is wrong."""
        return self._judge().config

    def planned(self, taken: Collection[str] = ()) -> list[Planned]:
        """The runs of the sweep, with names that no run has yet; none where no setting is a list, or one is wrong.

        Args:
            taken: the names and the tags of the runs that there are.
        """
        judged = self._judge()
        if judged.errors or not judged.lists:
            return []
        base = self.base(taken)
        return [Planned(base + one.name.removeprefix(self._plain), one.values) for one in judged.planned]

    def base(self, taken: Collection[str] = ()) -> str:
        """What the names of a sweep begin with."""
        endings = [one.name.removeprefix(self._plain) for one in self._judge().planned]
        return untaken(self._plain, lambda base: (tag_of(base), *(base + ending for ending in endings)), taken)

    @property
    def _plain(self) -> str:
        return self.name.strip() or self.preset

    def _judge(self) -> Judged:
        """What follows from the texts; kept until one of them changes, since a form asks often."""
        question = (self.preset, self.name, tuple(self.typed.items()))
        if self._judged is None or self._judged[0] != question:
            self._judged = (question, self._judge_anew())
        return self._judged[1]

    def _judge_anew(self) -> Judged:
        errors: dict[str, str] = {}
        lists: list[Varied] = []
        values: dict[str, Any] = {}
        for name, one in by_name().items():
            if name not in self.typed:
                continue
            try:
                found = varied(one, self.typed[name])
                if found is None:
                    values[name] = parse(one, self.typed[name])
                else:
                    lists.append(found)
            except ConfigError as error:
                errors[name] = error.reason
        if errors:
            return Judged(errors)
        preset = load_preset(self.preset)
        try:
            checked_name(self.name)
            if not lists:
                return Judged({}, config=preset.config(**values))
            planned = plan(self._plain, values, lists, lambda own: preset.config(**own))
        except ConfigError as error:
            return Judged({error.setting: error.reason})
        return Judged({}, lists, planned, preset.config(**planned[0].values))

    def to_json(self) -> dict[str, Any]:
        """What is remembered of it."""
        return {"preset": self.preset, "name": self.name, "typed": dict(self.typed)}

    @classmethod
    def from_json(cls, found: Any) -> "Draft":
        """A draft that was remembered; what can't be one, or is not known to this version, is left out."""
        if not isinstance(found, dict):
            return cls()
        typed = found.get("typed")
        pairs = typed.items() if isinstance(typed, dict) else ()
        texts = {key: text for key, text in pairs if key in by_name() and isinstance(text, str) and _fits(text)}
        name, preset = found.get("name"), found.get("preset")
        return cls(
            preset=preset if preset in preset_names() else "demo",
            name=name if isinstance(name, str) and _fits(name) else "",
            typed=texts,
        )

    @classmethod
    def like(cls, run: Run) -> "Draft":
        """The settings of a run as differences from its preset; its name is not taken."""
        draft = cls(preset=run.preset if run.preset in preset_names() else "stl10")
        values = settings_of(run)
        usual = draft._presets[draft.preset]
        for one in fields_of(PretrainConfig):
            value = values.get(one.name, getattr(usual, one.name))
            is_settled = (one.name == "threads" and usual.threads == 0) or (
                one.name == "data_dir" and Path(str(value)).match(usual.data_dir)
            )
            if value != getattr(usual, one.name) and not is_settled:
                draft.typed[one.name] = _exact(one, value)
        return draft


def by_name() -> dict[str, Field]:
    """Every setting by its name, in the order of the config."""
    return {one.name: one for one in fields_of(PretrainConfig)}


def _exact(one: Field, value: Any) -> str:
    """A value as a person would type it, with as many digits as bring it back."""
    text = show(value)
    return text if not isinstance(value, float) or parse(one, text) == value else repr(value)


def _fits(text: str) -> bool:
    return len(text) <= _LONGEST_TEXT and text.isprintable()


def common_fields() -> list[Field]:
    """The settings that people change often, in the order of the config."""
    return [one for one in fields_of(PretrainConfig) if one.setting.common]


def folded_fields() -> dict[str, list[Field]]:
    """All other settings by their group."""
    rest = [one for one in fields_of(PretrainConfig) if not one.setting.common]
    return {group: list(fields) for group, fields in groupby(rest, key=lambda one: one.setting.group)}


def matching(text: str) -> frozenset[str]:
    """The names of the settings in whose name, group or help every word of a text is; all of them for no word."""
    words = text.lower().replace("_", "-").split()
    return frozenset(
        one.name
        for one in fields_of(PretrainConfig)
        if all(word in f"{one.name} {one.option} {one.setting.group} {one.help}".lower() for word in words)
    )


def hint(one: Field) -> str:
    """What may be typed, in a few words."""
    if one.name in _WORDS:
        return _WORDS[one.name]
    if one.kind is bool:
        return "yes or no"
    if "" in one.choices:
        return ", ".join(choice or "none" for choice in one.choices)
    return one.bounds
