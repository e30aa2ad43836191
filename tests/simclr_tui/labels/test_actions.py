"""Taking back what was written on runs: against a run that somebody else writes on meanwhile, and drawn at random."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from textual.message import Message

from simclr_tui.actions import Actions
from simclr_tui.labels.actions import Change, inverse
from simclr_tui.messages import ActionDone, ActionFailed
from tests.simclr_tui.support import add_run
from trainer import trash
from trainer.store import RunStore
from trainer.store.labels import change_labels, labels_of, write_labels
from trainer.store.records import Labels


class Told:
    """Actions on a store, with everything that they said."""

    def __init__(self, runs: Path) -> None:
        """Args: the runs folder."""
        self.said: list[str] = []
        self.actions = Actions(runs, self._take)

    def _take(self, message: Message) -> None:
        assert isinstance(message, ActionDone | ActionFailed)
        self.said.append(message.sentence)


@pytest.fixture
def told(runs: Path, store: RunStore) -> Told:
    """Actions whose sentences are kept."""
    return Told(runs)


def drawn(rng: random.Random) -> Labels:
    """Any labels but the trash."""
    tags = sorted(rng.sample(["a", "b", "c", "d"], rng.randrange(5)))
    note = rng.choice(["", "one", "two"])
    return Labels(tags=tuple(tags), note=note, is_pinned=rng.random() < 0.5, is_archived=rng.random() < 0.5)


def test_nothing_else_happened_so_the_inverse_gives_back_what_was_there() -> None:
    rng = random.Random(1)
    for _ in range(200):
        before, after = drawn(rng), drawn(rng)
        assert inverse(Change("r", before, after, "n", "n"), after) == before


def test_what_somebody_else_did_meanwhile_stays() -> None:
    change = Change("r", Labels(tags=("old",)), Labels(tags=("new",)), "n", "n")
    now = Labels(tags=("new", "theirs"), note="theirs", is_pinned=True)
    assert inverse(change, now) == replace(now, tags=("old", "theirs"))


def test_many_levels_are_taken_back_one_by_one_to_the_beginning(store: RunStore, told: Told) -> None:
    labels = told.actions.labels
    ids = [add_run(store, name, lifecycle="paused") for name in "abc"]
    write_labels(store, ids[0], Labels(tags=("kept",), note="kept"))
    rng = random.Random(2)
    names = {run_id: store.run(run_id).name for run_id in ids}
    states = [({run_id: labels_of(store, run_id) for run_id in ids}, dict(names))]
    for number in range(25):
        chosen = rng.sample(ids, rng.randrange(1, 4))
        match rng.randrange(5):
            case 0:
                labels.tag(chosen, [f"t{number}"], ["kept"])
            case 1:
                labels.pin(chosen, is_pinned=not labels_of(store, chosen[0]).is_pinned)
            case 2:
                labels.archive(chosen, is_archived=not labels_of(store, chosen[0]).is_archived)
            case 3:
                labels.edit(chosen[0], name=f"n{number}", add=[], remove=[], note=f"note {number}")
            case 4:
                labels.trash(chosen, is_trashed=labels_of(store, chosen[0]).trashed_at is None)
        states.append(
            ({run_id: labels_of(store, run_id) for run_id in ids}, {run_id: store.run(run_id).name for run_id in ids})
        )
    assert all("takes it back" in sentence or "as before" in sentence for sentence in told.said)
    undone = [state for state, said in zip(states, told.said, strict=False) if "takes it back" in said]
    for wanted in reversed(undone):
        labels.undo()
        assert told.said[-1].startswith("taken back: ")
        there = {run_id: labels_of(store, run_id) for run_id in ids}
        assert {run_id: _untimed(one) for run_id, one in there.items()} == {
            run_id: _untimed(one) for run_id, one in wanted[0].items()
        }
        assert {run_id: store.run(run_id).name for run_id in ids} == wanted[1]
    labels.undo()
    assert told.said[-1].startswith("there is nothing to take back")


def _untimed(labels: Labels) -> Labels:
    """Labels without the moment at which the run came into the trash."""
    return replace(labels, trashed_at=None if labels.trashed_at is None else 0.0)


def test_what_changes_nothing_is_no_level(store: RunStore, told: Told) -> None:
    run_id = add_run(store, "a", lifecycle="paused")
    told.actions.labels.pin([run_id], is_pinned=False)
    told.actions.labels.undo()
    assert told.said == [
        "a is pinned no more, as before",
        "there is nothing to take back; u undoes labels, names and the trash of this session",
    ]


def test_of_several_those_that_can_be_are_trashed_and_only_they_come_back(store: RunStore, told: Told) -> None:
    first, second, there = (add_run(store, name, lifecycle="paused") for name in ("first", "second", "there"))
    trash.put(store, there)
    told.actions.labels.trash([first, there, second], is_trashed=True)
    assert told.said[-1].startswith("first, second are in the trash; there is in the trash already")
    told.actions.labels.undo()
    assert told.said[-1] == "taken back: putting first, second into the trash"
    assert [one.run.id for one in trash.contents(store, store.runs_path)] == [there]
    told.actions.labels.trash([there], is_trashed=True)
    assert "is in the trash already" in told.said[-1]


def test_a_name_that_somebody_else_changed_again_stays(store: RunStore, told: Told) -> None:
    run_id = add_run(store, "a", lifecycle="paused")
    told.actions.labels.edit(run_id, name="b", add=["t"], remove=[], note=None)
    assert told.said == ["b: the name and the tags changed; u takes it back"]
    store.update_run(run_id, name="c")
    change_labels(store, run_id, lambda labels: replace(labels, note="theirs"))
    told.actions.labels.undo()
    assert (store.run(run_id).name, labels_of(store, run_id)) == ("c", Labels(note="theirs"))


def test_a_note_that_somebody_else_wrote_again_stays(store: RunStore, told: Told) -> None:
    run_id = add_run(store, "a", lifecycle="paused")
    write_labels(store, run_id, Labels(note="first"))
    told.actions.labels.edit(run_id, name=None, add=["t"], remove=[], note="mine")
    change_labels(store, run_id, lambda labels: replace(labels, note="theirs"))
    told.actions.labels.undo()
    assert labels_of(store, run_id) == Labels(note="theirs")


def test_a_run_that_is_gone_keeps_no_other_from_its_tag(store: RunStore, told: Told) -> None:
    run_id = add_run(store, "a", lifecycle="paused")
    told.actions.labels.tag(["nowhere", run_id], ["new"], [])
    assert labels_of(store, run_id).tags == ("new",)
    assert told.said == [
        "a is tagged +new; no run has the id 'nowhere'; `simclr-tui ls` lists them; u takes it back",
    ]
    told.actions.labels.undo()
    assert labels_of(store, run_id).tags == ()
    assert told.said[-1] == "taken back: the tags of a"
    told.actions.labels.pin(["nowhere"], is_pinned=True)
    assert told.said[-1].startswith("no run has the id 'nowhere'")
