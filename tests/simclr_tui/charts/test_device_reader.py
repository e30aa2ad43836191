"""Reading the device over a whole run in pieces gives what its samples are, however they are put together."""

import random

import pytest

from simclr_tui.charts.device_reader import DeviceReader
from tests.simclr_tui.support import add_run
from trainer.store.history import DEVICE_SERIES
from trainer.store.runs import RunStore


def add_samples(
    store: RunStore, run_id: str, rng: random.Random, ats: list[float]
) -> list[tuple[float, float | None, str]]:
    """Samples at some times; their times, powers and throttle reasons."""
    made = [
        (at, None if rng.random() < 0.1 else rng.uniform(100, 400), rng.choice(("", "power cap", "power brake")))
        for at in ats
    ]
    with store._write() as connection:
        connection.executemany(
            "INSERT INTO device_samples (run_id, at, source, power_watts, throttle_reasons)"
            " VALUES (?, ?, 'nvml', ?, ?)",
            [(run_id, *one) for one in made],
        )
    return made


@pytest.mark.parametrize("most", [8, 100, 10_000])
def test_stretches_are_what_their_samples_are(store: RunStore, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("simclr_tui.charts.device_reader.MOST_BINS", most)
    monkeypatch.setattr("simclr_tui.charts.device_reader._SAMPLES_A_POLL", 70)
    run_id, rng = add_run(store, "one"), random.Random(1)
    reader, made, now = DeviceReader(run_id), [], 1000.25
    for _ in range(5):
        ats = []
        for _ in range(rng.randint(1, 150)):
            now += rng.choice((0.4, 1.0, 1.1, 60.0))
            ats.append(now)
        made += add_samples(store, run_id, rng, ats)
        polls = 0
        while reader.read(store):
            polls += 1
        assert polls >= len(ats) // 70
    rows = reader.rows
    assert len(rows) <= most
    seconds = rows[0]["seconds"]
    for row in rows:
        inside = [one for one in made if int(one[0] / seconds) == int(row["at"] / seconds)]
        powers = [power for _, power, _ in inside if power is not None]
        assert row["samples"] == len(inside)
        assert row["count_power_watts"] == len(powers)
        assert (row["low_power_watts"], row["high_power_watts"]) == (
            min(powers, default=None),
            max(powers, default=None),
        )
        assert (row["sum_power_watts"] or 0) == pytest.approx(sum(powers))
        assert row["slowed"] == sum(reasons == "power brake" for _, _, reasons in inside)
        assert row["last_at"] == max(at for at, _, _ in inside)
    assert sum(row["samples"] for row in rows) == len(made)
    assert all(f"count_{name}" in rows[0] for name in DEVICE_SERIES)


def test_nothing_new_is_nothing_read(store: RunStore) -> None:
    run_id = add_run(store, "one")
    reader = DeviceReader(run_id)
    assert not reader.read(store)
    add_samples(store, run_id, random.Random(1), [1.0, 2.0])
    assert reader.read(store)
    assert not reader.read(store)
