"""What people write on runs (`tag`, `note`, `pin`, `archive`, `rename`), and the trash (`rm`, `restore`, `trash`).

None of it changes what a run does. Verbs that take several runs do to each what can be done to it, and then say what
could not.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simclr_tui.commands.output import columns, open_reader, say, say_json
from simclr_tui.format import moment, size
from simclr_tui.labels.tag_words import parse_tags
from simclr_tui.verbs import named
from trainer import trash as bin_
from trainer.errors import BusyError, ConfigError, ExitCode, TrainerError, UnknownRunError, UsageError
from trainer.people import is_anothers, is_of, owner_name, refuse_anothers
from trainer.start import rename_run
from trainer.store.labels import change_labels, checked_note, labels_of, with_tags
from trainer.store.reader import StoreReader
from trainer.store.records import Labels, Run
from trainer.store.runs import RunStore

_DAY_SECONDS = 86_400.0

Verb = Callable[[RunStore, Run], str]
"""Does something to a run, and says what came of it."""


def tag(options: argparse.Namespace, runs: Path) -> int:
    """Add and remove tags of one run or several; without any, print those that there are."""
    add, remove = parse_tags(options.tags)

    def change(store: RunStore, run: Run) -> str:
        if add or remove:
            change_labels(store, run.id, lambda labels: with_tags(labels, add, remove))
        tags = labels_of(store, run.id).tags
        return f"{run.name}: {' '.join(tags)}" if tags else f"{run.name} has no tag"

    return _each(options, runs, [options.run, *options.more], change)


def note(options: argparse.Namespace, runs: Path) -> int:
    """Print a run's note, or write it; an empty text takes it away."""
    store = RunStore.open(runs)
    try:
        run = store.find(options.run)
        if options.text is not None:
            text = checked_note(options.text)
            refuse_anothers(run, options.owner)
            change_labels(store, run.id, lambda labels: replace(labels, note=text))
        if options.json:
            say_json(_document(store, store.run(run.id)))
        elif options.text is None:
            say(labels_of(store, run.id).note or f"{run.name} has no note")
        else:
            say(f"the note of {run.name} is kept" if text else f"{run.name} has no note any more")
    finally:
        store.close()
    return ExitCode.FINISHED


def pin(options: argparse.Namespace, runs: Path) -> int:
    """Show runs before all others."""
    return _label(options, runs, "is pinned", is_pinned=True)


def unpin(options: argparse.Namespace, runs: Path) -> int:
    """Give runs their place among the others back."""
    return _label(options, runs, "is pinned no more", is_pinned=False)


def archive(options: argparse.Namespace, runs: Path) -> int:
    """Leave runs out of lists that don't ask for them."""
    words = "is archived; `simclr-tui ls --all` still lists it"
    return _label(options, runs, words, is_asked=True, is_archived=True)


def unarchive(options: argparse.Namespace, runs: Path) -> int:
    """List runs again."""
    return _label(options, runs, "is listed again", is_asked=True, is_archived=False)


def _label(options: argparse.Namespace, runs: Path, words: str, *, is_asked: bool = False, **labels: Any) -> int:
    def change(store: RunStore, run: Run) -> str:
        change_labels(store, run.id, lambda before: replace(before, **labels))
        return f"{run.name} {words}"

    return _each(options, runs, options.runs, change, is_asked=is_asked)


def rename(options: argparse.Namespace, runs: Path) -> int:
    """Call a run something else."""
    store = RunStore.open(runs)
    try:
        run = store.find(options.run)
        refuse_anothers(run, options.owner)
        try:
            name = rename_run(store, run, options.name)
        except ConfigError as error:
            raise UsageError(f"rename: {error.reason}") from error
        if options.json:
            say_json(_document(store, store.run(run.id)))
        else:
            say(f"{run.name} is called {name} from now on")
    finally:
        store.close()
    return ExitCode.FINISHED


def rm(options: argparse.Namespace, runs: Path) -> int:
    """Put runs into the trash."""

    def put(store: RunStore, run: Run) -> str:
        bin_.put(store, run.id)
        return f"{run.name} is in the trash; `simclr-tui restore {run.id}` takes it out again"

    return _each(options, runs, options.runs, put, is_asked=True)


def restore(options: argparse.Namespace, runs: Path) -> int:
    """Take runs out of the trash."""

    def take_out(store: RunStore, run: Run) -> str:
        bin_.take_out(store, run.id)
        return f"{run.name} is out of the trash, as it was"

    return _each(options, runs, options.runs, take_out, find=bin_.find, is_asked=True)


