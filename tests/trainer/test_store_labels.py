"""What people write on runs."""

from trainer.store import RunStore
from trainer.store.labels import read_labels, write_labels
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
