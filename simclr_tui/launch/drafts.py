"""The draft of the form, and those that another one took the place of: nothing that was typed is ever lost.

Both are remembered for each runs folder, so that they outlive the dashboard.
"""

from typing import Any

from simclr_tui.launch.draft import Draft
from simclr_tui.remembered import Remembered

DRAFT, KEPT = "launch.draft", "launch.kept"
"""Names under which they are remembered."""

MOST_KEPT = 12


class Drafts:
    """What the form edits, and what it had before."""

    def __init__(self, remembered: Remembered) -> None:
        """Args: what knows the drafts of the last session and takes those of this one."""
        self._remembered = remembered
        kept = remembered.get(KEPT, [])
        self.current = Draft.from_json(remembered.get(DRAFT))
        self.kept = [Draft.from_json(one) for one in kept[:MOST_KEPT]] if isinstance(kept, list) else []
        """The newest first."""

    def take(self, draft: Draft) -> bool:
        """Edit another draft; whether the one before had something typed and was kept."""
        before, self.current = self.current, draft
        self.kept = [one for one in self.kept if one not in (before, draft)]
        if before.is_empty or before == draft:
            return False
        self.kept = [before, *self.kept][:MOST_KEPT]
        return True

    def launched(self) -> None:
        """The draft has become a run: the next form is a fresh one."""
        self.current = Draft()

    def snapshot(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What is to be remembered, for `save`, which may happen in another thread."""
        return self.current.to_json(), [one.to_json() for one in self.kept]

    def save(self, snapshot: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
        """Remember a snapshot. Blocks on the disk."""
        draft, kept = snapshot
        self._remembered.put(DRAFT, draft)
        self._remembered.put(KEPT, kept)


def draft_words(draft: Draft) -> str:
    """A draft in a line: what was typed."""
    words = [f"{name.replace('_', '-')} {text or 'nothing'}" for name, text in draft.typed.items()]
    return " · ".join(words) or "no setting differs"
