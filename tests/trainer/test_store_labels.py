"""What people write on runs."""

from dataclasses import replace

import pytest

from trainer.errors import UnknownRunError, UsageError
from trainer.store import RunStore
from trainer.store.labels import change_labels, labels_of, read_labels, refuse_trashed, with_tags, write_labels
from trainer.store.records import Labels


def test_labels_come_back_as_they_were_written(store: RunStore) -> None:
    one, other = (store.create_run(kind="pretrain", name=name, config="{}") for name in ("a", "b"))
    assert read_labels(store) == {}
    labels = Labels(tags=("baseline", "paper"), note="Grüße", is_pinned=True, is_archived=True)
    write_labels(store, one, labels)
    assert read_labels(store) == {one: labels}
    assert not Labels(tags=("x",), is_pinned=True).is_hidden
    write_labels(store, other, Labels(trashed_at=1.0))
    assert read_labels(store)[other].is_hidden


def test_what_stays_keeps_its_time_and_what_goes_leaves_nothing(store: RunStore) -> None:
    run_id = store.create_run(kind="pretrain", name="a", config="{}")
    write_labels(store, run_id, Labels(tags=("old", "kept"), trashed_at=1.0))
    store.connection.execute("UPDATE annotations SET at = 7")
    write_labels(store, run_id, Labels(tags=("kept", "new"), note="n", trashed_at=2.0))
    assert read_labels(store) == {run_id: Labels(tags=("kept", "new"), note="n", trashed_at=7.0)}
    write_labels(store, run_id, Labels())
    assert store.connection.execute("SELECT count(*) FROM annotations").fetchone()[0] == 0


def test_pinned_checkpoints_are_no_label_and_stay(store: RunStore) -> None:
    run_id = store.create_run(kind="pretrain", name="a", config="{}")
    store.pin_checkpoint(run_id, 5)
    write_labels(store, run_id, Labels(tags=("x",)))
    write_labels(store, run_id, Labels())
    assert store.pinned_checkpoints(run_id) == {5}


def test_a_change_is_made_to_the_labels_as_they_are_whoever_wrote_them(store: RunStore) -> None:
    run_id = store.create_run(kind="pretrain", name="a", config="{}")
    other = RunStore.open(store.runs_path)
    change_labels(other, run_id, lambda labels: with_tags(labels, ["theirs"]))
    before, after = change_labels(store, run_id, lambda labels: with_tags(labels, ["ours"], ["not there"]))
    other.close()
    assert (before, after) == (Labels(tags=("theirs",)), Labels(tags=("ours", "theirs")))
    assert labels_of(store, run_id) == after


def test_what_a_change_raises_leaves_all_as_it_was(store: RunStore) -> None:
    run_id = store.create_run(kind="pretrain", name="a", config="{}")
    write_labels(store, run_id, Labels(note="kept"))

    def refuse(labels: Labels) -> Labels:
        raise UsageError(f"not with {labels.note}")

    with pytest.raises(UsageError, match="not with kept"):
        change_labels(store, run_id, refuse)
    change_labels(store, run_id, lambda labels: replace(labels, is_pinned=True))
    assert labels_of(store, run_id) == Labels(note="kept", is_pinned=True)


def test_nothing_is_written_on_a_run_that_is_not_there(store: RunStore) -> None:
    with pytest.raises(UnknownRunError, match="no run has the id 'aaaaaaaaaa'"):
        write_labels(store, "aaaaaaaaaa", Labels(note="lost"))
    assert read_labels(store) == {}


def test_a_run_in_the_trash_is_refused_with_the_way_out(store: RunStore) -> None:
    run = store.run(store.create_run(kind="pretrain", name="a", config="{}"))
    refuse_trashed(store, run)
    write_labels(store, run.id, Labels(trashed_at=1.0, is_archived=True))
    with pytest.raises(UsageError, match=f"a is in the trash; `simclr-tui restore {run.id}` takes it out again"):
        refuse_trashed(store, run)
