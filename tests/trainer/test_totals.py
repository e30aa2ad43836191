"""What a run has used: sums and peaks of its samples, read as a whole or bit by bit."""

import random
from itertools import pairwise

import pytest

from tests.simclr_tui.support import add_run
from trainer.energy import Used
from trainer.store.runs import RunStore
from trainer.store.totals import Totals, read_totals

Sample = tuple[float, float | None, int | None, int | None]
"""at, energy_joules, gpu_memory_bytes, process_memory_bytes."""


def put(store: RunStore, run_id: str, samples: list[Sample]) -> None:
    store.connection.executemany(
        "INSERT INTO device_samples (run_id, source, at, energy_joules, gpu_memory_bytes, process_memory_bytes)"
        " VALUES (?, 'nvml', ?, ?, ?, ?)",
        [(run_id, *sample) for sample in samples],
    )
    store.connection.commit()


def slow_energy(samples: list[Sample]) -> float | None:
    """Sums the differences one by one."""
    told = [one for one in samples if one[1] is not None]
    used = [
        (b[1] or 0.0) - (a[1] or 0.0)
        for a, b in pairwise(told)
        if (b[1] or 0.0) >= (a[1] or 0.0)
        and b[0] - a[0] <= 60
        and (b[1] or 0.0) - (a[1] or 0.0) <= 3000 * (b[0] - a[0])
    ]
    return sum(used) if used else None


def made(rng: random.Random, count: int, begin: float = 1000.0) -> list[Sample]:
    """Samples a second apart, with pauses, a counter that begins anew or is another's, and figures that are missing."""
    at, counter = begin, 5000.0
    found: list[Sample] = []
    for _ in range(count):
        at += rng.choice([1.0, 1.0, 1.0, 1.0, 500.0])
        counter = rng.choice([counter + 300, counter + 300, counter + 300, 0.0, counter + 5e6])
        found.append(
            (
                at,
                rng.choice([counter, counter, None]),
                rng.choice([None, rng.randrange(1 << 34)]),
                rng.randrange(1 << 30),
            )
        )
    return found


def test_energy_and_peaks_are_those_of_a_slow_reference_however_often_they_are_read(store: RunStore) -> None:
    for seed in range(8):
        rng = random.Random(seed)
        run_id, known = add_run(store, f"run-{seed}"), None
        done: list[Sample] = []
        samples = made(rng, 60)
        while samples:
            part = rng.randint(1, 20)
            put(store, run_id, samples[:part])
            done, samples = done + samples[:part], samples[part:]
            known = read_totals(store, run_id, known)
        assert known is not None
        assert known == read_totals(store, run_id), "bit by bit as in one go"
        assert known.energy_joules == pytest.approx(slow_energy(done))
        assert known.device_memory_bytes == max((one[2] for one in done if one[2] is not None), default=None)
        assert known.process_memory_bytes == max(one[3] or 0 for one in done)


def test_what_the_runs_row_has_is_not_added_up_again(store: RunStore) -> None:
    run_id = add_run(store, "counted")
    put(store, run_id, [(1.0, 100.0, 1, 1), (2.0, 400.0, 1, 1)])
    old = read_totals(store, run_id)
    assert (old.energy_joules, old.cpu_energy_joules) == (300, None)
    store.begin_energy(run_id)
    store.beat(run_id, {"source": "nvml"}, Used(card_joules=50.0, cpu_joules=7.0))
    for known in (None, old):
        found = read_totals(store, run_id, known)
        assert (found.energy_joules, found.cpu_energy_joules) == (350, 7)


def test_what_others_took_while_the_run_was_paused_is_not_counted(store: RunStore) -> None:
    run_id = add_run(store, "paused")
    put(store, run_id, [(0.5, 100.0, 1, 1), (1.5, 400.0, 1, 1), (9000.0, 99_000.0, 1, 1), (9001.0, 99_300.0, 1, 1)])
    assert read_totals(store, run_id).energy_joules == 600


def test_nothing_is_known_of_a_run_without_samples_and_a_start_is_its_first(store: RunStore) -> None:
    run_id = add_run(store, "fresh")
    assert read_totals(store, run_id) == Totals()
    store.lifecycle(run_id, "started", "by a test")
    first = read_totals(store, run_id).began_at
    store.lifecycle(run_id, "paused", "by a test")
    store.lifecycle(run_id, "started", "by a test")
    assert first is not None
    assert read_totals(store, run_id).began_at == first


def test_the_cards_of_other_ranks_count_each_for_itself_however_often_they_are_read(store: RunStore) -> None:
    """The first rank's rows are there twice, in `device_samples` too, and count once."""
    run_id, known = add_run(store, "ranks"), None
    for number in range(4):
        at = 5.0 * number
        put(store, run_id, [(at, 100.0 * number, 10, 1)])
        with store._write() as connection:
            for rank, joules in ((0, 100.0), (1, 200.0), (2, 40.0)):
                connection.execute(
                    "INSERT INTO rank_samples (run_id, at, rank, energy_joules, gpu_memory_bytes, process_memory_bytes)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (run_id, at, rank, joules * number, 10 + rank, 1),
                )
        known = read_totals(store, run_id, known)
    assert known is not None
    assert known == read_totals(store, run_id)
    assert known.energy_joules == 3 * (100.0 + 200.0 + 40.0)
    assert (known.device_memory_bytes, known.process_memory_bytes) == (12, 1)


def test_other_ranks_counters_may_begin_anew_fall_silent_or_be_anothers_each_for_itself(store: RunStore) -> None:
    for seed in range(8):
        rng = random.Random(seed)
        run_id, known = add_run(store, f"run-{seed}"), None
        of_ranks = {rank: made(rng, 60, 1000.0 + rank / 4) for rank in (1, 2)}
        rows = sorted((sample[0], rank, *sample[1:]) for rank, samples in of_ranks.items() for sample in samples)
        names = ("at", "rank", "energy_joules", "gpu_memory_bytes", "process_memory_bytes")
        while rows:
            part = rng.randint(1, 20)
            store.put_rank_samples(run_id, [dict(zip(names, row, strict=True)) for row in rows[:part]])
            rows = rows[part:]
            known = read_totals(store, run_id, known)
        assert known == read_totals(store, run_id), "bit by bit as in one go"
        used = [slow_energy(samples) for samples in of_ranks.values()]
        assert known.energy_joules == pytest.approx(sum(joules for joules in used if joules is not None))
