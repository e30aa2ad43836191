"""A run's name, tags and note as they are being typed. Pure."""

from dataclasses import dataclass, field
from typing import Any

from simclr_tui.labels.tag_words import parse_tags
from simclr_tui.model import RunRow
from trainer.errors import ConfigError, UsageError
from trainer.start import checked_name
from trainer.store.labels import LONGEST_NOTE, checked_note


@dataclass(slots=True)
class LabelForm:
    """What the window holds."""

    row: RunRow
    name: str = field(init=False)
    tags: str = field(init=False)
    """With blanks between them."""
    note: str = field(init=False)

    def __post_init__(self) -> None:
        """Begin with what the run has."""
        self.name, self.tags, self.note = self.row.run.name, " ".join(self.row.labels.tags), self.row.labels.note

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, in a sentence for each field that something is wrong with."""
        found = {}
        try:
            if not checked_name(self.name):
                found["name"] = "it is empty; give at least one character"
        except ConfigError as error:
            found["name"] = error.reason
        try:
            self._typed_tags()
        except UsageError as error:
            found["tags"] = str(error)
        try:
            checked_note(self.note)
        except UsageError as error:
            found["note"] = str(error)
        return found

    def _typed_tags(self) -> list[str]:
        add, remove = parse_tags(self.tags.split())
        if remove:
            raise UsageError(f"-{remove[0]} begins with a sign; tags that are not written here go")
        return add

    @property
    def room(self) -> str:
        """How long the note is, once that is worth saying."""
        length = len(self.note.strip())
        return f"{length:,} of {LONGEST_NOTE:,} characters" if length > 0.8 * LONGEST_NOTE else ""

    @property
    def changes(self) -> dict[str, Any] | None:
        """What `LabelActions.edit` needs, or None where nothing was changed."""
        had, wanted = {*self.row.labels.tags}, {*self._typed_tags()}
        name, note = checked_name(self.name), checked_note(self.note)
        changes = {
            "name": name if name != self.row.run.name else None,
            "add": sorted(wanted - had),
            "remove": sorted(had - wanted),
            "note": note if note != self.row.labels.note else None,
        }
        return None if changes == {"name": None, "add": [], "remove": [], "note": None} else changes
