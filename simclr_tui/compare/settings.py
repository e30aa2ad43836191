"""The settings of compared runs: those that differ, and those that all have in common. Pure."""

from collections.abc import Sequence
from typing import Any

from simclr_tui.compare.side import Side
from simclr_tui.compare.table import Cell, Group, Line
from simclr_tui.format import UNKNOWN
from trainer.config import PretrainConfig
from trainer.options import show
from trainer.settings import Field, fields_of
from trainer.store.records import IMPORTED

DIFFERENT = "settings that differ"

_NONE = "none: all settings are equal, so what differs came by chance or from the machine"
_UNKNOWN = "runs that were imported from event files have none"

SPEED_ONLY = "can't change the result, only how fast it comes or what is kept"


def settings_groups(sides: Sequence[Side]) -> tuple[Group, Group]:
    """The settings that differ and those that are equal, each in the order of the config."""
    different: list[Line] = []
    equal: list[Line] = []
    for field in fields_of(PretrainConfig):
        values = [side.settings.get(field.name) for side in sides]
        known = [value for side, value in zip(sides, values, strict=True) if side.run.kind != IMPORTED]
        is_equal = all(value == known[0] for value in known)
        (equal if is_equal else different).append(_line(field, values, is_equal=is_equal))
    if any(side.run.kind == IMPORTED for side in sides):
        remark = _UNKNOWN if different else f"none that is known: {_UNKNOWN}"
    else:
        remark = "" if different else _NONE
    return Group(DIFFERENT, different, remark), Group("equal settings", equal)


def _line(field: Field, values: Sequence[Any], *, is_equal: bool) -> Line:
    return Line(
        name=field.name.replace("_", "-"),
        unit=field.setting.unit,
        cells=[Cell(text=_text(value), value=value) for value in values],
        note="" if field.setting.results or is_equal else SPEED_ONLY,
    )


def _text(value: Any) -> str:
    """As a person would type it; a setting that an older version did not know is unknown."""
    return UNKNOWN if value is None else show(value) or '""'
