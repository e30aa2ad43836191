"""Recipes with their source, as data: each is a TOML file beside this module."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.quote import quoted


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A named set of settings; what it does not name keeps its default."""

    name: str
    title: str
    source: str
    deviations: dict[str, str]
    """Settings that differ from the source, each with what differs."""
    settings: dict[str, Any]

    def config(self, **changes: Any) -> PretrainConfig:
        """The preset's config with some settings changed.

        Raises:
            ConfigError: a changed setting is out of bounds or unknown.
        """
        return PretrainConfig.from_values(self.settings | changes)


def preset_names() -> tuple[str, ...]:
    """The names of all presets, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_preset(name: str) -> Preset:
    """A preset by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in preset_names():
        raise UsageError(f"--preset: {quoted(name)} is not known; choose {', '.join(preset_names())}")
    text = resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return Preset(
        name=name,
        title=data["title"],
        source=data["source"],
        deviations=data.get("deviations", {}),
        settings=data["settings"],
    )


def chosen_config(preset: str | None, values: Mapping[str, Any]) -> PretrainConfig:
    """Settings that begin with a preset, or with the defaults where none is named.

    Args:
        preset: its name.
        values: what is changed of it.

    Raises:
        UsageError: there is no such preset.
        ConfigError: a changed setting is out of bounds or unknown.
    """
    return load_preset(preset).config(**values) if preset else PretrainConfig.from_values(dict(values))