def _each(
    options: argparse.Namespace,
    runs: Path,
    names: Sequence[str],
    verb: Verb,
    *,
    find: Callable[[StoreReader, str], Run] = StoreReader.find,
    is_asked: bool = False,
) -> int:
    """Do something to each of the runs that are named, all of which must be there; 2 where one was refused.

    Args:
        options: of the command line.
        runs: the runs folder.
        names: of the runs.
        verb: does it.
        find: finds one.
        is_asked: whether another person's run is only meant where --owner says so.
    """
    store = RunStore.open(runs)
    refused: dict[str, TrainerError] = {}
    try:
        found = {run.id: run for run in (find(store, name) for name in names)}
        for run in found.values():
            try:
                if is_asked:
                    refuse_anothers(run, options.owner)
                sentence = verb(store, run)
            except TrainerError as error:
                refused[run.id] = error
            else:
                _say(options, sentence)
        if options.json:
            say_json(
                [_document(store, store.run(run_id)) | _reason(refused.get(run_id)) for run_id in found],
            )
    finally:
        store.close()
    if not refused:
        return ExitCode.FINISHED
    first = next(iter(refused.values()))
    print(f"simclr-tui: {'; '.join(map(str, refused.values()))}", file=sys.stderr)  # noqa: T201
    return first.exit_code


def _say(options: argparse.Namespace, sentence: str) -> None:
    if not options.json:
        say(sentence)


def _reason(error: TrainerError | None) -> dict[str, str]:
    return {"reason": "" if error is None else str(error)}


def _document(store: StoreReader, run: Run) -> dict[str, Any]:
    labels = labels_of(store, run.id)
    return {"id": run.id, "name": run.name, **labels_json(labels)}


def labels_json(labels: Labels) -> dict[str, Any]:
    """Labels for scripts."""
    return {
        "tags": list(labels.tags),
        "note": labels.note,
        "pinned": labels.is_pinned,
        "archived": labels.is_archived,
        "trashed_at": labels.trashed_at,
    }


def trash(options: argparse.Namespace, runs: Path) -> int:
    """List what is in the trash with its size on the disk, or delete it for good."""
    if not options.empty and (options.older_than is not None or options.yes or options.owner is not None):
        raise UsageError("--older-than, --owner and --yes belong to --empty; give it too, or leave them out")
    try:
        if options.empty:
            return _empty(options, runs)
        with open_reader(runs) as reader:
            found = bin_.contents(reader, runs)
    except UnknownRunError:  # no store yet
        found = []
    if options.json:
        say_json([_trashed_json(one) for one in found])
    elif not found:
        say(f"nothing is in the trash of {runs}; `simclr-tui rm RUN` puts a run there")
    else:
        _say_trash(found)
    return ExitCode.FINISHED


def _say_trash(found: Sequence[bin_.Trashed]) -> None:
    now = time.time()
    rows = [
        [
            one.run.id,
            one.run.name,
            moment(one.at, now),
            size(one.bytes),
            size(one.bytes - one.shared_bytes),
            "deleted in part" if one.is_going else "",
        ]
        for one in found
    ]
    say(columns(["id", "name", "since", "on the disk", "frees", ""], rows, right=(3, 4)))
    freed = size(sum(one.bytes - one.shared_bytes for one in found))
    say(f"\n`simclr-tui restore ID` takes one out; `simclr-tui trash --empty` deletes all for good and frees {freed}")


def _trashed_json(one: bin_.Trashed) -> dict[str, Any]:
    return {
        "id": one.run.id,
        "name": one.run.name,
        "trashed_at": one.at,
        "bytes": one.bytes,
        "freed_bytes": one.bytes - one.shared_bytes,
        "deleted_in_part": one.is_going,
    }


def _empty(options: argparse.Namespace, runs: Path) -> int:
    with open_reader(runs) as reader:
        before = time.time() - _DAY_SECONDS * (options.older_than or 0.0)
        old = [one for one in bin_.contents(reader, runs) if one.at <= before]
    chosen = [one for one in old if _is_meant(one.run, options.owner)]
    others = sorted({owner_name(one.run) for one in old} - {owner_name(one.run) for one in chosen})
    if others:
        words = f"left alone, since they are other people's: runs of {', '.join(others)}; --owner USER deletes theirs"
        print(f"simclr-tui: {words}", file=sys.stderr)  # noqa: T201
    if chosen and not options.yes and not _is_sure(chosen):
        say("nothing was deleted")
        return ExitCode.FINISHED
    store = RunStore.open(runs)
    try:
        done = bin_.empty(store, chosen)
    finally:
        store.close()
    if options.json:
        say_json({"deleted": done.run_ids, "freed_bytes": done.freed_bytes, "left": done.left})
    elif done.run_ids or not done.left:
        say(f"{_count(len(done.run_ids))} deleted for good, {size(done.freed_bytes)} freed")
    if done.left:
        raise BusyError(f"{_count(len(done.left))} left in the trash: {'; '.join(done.left.values())}")
    return ExitCode.FINISHED


def _is_meant(run: Run, owner: str | None) -> bool:
    """Whether a run is one of those that are deleted: this user's own, or those of the user that was named."""
    return not is_anothers(run) if owner is None else is_of(run, owner)


def _is_sure(chosen: Sequence[bin_.Trashed]) -> bool:
    """Ask on the terminal.

    Raises:
        UsageError: there is none to ask on.
    """
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("trash --empty: there is no terminal to ask on; add --yes to delete them for good")
    names = named([one.run.name for one in chosen])
    freed = size(sum(one.bytes - one.shared_bytes for one in chosen))
    answer = input(f"Delete {names} for good, files and figures ({freed})? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


def _count(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"
