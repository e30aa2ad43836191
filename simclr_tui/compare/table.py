"""The table of a comparison: a column for each run, rows in groups, the best of a row and deltas marked. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from simclr_tui.format import UNKNOWN

BEST = "★"
"""Behind the best value of a row, and each that equals it."""

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Better(Enum):
    """Which end of a row's values is the good one."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = ""


class Delta(Enum):
    """How a value is set against that of the first run."""

    PLAIN = "difference"
    POINTS = "points"
    PERCENT = "percent"
    NONE = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What the table says of one run in one row."""

    text: str = UNKNOWN
    value: float | str | bool | None = None
    """In the row's unit."""
    epoch: int | None = None
    is_best: bool = False
    delta: str = ""
    """Against the first run, in words; empty of the first run itself."""
    difference: float | None = None
    """The same as a number: in the row's unit, or in % where the row says so."""

    @property
    def figure(self) -> str:
        """Value, its epoch, and the sign of the best."""
        at = f" (ep {self.epoch})" if self.epoch is not None else ""
        return f"{self.text}{at}" + (f" {BEST}" if self.is_best else "")

    @property
    def words(self) -> str:
        """All of it in a line: 78.9 (ep 412) ★ +1.2."""
        return f"{self.figure} {self.delta}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A row of the table."""

    name: str
    cells: Sequence[Cell]
    unit: str = ""
    unit_is_above: bool = False
    """Whether the title of its group names the unit."""
    better: Better = Better.NEITHER
    delta: Delta = Delta.NONE
    note: str = ""
    """Why its values can't be set against each other, or what has to be known to do so."""

    @property
    def title(self) -> str:
        """Its name with its unit."""
        return f"{self.name}, {self.unit}" if self.unit and not self.unit_is_above else self.name


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a title."""

    title: str
    lines: Sequence[Line]
    remark: str = ""
    """Said below the title, where there are no rows or they need it."""
    alone: Sequence[Line] = ()
    """Rows that are known of one run only, which are folded away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """What stands above a run's column."""

    run_id: str
    name: str
    """As short as it can be told apart from the others."""
    sign: str
    ink: str
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Everything that is said of some runs, the one that the others are set against first."""

    headings: Sequence[Heading]
    groups: Sequence[Group]
    equal: Group = field(default_factory=lambda: Group("equal settings", ()))
    """The settings that all have in common, which are folded away."""

    def shown(self, *, unfolded: bool) -> list[Group]:
        """The groups in their order; the equal settings behind those that differ, or only how many they are."""
        if not unfolded:
            return list(self.groups)
        whole = [replace(group, lines=[*group.lines, *group.alone], alone=()) for group in self.groups]
        return [*whole[:1], self.equal, *whole[1:]]

    @property
    def folded(self) -> str:
        """How many settings are folded away."""
        count = len(self.equal.lines)
        return f"{count} settings are equal" if count != 1 else "1 setting is equal"

    @property
    def notes(self) -> list[str]:
        """Every note once, in the order of the rows."""
        return list(dict.fromkeys(line.note for group in self.groups for line in group.lines if line.note))

    @property
    def marks(self) -> dict[str, str]:
        """A superscript for each note: ¹, ², …"""
        return {note: str(place).translate(_SUPERSCRIPTS) for place, note in enumerate(self.notes, start=1)}
