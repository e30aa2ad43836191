"""The energy of a run in the store, against a list of what was used in each trainer's life."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.trainer.test_store import make_run
from tests.trainer.test_store_migrations import first_version
from trainer.energy import NOTHING, Used
from trainer.energy_use import CARD, CPU, energy_of, epoch_joules
from trainer.store import RunStore
from trainer.store.totals import read_totals

JOULES = st.none() | st.floats(0.0, 5000.0)
ACTS = st.lists(
    st.tuples(st.sampled_from(["beat", "beat", "beat", "epoch", "again"]), JOULES, JOULES, st.booleans()), max_size=40
)
"""A sample with what was used since the last one, the end of an epoch, a resume from a checkpoint before it."""


def total(values: list[float | None]) -> float | None:
    """The slow reference: what is known, one after the other."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTS)
@example(
    [
        ("epoch", None, None, False),
        ("beat", 0.0, None, False),
        ("epoch", None, None, False),
        ("beat", None, None, False),
        ("again", None, None, False),
        ("epoch", None, None, False),
    ]
)
def test_a_runs_energy_and_its_epochs_are_those_of_a_plain_list(
    store: RunStore, acts: list[tuple[str, float | None, float | None, bool]]
) -> None:
    run_id = make_run(store)
    used: list[Used] = []
    ends: dict[int, int] = {}
    epoch = 0
    for act, card, cpu, is_estimated in acts:
        if act == "beat":
            used.append(Used(card_joules=card, cpu_joules=cpu, is_estimated=is_estimated))
            store.beat(run_id, {"source": "nvml"}, used[-1])
        elif act == "epoch":
            epoch += 1
            ends[epoch] = len(used)
            store.put_epoch(run_id, epoch, {"loss": 1.0})
        else:
            epoch = max(0, epoch - 2)
    run = store.run(run_id)
    assert run.energy_joules == pytest.approx(total([one.card_joules for one in used]))
    assert run.cpu_energy_joules == pytest.approx(total([one.cpu_joules for one in used]))
    counted = [one.is_estimated for one in used if one.card_joules is not None]
    assert run.energy_source == (None if not counted else "power" if any(counted) else "counter")
    last = max(ends, default=0)
    expected = {}
    for one, end in ends.items():
        begin = ends[one - 1] if one > 1 else 0
        before = total([used[place].card_joules for place in range(begin)]) if one > 1 else 0.0
        by_then = total([used[place].card_joules for place in range(end)])
        if before is not None and by_then is not None and (begin <= end or by_then == before):
            expected[one] = by_then - before  # of one that is yet to be trained anew nothing tells where none was used
    found = dict(epoch_joules(store.epochs(run_id), CARD))
    assert found == pytest.approx(expected)
    assert set(found) <= set(range(1, last + 1))


def test_a_run_of_a_version_before_goes_on_from_what_its_samples_tell(runs: Path) -> None:
    connection = first_version(runs, version=4)
    run = ("r", "old", "pretrain", "{}", 1.0, "paused", 1.0)
    columns = "id, name, kind, config, created_at, lifecycle, lifecycle_at"
    connection.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", run)
    insert = "INSERT INTO device_samples (run_id, source, at, energy_joules) VALUES ('r', 'nvml', ?, ?)"
    connection.executemany(insert, [(1.0, 5000.0), (2.0, 5400.0), (900.0, 90_000.0), (901.0, 90_100.0), (902.0, 20.0)])
    connection.execute("INSERT INTO epochs (run_id, epoch, loss) VALUES ('r', 1, 1.0)")
    connection.close()
    store = RunStore.open(runs)
    assert (store.run("r").energy_joules, read_totals(store, "r").energy_joules) == (None, 500.0)
    for _ in range(2):  # of the second trainer nothing is added up again
        store.begin_energy("r")
        store.beat("r", {"source": "nvml", "energy_joules": 40.0}, Used(card_joules=10.0))
    store.put_epoch("r", 2, {"loss": 0.5})
    store.beat("r", {"source": "nvml"}, Used(card_joules=30.0))
    store.put_epoch("r", 3, {"loss": 0.4})
    run_now = store.run("r")
    assert (run_now.energy_joules, run_now.cpu_energy_joules) == (550.0, None)
    assert epoch_joules(store.epochs("r"), CARD) == [(3, 30.0)], "what the first took is not known, nor the second"
    store.close()


