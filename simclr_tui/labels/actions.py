"""What the keys of labels and of the trash do to the store, and how the last of it is taken back.

Each is undone by its inverse and not by what was there before: what somebody else has written meanwhile stays.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from simclr_tui.keys import key
from simclr_tui.messages import ActionDone
from simclr_tui.verbs import named
from trainer.errors import TrainerError, UnknownRunError, UsageError
from trainer.store.records import Labels, Run

if TYPE_CHECKING:
    from trainer.store.runs import RunStore

_LEVELS = 100
"""Deeds that can be taken back, the oldest being forgotten."""

Work = Callable[["RunStore"], ActionDone]


@dataclass(frozen=True, slots=True)
class Change:
    """What one run was like before and after."""

    run_id: str
    before: Labels
    after: Labels
    name_before: str
    name_after: str

    @property
    def is_none(self) -> bool:
        """Whether nothing is other than it was."""
        return self.before == self.after and self.name_before == self.name_after


@dataclass(slots=True)
class Deed:
    """Something that was asked for by one key, which one key takes back."""

    words: str
    """What it was, such as `the tags of 2 runs`."""
    changes: list[Change] = field(default_factory=list)


def inverse(change: Change, now: Labels) -> Labels:
    """The labels of a run without what was done to it, whatever else was done since. Pure."""
    before, after = change.before, change.after
    added, removed = {*after.tags} - {*before.tags}, {*before.tags} - {*after.tags}
    found = replace(now, tags=tuple(sorted(({*now.tags} - added) | removed)))
    if before.note != after.note == now.note:
        found = replace(found, note=before.note)
    if before.is_pinned != after.is_pinned:
        found = replace(found, is_pinned=before.is_pinned)
    if before.is_archived != after.is_archived:
        found = replace(found, is_archived=before.is_archived)
    return found


class LabelActions:
    """What a person can write on runs. Every method blocks on the disk and is called in a thread."""

    def __init__(self, do: Callable[[Work], None]) -> None:
        """Args: opens the store, does the work and posts what came of it."""
        self._do = do
        self._deeds: list[Deed] = []
        self._lock = threading.Lock()

    def edit(
        self, run_id: str, *, name: str | None, add: Sequence[str], remove: Sequence[str], note: str | None
    ) -> None:
        """Change a run's name, tags and note; None leaves a name or a note as it is."""

        def change(labels: Labels) -> Labels:
            from trainer.store.labels import with_tags

            labels = with_tags(labels, add, remove)
            return labels if note is None else replace(labels, note=note)

        def work(store: "RunStore") -> ActionDone:
            run = store.run(run_id)
            kinds = {"the name": name is not None, "the tags": add or remove, "the note": note is not None}
            what = " and ".join(kind for kind, is_changed in kinds.items() if is_changed)
            deed = Deed(f"{what} of {name or run.name}")
            self._change(store, deed, run, change, name=name)
            return self._done(deed, f"{name or run.name}: {what or 'nothing'} changed")

        self._do(work)

    def tag(self, run_ids: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> None:
        """Add tags to several runs, and take some away."""
        from trainer.store.labels import with_tags

        words = " ".join([*(f"+{tag}" for tag in add), *(f"-{tag}" for tag in remove)])
        self._label(run_ids, lambda labels: with_tags(labels, add, remove), "the tags of", f"tagged {words}")

    def pin(self, run_ids: Sequence[str], *, is_pinned: bool) -> None:
        """Show runs before all others, or no longer."""
        what, said = ("pinning", "pinned") if is_pinned else ("unpinning", "pinned no more")
        self._label(run_ids, lambda labels: replace(labels, is_pinned=is_pinned), what, said)

    def archive(self, run_ids: Sequence[str], *, is_archived: bool) -> None:
        """Leave runs out of the list, or list them again."""
        what, said = ("archiving", "archived") if is_archived else ("unarchiving", "listed again")
        self._label(run_ids, lambda labels: replace(labels, is_archived=is_archived), what, said)

    def trash(self, run_ids: Sequence[str], *, is_trashed: bool) -> None:
        """Put runs into the trash, or take them out; what can't be done to one keeps no other from it."""

        def work(store: "RunStore") -> ActionDone:
            from trainer import trash

            deed, names, refused = Deed(""), [], []
            for run_id in run_ids:
                try:
                    run = (trash.put if is_trashed else trash.take_out)(store, run_id)
                except TrainerError as error:
                    refused.append(str(error))
                    continue
                names.append(run.name)
                at = 0.0 if is_trashed else None
                before, after = Labels(trashed_at=None if is_trashed else 0.0), Labels(trashed_at=at)
                deed.changes.append(Change(run_id, before, after, run.name, run.name))
            if not names:
                raise UsageError("; ".join(refused))
            way = "putting {} into the trash" if is_trashed else "taking {} out of the trash"
            deed.words = way.format(named(names))
            where = "in the trash" if is_trashed else "out of the trash, as it was"
            return self._done(deed, "; ".join([f"{named(names)} {_is(names)} {where}", *refused]))

        self._do(work)

    def undo(self) -> None:
        """Take back the last of these deeds that was not taken back yet."""

        def work(store: "RunStore") -> ActionDone:
            with self._lock:
                deed = self._deeds.pop() if self._deeds else None
            if deed is None:
                raise UsageError("there is nothing to take back; u undoes labels, names and the trash of this session")
            failed = []
            for change in reversed(deed.changes):
                try:
                    _take_back(store, change)
                except TrainerError as error:
                    failed.append(str(error))
            if failed:
                raise UsageError(f"not all of it could be taken back: {'; '.join(failed)}")
            return ActionDone(f"taken back: {deed.words}")

        self._do(work)

    def _label(self, run_ids: Sequence[str], change: Callable[[Labels], Labels], what: str, said: str) -> None:
        def work(store: "RunStore") -> ActionDone:
            deed, names, gone = Deed(""), [], []
            for run_id in run_ids:
                try:
                    run = store.run(run_id)
                    self._change(store, deed, run, change)
                except UnknownRunError as error:
                    gone.append(str(error))
                else:
                    names.append(run.name)
            if not names:
                raise UsageError("; ".join(gone))
            deed.words = f"{what} {named(names)}"
            return self._done(deed, "; ".join([f"{named(names)} {_is(names)} {said}", *gone]))

        self._do(work)

    def _change(
        self, store: "RunStore", deed: Deed, run: Run, change: Callable[[Labels], Labels], *, name: str | None = None
    ) -> None:
        from trainer.start import rename_run
        from trainer.store.labels import change_labels

        new = rename_run(store, run, name) if name is not None else run.name
        before, after = change_labels(store, run.id, change)
        deed.changes.append(Change(run.id, before, after, run.name, new))

    def _done(self, deed: Deed, sentence: str) -> ActionDone:
        """Keep a deed to be taken back, unless it changed nothing."""
        deed.changes = [change for change in deed.changes if not change.is_none]
        if not deed.changes:
            return ActionDone(f"{sentence}, as before")
        with self._lock:
            self._deeds.append(deed)
            del self._deeds[:-_LEVELS]
        return ActionDone(f"{sentence}; {key('u', 'labels.undo')} takes it back")


def _is(names: Collection[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _take_back(store: "RunStore", change: Change) -> None:
    """Do the inverse of a change to a run.

    Raises:
        TrainerError: it is gone, or can't be put into the trash or taken out any more.
    """
    from trainer import trash
    from trainer.start import rename_run
    from trainer.store.labels import change_labels

    if change.before.trashed_at != change.after.trashed_at:
        (trash.take_out if change.before.trashed_at is None else trash.put)(store, change.run_id)
        return
    run = store.run(change.run_id)
    if change.name_before != change.name_after and run.name == change.name_after:
        rename_run(store, run, change.name_before)
    change_labels(store, change.run_id, lambda now: inverse(change, now))
