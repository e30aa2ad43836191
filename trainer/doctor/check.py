"""One finding of the doctor: how it stands, what was seen, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "bad", "unknown"]
LEVELS: tuple[Level, ...] = ("ok", "warn", "bad", "unknown")
"""In order: fine, worth knowing, something is or will be lost or does not work, could not be found out."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    level: Level
    seen: str
    """One sentence, without a full stop."""
    remedy: str = ""
    """One sentence, or nothing where nothing is to be done."""


def listed(words: Iterable[str], *, most: int = 4) -> str:
    """Some words with commas, and how many more there are: `a, b, c, d and 8 more`."""
    all_words = list(words)
    shown = ", ".join(all_words[:most])
    return shown if len(all_words) <= most else f"{shown} and {len(all_words) - most} more"


def plural(number: int, noun: str) -> str:
    """A number and its noun: `1 run`, `2 runs`, `1,200 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
