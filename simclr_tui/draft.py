"""A run that is being made: what was typed, what it would be, what is wrong with it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

from trainer.config import BACKBONES, PretrainConfig
from trainer.errors import ConfigError
from trainer.options import show
from trainer.presets import load_preset, preset_names
from trainer.settings import Field, fields_of, parse

_WORDS = {
    "dataset": "stl10, cifar10, shapes or folder:PATH",
    "backbone": ", ".join(BACKBONES),
    "device": "auto, next, cpu, cuda or cuda:N",
}
"""What may be typed for settings that are text with a form of its own."""


@dataclass
class Draft:
    """The texts of a form. What was typed stays when the preset changes."""

    preset: str = "demo"
    name: str = ""
    typed: dict[str, str] = field(default_factory=dict)
    """Texts by setting; only those that a person changed."""

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
    def values(self) -> dict[str, Any]:
        """The changed settings with values of their own type.

        Raises:
            ConfigError: one of them is wrong.
        """
        by_name = {one.name: one for one in fields_of(PretrainConfig)}
        return {name: parse(by_name[name], text) for name, text in self.typed.items()}

    @property
    def errors(self) -> Mapping[str, str]:
        """What is wrong, by setting: first each setting by itself, then how they agree."""
        found: dict[str, str] = {}
        for one in fields_of(PretrainConfig):
            if one.name in self.typed:
                try:
                    parse(one, self.typed[one.name])
                except ConfigError as error:
                    found[one.name] = error.reason
        if not found:
            try:
                load_preset(self.preset).config(**self.values)
            except ConfigError as error:
                found[error.setting] = error.reason
        return found


def common_fields() -> list[Field]:
    """The settings that people change often, in the order of the config."""
    return [one for one in fields_of(PretrainConfig) if one.setting.common]


def folded_fields() -> dict[str, list[Field]]:
    """All other settings by their group."""
    rest = [one for one in fields_of(PretrainConfig) if not one.setting.common]
    return {group: list(fields) for group, fields in groupby(rest, key=lambda one: one.setting.group)}


def hint(one: Field) -> str:
    """What may be typed, in a few words."""
    if one.name in _WORDS:
        return _WORDS[one.name]
    if one.kind is bool:
        return "yes or no"
    if "" in one.choices:
        return ", ".join(choice or "none" for choice in one.choices)
    return one.bounds
