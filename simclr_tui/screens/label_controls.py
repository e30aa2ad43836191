"""The keys of what people write on runs, of the archive and the trash, and the key that takes the last of it back."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.keys import key
from simclr_tui.screens.group import confirm, do_to_own, refusal_of, sorted_out
from simclr_tui.screens.mixin import BoardKeys

if TYPE_CHECKING:
    from simclr_tui.labels.actions import LabelActions
    from simclr_tui.model import RunRow


class LabelControls(BoardKeys):
    """Mixed into the main screen."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("t", "labels", "labels", id="run.labels", tooltip="Name, tags and note of the run"),
        Binding(
            "T", "tag_marked", "tag marked", show=False, id="marked.tag", tooltip="Add or take away tags of marked runs"
        ),
        Binding(
            "asterisk", "pin", "pin", show=False, id="run.pin", tooltip="Show the run before all others, or no longer"
        ),
        Binding(
            "a",
            "archive",
            "archive",
            show=False,
            id="run.archive",
            tooltip="Leave the run out of the list, or list it again",
        ),
        Binding(
            "A", "archive_marked", "archive marked", show=False, id="marked.archive", tooltip="The same for marked runs"
        ),
        Binding(
            "d", "trash", "trash", show=False, id="run.trash", tooltip="Put the run into the trash, or take it out"
        ),
        Binding("D", "trash_marked", "trash marked", show=False, id="marked.trash", tooltip="The same for marked runs"),
        Binding(
            "u",
            "undo",
            "undo",
            show=False,
            id="labels.undo",
            tooltip="Take back the last label, rename, archive or trash",
        ),
    ]

    @property
    def _labels(self) -> "LabelActions":
        return self.dashboard.actions.labels

    def action_labels(self) -> None:
        """Open the window of the cursor's run."""
        from simclr_tui.screens.labels import LabelScreen

        row = self._labelled("write on")
        if row is None:
            return

        def save(changes: dict[str, Any] | None) -> None:
            if changes is not None:
                writes_over = changes["name"] is not None or changes["note"] is not None or changes["remove"]
                act = partial(self._labels.edit, row.run.id, **changes)
                do_to_own(self.dashboard, "change", [row] if writes_over else [], act)

        self.app.push_screen(LabelScreen(row), save)

    def action_tag_marked(self) -> None:
        """Open the window of tags of the marked runs; it names them."""
        from simclr_tui.screens.labels import TagScreen

        rows = self._marked_for("T tags")
        ids = [row.run.id for row in rows]

        def save(tags: tuple[list[str], list[str]] | None) -> None:
            if tags is not None:
                self.dashboard.do(partial(self._labels.tag, ids, *tags))

        if rows:
            self.app.push_screen(TagScreen(rows), save)

    def action_pin(self) -> None:
        """Pin the cursor's run, or unpin it."""
        row = self._labelled("pin")
        if row is not None:
            self.dashboard.do(partial(self._labels.pin, [row.run.id], is_pinned=not row.labels.is_pinned))

    def action_archive(self) -> None:
        """Archive the cursor's run, or list it again."""
        row = self._labelled("archive")
        if row is not None:
            is_archived = not row.labels.is_archived
            act = partial(self._labels.archive, [row.run.id], is_archived=is_archived)
            do_to_own(self.dashboard, "archive" if is_archived else "list", [row], act)

    def action_archive_marked(self) -> None:
        """Archive the marked runs once that is confirmed; where all of them are archived, list them again."""
        marked = self._marked_for("A archives")
        rows = [row for row in marked if not row.labels.is_archived]
        if rows:
            undo = f"{key('u', 'labels.undo')} takes it back."
            what = f"They are left out of the list, unless the filter has is:archived. {undo}"
            act = partial(self._labels.archive, [row.run.id for row in rows], is_archived=True)
            confirm(self.dashboard, "archive", rows, what, act)
        elif marked:
            act = partial(self._labels.archive, [row.run.id for row in marked], is_archived=False)
            confirm(self.dashboard, "unarchive", marked, "They are in the list as all others are.", act)

    def action_trash(self) -> None:
        """Put the cursor's run into the trash, or take it out of it; u takes that back, so nothing is asked."""
        row = self._labelled("put into the trash")
        if row is None:
            return
        is_trashed = row.labels.trashed_at is not None
        sentence = None if is_trashed else refusal_of("trash", row)
        if sentence is not None:
            self.notify(sentence, severity="warning")
        else:
            act = partial(self._labels.trash, [row.run.id], is_trashed=not is_trashed)
            do_to_own(self.dashboard, "restore" if is_trashed else "trash", [row], act)

    def action_trash_marked(self) -> None:
        """Put the marked runs into the trash once that is confirmed; where all of them are there, take them out."""
        marked = self._marked_for(f"{key('D', 'marked.trash')} puts", "into the trash")
        rows = [row for row in marked if row.labels.trashed_at is None]
        if marked and not rows:
            act = partial(self._labels.trash, [row.run.id for row in marked], is_trashed=False)
            confirm(self.dashboard, "restore", marked, "They come out of the trash as they were.", act)
            return
        able, refused = sorted_out("trash", rows)
        if able:
            undo = f"{key('u', 'labels.undo')} takes it back."
            what = f"Their files and figures stay until `simclr-tui trash --empty`. {undo}"
            act = partial(self._labels.trash, [row.run.id for row in able], is_trashed=True)
            confirm(self.dashboard, "trash", able, what, act, refused=refused)
        elif rows:
            self.notify("; ".join(refused), severity="warning")

    def action_undo(self) -> None:
        """Take back the last of all this."""
        self.dashboard.do(self._labels.undo)

    def _labelled(self, verb: str) -> "RunRow | None":
        """The cursor's run; else a sentence, and None."""
        row = self.board.cursor
        if row is None:
            self.notify(f"there is no run to {verb}; {key('n', 'runs.new')} makes one", severity="warning")
        return row

    def _marked_for(self, verb: str, where: str = "") -> "list[RunRow]":
        """The marked runs; else a sentence, and none."""
        rows = self.board.marked_rows
        if not rows:
            words = f"space marks the cursor's run, and then {verb} all of them {where}".rstrip()
            self.notify(f"no run is marked; {words}")
        return rows
