"""The sections of the learning screen, in their order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from textual.content import Content

from simclr_tui.learning import accuracy, files, health, invariance, labels, map_words
from simclr_tui.learning.look import Look


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its name, what it says in a line, and which way of evaluation fills it."""

    title: str
    digest: Callable[[Look], Content]
    way: str


SECTIONS: Mapping[str, Section] = {
    "health": Section(health.TITLE, health.digest, "layers"),
    "accuracy": Section(accuracy.TITLE, accuracy.digest, "layers"),
    "labels": Section(labels.TITLE, labels.digest, "labels"),
    "invariance": Section(invariance.TITLE, invariance.digest, "invariance"),
    "map": Section(map_words.TITLE, map_words.digest, "map"),
    "files": Section(files.TITLE, files.digest, "layers"),
}
"""By id."""


def heading(name: str, look: Look) -> Content:
    """What stands above a section."""
    if name == "map":
        return map_words.title(look)
    return Content.assemble((labels.LONG_TITLE if name == "labels" else SECTIONS[name].title, "bold"))


TEXTS: Mapping[str, Callable[[Look, int], Content]] = {
    "health": health.body,
    "accuracy": accuracy.body,
    "invariance": invariance.body,
    "files": files.body,
}
"""The text of those sections that are text alone, for a width in cells."""
