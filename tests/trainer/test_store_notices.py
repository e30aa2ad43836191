"""A happening is told once, by whichever process gets there first, and not too many in an hour."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.trainer.test_store import make_run
from trainer.store import RunStore
from trainer.store.notices import claim


def claims(runs: Path, run_id: str, tries: int) -> list[int | None]:
    """What one writer of several gets."""
    store = RunStore.open(runs)
    try:
        return [claim(store, run_id, f"its end {number}", "a", per_hour=1000) for number in range(tries)]
    finally:
        store.close()


def test_of_several_writers_one_gets_each_happening(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: claims(runs, run_id, 25), range(4)))
    for number in range(25):
        assert sum(one[number] is not None for one in found) == 1
    told = [event.message for event in store.events(run_id=run_id) if event.kind == "notice"]
    assert sorted(told) == sorted(f"notice of its end {number} goes to a" for number in range(25))


def test_the_same_words_are_another_happening_after_an_event_or_after_a_time(store: RunStore) -> None:
    run_id, other = make_run(store), make_run(store, "b")
    assert claim(store, run_id, "its end before", "a", per_hour=9) is not None
    assert claim(store, run_id, "its end", "a", per_hour=9) is not None
    assert claim(store, run_id, "its end", "a", per_hour=9) is None
    assert claim(store, run_id, "its end and more", "a", per_hour=9) is not None
    assert claim(store, other, "its end", "a", per_hour=9) is not None
    store.event(run_id, "resumed", "resumed")
    assert claim(store, run_id, "its end", "a", after=store.events(run_id=run_id)[-1].id, per_hour=9) is not None
    assert claim(store, run_id, "its end", "a", seconds=3600.0, per_hour=9) is None
    store.connection.execute("UPDATE events SET at = ? WHERE kind = 'notice'", (time.time() - 4000,))
    assert claim(store, run_id, "its end", "a", seconds=3600.0, per_hour=9) is not None


def test_the_last_one_of_an_hour_is_known_and_what_is_left_out_is_recorded_once(store: RunStore) -> None:
    run_id, other = make_run(store), make_run(store, "b")
    assert [claim(store, run, str(n), "a", per_hour=3) for n, run in enumerate((run_id, other, run_id))] == [2, 1, 0]
    assert claim(store, run_id, "four", "a", per_hour=3) == -1
    assert claim(store, run_id, "four", "a", per_hour=3) is None
    left_out = [event for event in store.events(run_id=run_id) if event.level == "warning"]
    assert [event.message for event in left_out] == ["notice of four is left out, since 3 were sent within the hour"]
    store.connection.execute("UPDATE events SET at = at - 3601 WHERE run_id = ?", (other,))
    assert claim(store, run_id, "five", "a", per_hour=3) == 0
