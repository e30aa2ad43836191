"""Settings as JSON, as the store and the manifests of checkpoints keep them."""

import dataclasses
import hashlib
import json
from typing import Any, Self

from trainer.errors import ConfigError, UsageError
from trainer.settings import fields_of

FOLDER = "folder:"
"""What a data set of a person's own images begins with."""


class StoredSettingsError(ConfigError):
    """The settings that the store or a manifest keeps can't be used; a hand or a damaged disk has changed them."""

    def __init__(self, reason: str) -> None:
        """Args: what is wrong with them."""
        UsageError.__init__(
            self, f"the stored settings can't be used, {reason}; put a copy of runs.db back, or launch a new run"
        )
        self.setting, self.reason = "config", reason


class Serialised:
    """Conversion to and from the JSON that the store keeps in `runs.config`."""

    def to_json(self) -> str:
        """Every setting, sorted by name."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The config that was stored; settings added since take their defaults.

        Raises:
            StoredSettingsError: it is no JSON object, a value is out of bounds, or a setting is not known to this
                version.
        """
        try:
            values = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise StoredSettingsError("they are no JSON") from error
        if not isinstance(values, dict):
            raise StoredSettingsError("they are no JSON object")
        try:
            return cls.from_values(values)
        except ConfigError as error:
            raise StoredSettingsError(str(error)) from error

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """A config from a mapping of names to values.

        Raises:
            ConfigError: a value is out of bounds, or a name is not a setting.
        """
        known = {field.name for field in fields_of(cls)}
        for name in values:
            if name not in known:
                raise ConfigError(name, "no such setting; `python -m trainer.run --help` lists them")
        return cls(**values)

    def digest(self) -> str:
        """SHA-256 over the settings that can change a result, in hexadecimal."""
        values = {f.name: getattr(self, f.name) for f in fields_of(type(self)) if f.setting.results}
        if str(values.get("dataset")).startswith(FOLDER):
            values["dataset"] = FOLDER  # where the images lie is not what they are, which has a fingerprint of its own
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
