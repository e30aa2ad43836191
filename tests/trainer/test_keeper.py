"""Which checkpoints are kept, and what the store says of them."""

import contextlib
import errno
import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.test_checkpoint import content
from tests.trainer.test_store import make_run
from trainer import checkpoint, durable
from trainer.checkpoint import steps_on_disk
from trainer.config import PretrainConfig
from trainer.errors import CheckpointError, StoreError
from trainer.keeper import CheckpointKeeper
from trainer.paths import checkpoint_dir
from trainer.room import Room
from trainer.seal import sealed
from trainer.store import RunStore


def make_keeper(store: RunStore, runs: Path, run_id: str, **changes: object) -> CheckpointKeeper:
    """A keeper with some settings changed."""
    return CheckpointKeeper(store, runs, run_id, PretrainConfig.from_values(changes))


def save(keeper: CheckpointKeeper, step: int, reason: str = "interval", knn: float | None = None) -> None:
    """Save a payload that knows its step."""
    keeper.save(content(step), step=step, epoch=1, reason=reason, knn_top1=knn)


def test_the_newest_the_best_and_the_milestones_are_kept(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=2, keep_every_epochs=10)
    save(keeper, 1, knn=0.2)
    save(keeper, 2, "milestone", knn=0.1)
    save(keeper, 3, "best", knn=0.9)
    for step in range(4, 9):
        save(keeper, step, knn=0.3)
    kept = [row.step for row in store.checkpoints(run_id)]
    assert kept == [8, 7, 3, 2]
    assert steps_on_disk(checkpoint_dir(runs, run_id)) == kept
    for row in store.checkpoints(run_id):
        assert (runs / row.path).stat().st_size == row.bytes
    assert [keeper.is_milestone(epoch) for epoch in (9, 10, 20)] == [False, True, True]


def test_only_a_better_score_is_worth_a_checkpoint_of_its_own(store: RunStore, runs: Path) -> None:
    keeper = make_keeper(store, runs, make_run(store))
    assert keeper.is_better(0.1)
    assert not keeper.is_better(None)
    save(keeper, 1, "best", knn=0.5)
    keeper._writing_seconds = 0.0
    assert not keeper.is_better(0.5)
    assert keeper.is_better(0.6)
    keeper._writing_seconds = 1000.0
    assert not keeper.is_better(0.6)


def test_the_interval_grows_where_a_checkpoint_costs_over_one_percent(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, checkpoint_seconds=1e-6)
    time.sleep(0.001)
    assert keeper.due
    save(keeper, 1)
    assert not keeper.due
    message = store.events(run_id=run_id)[-1].message
    assert "s, so one is written every" in message
    assert "instead of every" in message
    eager = make_keeper(store, runs, run_id, checkpoint_seconds=0)
    save(eager, 2)
    assert eager.due


def test_damaged_checkpoints_are_taken_back_and_told(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id)
    save(keeper, 1)
    save(keeper, 2)
    (runs / store.checkpoints(run_id)[0].path).write_bytes(b"x")
    found = keeper.newest(owner=True)
    assert found is not None
    assert found[0]["step"] == 1
    assert [row.step for row in store.checkpoints(run_id)] == [1]
    kinds = [event.kind for event in store.events(run_id=run_id)]
    assert kinds[-2:] == ["checkpoint-damaged", "checkpoint-fallback"]


def test_no_usable_checkpoint_is_an_error_and_no_checkpoint_is_none(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id)
    assert keeper.newest() is None
    save(keeper, 1)
    (runs / store.checkpoints(run_id)[0].path).unlink()
    for _ in range(2):  # the second time there is only what was set aside, and still no silent new beginning
        with pytest.raises(CheckpointError, match="no checkpoint of the run can be used"):
            keeper.newest(owner=True)
    with pytest.raises(CheckpointError, match="no checkpoint of step 7"):
        keeper.newest(step=7)


def test_the_manifest_is_enough_to_know_the_run_without_the_store(store: RunStore, runs: Path) -> None:
    run_id = make_run(store, "my run")
    keeper = make_keeper(store, runs, run_id, epochs=7)
    save(keeper, 1, knn=0.5)
    found = keeper.newest()
    assert found is not None
    manifest = found[1]
    assert manifest["run_id"] == run_id
    assert manifest["name"] == "my run"
    assert manifest["knn_top1"] == 0.5
    assert PretrainConfig.from_json(manifest["config"]).epochs == 7