def test_a_run_of_which_nothing_is_measured_has_no_energy(store: RunStore) -> None:
    run_id = make_run(store)
    store.begin_energy(run_id)
    store.beat(run_id, {"source": "cpu"}, NOTHING)
    store.put_epoch(run_id, 1, {"loss": 1.0})
    run = store.run(run_id)
    assert (run.energy_joules, run.cpu_energy_joules, run.energy_source) == (None, None, None)
    assert epoch_joules(store.epochs(run_id), CPU) == []
    assert energy_of(run, store.epochs(run_id), CPU).so_far is None


def _trained(store: RunStore, epochs: list[float], *, of: int, step: int | None = None) -> str:
    run_id = make_run(store)
    for number, joules in enumerate(epochs, start=1):
        store.beat(run_id, {"source": "nvml"}, Used(card_joules=joules))
        store.put_epoch(run_id, number, {"loss": 1.0})
    done = 10 * len(epochs) if step is None else step
    store.update_run(run_id, step=done, total_steps=10 * of, steps_per_epoch=10)
    return run_id


def test_the_end_is_projected_from_the_newest_epochs_and_the_first_does_not_count(store: RunStore) -> None:
    run_id = _trained(store, [9000.0, 100.0, 100.0, 200.0, 200.0, 200.0, 200.0], of=12)
    found = energy_of(store.run(run_id), store.epochs(run_id), CARD)
    assert (found.so_far, found.epoch) == (10_000.0, 180.0)
    assert found.at_end == pytest.approx(10_000.0 + 5 * 180.0)
    few = _trained(store, [9000.0, 100.0, 300.0], of=4)
    assert energy_of(store.run(few), store.epochs(few), CARD).epoch == 200.0


def test_after_one_epoch_it_is_all_there_is_and_before_it_nothing_is_projected(store: RunStore) -> None:
    run_id = _trained(store, [500.0], of=4)
    assert energy_of(store.run(run_id), store.epochs(run_id), CARD).at_end == pytest.approx(4 * 500.0)
    fresh = _trained(store, [], of=4, step=3)
    store.beat(fresh, {"source": "nvml"}, Used(card_joules=70.0))
    found = energy_of(store.run(fresh), store.epochs(fresh), CARD)
    assert (found.so_far, found.epoch, found.at_end) == (70.0, None, None)


def test_of_a_run_that_is_over_the_end_is_what_it_took(store: RunStore) -> None:
    run_id = _trained(store, [100.0, 100.0], of=2)
    store.beat(run_id, {"source": "nvml"}, Used(card_joules=40.0))  # while it was evaluated
    assert energy_of(store.run(run_id), store.epochs(run_id), CARD).at_end == 240.0


def test_of_a_job_without_epochs_the_end_is_known_once_it_has_ended(store: RunStore) -> None:
    run_id = make_run(store)
    store.beat(run_id, {"source": "nvml"}, Used(card_joules=40.0))
    assert energy_of(store.run(run_id), [], CARD).at_end is None
    store.lifecycle(run_id, "finished", "by a test")
    assert energy_of(store.run(run_id), [], CARD).at_end == 40.0


def test_within_an_epoch_only_what_is_left_of_it_is_projected(store: RunStore) -> None:
    run_id = _trained(store, [100.0, 100.0], of=4, step=25)
    store.beat(run_id, {"source": "nvml"}, Used(card_joules=50.0))
    assert energy_of(store.run(run_id), store.epochs(run_id), CARD).at_end == pytest.approx(250.0 + 1.5 * 100.0)


def test_epochs_that_do_not_follow_each_other_are_not_set_against_each_other() -> None:
    rows = [{"epoch": epoch, CARD: joules} for epoch, joules in [(3, 90.0), (4, 100.0), (7, 300.0), (8, 310.0)]]
    assert epoch_joules(rows, CARD) == [(4, 10.0), (8, 10.0)], "what a part of the rows begins with is not known"
    assert epoch_joules([row | {"epoch": row["epoch"] - 2} for row in rows], CARD) == [(1, 90.0), (2, 10.0), (6, 10.0)]
    fallen = [{"epoch": epoch, CARD: joules} for epoch, joules in itertools.zip_longest((1, 2, 3), (50.0, 80.0, 60.0))]
    assert epoch_joules(fallen, CARD) == [(1, 50.0), (2, 30.0)], "the third is yet to be trained anew"