def test_settings_that_were_added_since_do_not_make_a_checkpoint_another_runs(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    save(make_keeper(store, runs, run_id, temperature=0.07), 1)
    manifest = checkpoint_dir(runs, run_id) / "step-1.json"
    stored = json.loads(manifest.read_text())
    older = {name: value for name, value in json.loads(stored["config"]).items() if name != "temperature"}
    manifest.write_text(json.dumps(sealed(stored | {"config": json.dumps(older)})))
    assert make_keeper(store, runs, run_id).newest(owner=True) is not None
    with pytest.raises(CheckpointError):
        make_keeper(store, runs, run_id, temperature=0.5).newest(owner=True)


def test_a_try_that_failed_puts_the_next_one_off_and_is_told_once(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, checkpoint_seconds=0)
    save(keeper, 1)
    assert store.checkpoint_failure(run_id) is None
    assert keeper.due
    for step in (2, 3):
        said = keeper.failed(step, OSError(errno.ENOSPC, "No space left on device"))
        assert f"step {step} not written" in said
        assert not keeper.due
    failure = store.checkpoint_failure(run_id)
    assert failure is not None
    assert (failure.level, failure.step) == ("error", 2)
    save(keeper, 4)
    assert store.checkpoint_failure(run_id) is None
    kinds = [event.kind for event in store.events(run_id=run_id)]
    assert kinds == ["created", "checkpoint-failed", "checkpoint-recovered"]
    save(keeper, 5)
    assert len(store.events(run_id=run_id)) == 3


def test_a_failure_is_told_later_where_the_store_has_no_room_for_it_either(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id)
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    for length in (3000, 30):
        with contextlib.suppress(StoreError):
            while True:
                store.event(run_id, "filler", "x" * length)
    keeper.failed(1, OSError("full"))
    assert store.checkpoint_failure(run_id) is None
    store.connection.execute("PRAGMA max_page_count = 1000000")
    keeper.failed(2, OSError("full"))
    failure = store.checkpoint_failure(run_id)
    assert failure is not None
    assert failure.step == 2


def test_a_pinned_checkpoint_stays_until_it_is_unpinned(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=2, keep_every_epochs=0)
    save(keeper, 1)
    store.pin_checkpoint(run_id, 1)
    store.pin_checkpoint(run_id, 1)
    for step in range(2, 6):
        save(keeper, step)
    assert [row.step for row in store.checkpoints(run_id)] == [5, 4, 1]
    assert store.pinned_checkpoints(run_id) == {1}
    store.unpin_checkpoint(run_id, 1)
    save(keeper, 6)
    assert steps_on_disk(checkpoint_dir(runs, run_id)) == [6, 5]
    assert store.pinned_checkpoints(run_id) == frozenset()


def test_a_checkpoint_that_reads_back_otherwise_is_not_announced_and_nothing_goes_for_it(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes bytes and does not keep them."""
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=2, keep_every_epochs=0)
    save(keeper, 1)
    save(keeper, 2)
    write = durable.write_durably

    def write_badly(path: Path, data: bytes) -> None:
        write(path, data[:-1] + b"?" if path.suffix == ".pt" else data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_durably", write_badly)
        for step in (3, 4, 5):
            with pytest.raises(OSError, match="what was read back is not what was written"):
                save(keeper, step)
    assert [row.step for row in store.checkpoints(run_id)] == [2, 1]
    assert steps_on_disk(checkpoint_dir(runs, run_id)) == [2, 1]
    found = keeper.newest(owner=True)
    assert found is not None
    assert found[0]["step"] == 2
    save(keeper, 6)
    assert [row.step for row in store.checkpoints(run_id)] == [6, 2]
    assert all(row.verified_at is not None for row in store.checkpoints(run_id))


def test_what_was_never_verified_is_verified_before_anything_goes(store: RunStore, runs: Path) -> None:
    """Checkpoints of an older version: one is whole, one is damaged, and so only one of them counts."""
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=3, keep_every_epochs=0)
    for step in (1, 2, 3):
        save(keeper, step)
        store.set_verified(run_id, step, None)
    (runs / store.checkpoints(run_id)[0].path).write_bytes(b"damaged")
    save(keeper, 4)
    assert [row.step for row in store.checkpoints(run_id)] == [4, 2, 1]
    assert [event.kind for event in store.events(run_id=run_id)][-1] == "checkpoint-damaged"
    assert list(checkpoint_dir(runs, run_id).glob("step-3*.damaged"))


@pytest.mark.parametrize("instant", ["row written", "row taken back"])
def test_killed_between_a_file_and_its_row_no_checkpoint_is_forgotten_for_good(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    """The next trainer announces it, so that retention sees it; without that the disk would fill kill by kill."""
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=2)
    for step in (1, 2):
        save(keeper, step)
    with monkeypatch.context() as patch:
        if instant == "row written":
            patch.setattr(store, "put_checkpoint", _killed)
        else:
            patch.setattr(checkpoint, "remove", _killed)
        with pytest.raises(InterruptedError):
            save(keeper, 3)
    folder = checkpoint_dir(runs, run_id)
    assert steps_on_disk(folder) == [3, 2, 1]
    assert len(store.checkpoints(run_id)) == 2, "one of the three has no row"
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=2)
    found = keeper.newest(owner=True)
    assert found is not None
    assert found[1]["step"] == 3
    assert [row.step for row in store.checkpoints(run_id)] == [3, 2, 1]
    save(keeper, 4)
    assert steps_on_disk(folder) == [row.step for row in store.checkpoints(run_id)] == [4, 3]


def _killed(*_: object, **__: object) -> None:
    raise InterruptedError


def test_what_does_not_verify_or_is_another_runs_is_not_announced_by_the_next_trainer(
    store: RunStore, runs: Path
) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=9)
    for step in (1, 2, 3):
        save(keeper, step)
    (runs / store.checkpoints(run_id)[-1].path).write_bytes(b"damaged")
    for step in (1, 2):
        store.forget_checkpoint(run_id, step)
    assert make_keeper(store, runs, run_id).newest() is not None
    assert [row.step for row in store.checkpoints(run_id)] == [3], "a reader announces nothing"
    assert make_keeper(store, runs, run_id).newest(owner=True) is not None
    assert [row.step for row in store.checkpoints(run_id)] == [3, 2]


def test_what_is_pruned_is_taken_back_before_it_goes(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a crash between the two would leave a row of what is not there."""
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=2, keep_every_epochs=0)
    seen: list[tuple[int, list[int]]] = []

    def look(_folder: Path, step: int) -> None:
        seen.append((step, [row.step for row in store.checkpoints(run_id)]))

    monkeypatch.setattr(checkpoint, "remove", look)
    for step in (1, 2, 3):
        save(keeper, step)
    assert seen == [(1, [3, 2])]


def test_a_disk_that_gets_short_while_a_run_trains_is_told_after_the_checkpoint_that_shows_it(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id)
    save(keeper, 1)
    assert "disk-low" not in {event.kind for event in store.events(run_id=run_id)}
    monkeypatch.setattr(Room, "_free_bytes", lambda _: 4 * store.checkpoints(run_id)[0].bytes)
    save(keeper, 2)
    (warning,) = [event for event in store.events(run_id=run_id) if event.kind == "disk-low"]
    assert (warning.level, "room for 4 more checkpoints" in warning.message) == ("warning", True)


@given(st.floats(0.001, 600), st.floats(1, 3600))
def test_checkpoints_take_one_percent_of_the_time_at_most_and_little_work_is_lost(cost: float, wanted: float) -> None:
    """What is lost by a kill is what was done since the last one: the interval, 60 s where one costs up to 0.6 s."""
    told: list[str] = []
    quiet = SimpleNamespace(event=lambda *words, **_: told.append(words[1]), checkpoints=lambda _: [])
    config = PretrainConfig(checkpoint_seconds=wanted)
    keeper = CheckpointKeeper(quiet, Path("runs"), "0123456789", config)  # type: ignore[arg-type]
    keeper._set_interval(cost)
    assert cost / keeper._interval_seconds <= 0.01 * (1 + 1e-9)
    assert keeper._interval_seconds >= wanted
    if cost <= 0.01 * wanted:
        assert keeper._interval_seconds == wanted
        assert told == []
    keeper._saved_at = time.monotonic() - keeper._interval_seconds
    assert keeper.due
    assert PretrainConfig().checkpoint_seconds == 60
