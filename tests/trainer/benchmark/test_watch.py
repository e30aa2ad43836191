"""What is made of samples of a device."""

import time
from typing import Any

import pytest

from trainer.benchmark import watch
from trainer.benchmark.watch import Watch
from trainer.energy import NOTHING, Used


class Given:
    """A sampler that gives what it was given, the last one again and again."""

    name = "given"

    def __init__(self, *samples: dict[str, Any]) -> None:
        self._samples = list(samples)
        self.count = 0

    def sample(self) -> dict[str, Any]:
        self.count += 1
        return self._samples.pop(0) if len(self._samples) > 1 else self._samples[0]

    def used(self) -> Used:
        return NOTHING


def seen(*samples: dict[str, Any]) -> Watch:
    """What was seen of so many samples; the first one only begins an interval."""
    given = Given({"gpu_util": 0.0}, *samples)
    with Watch(given) as watched:
        while given.count <= len(samples):
            time.sleep(0.001)
    return watched


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples follow each other at once."""
    monkeypatch.setattr(watch, "_INTERVAL_SECONDS", 0.002)


def test_the_first_sample_is_of_what_was_before() -> None:
    assert seen({"gpu_util": 80.0}).utilisation == pytest.approx(80.0)


def test_a_short_turn_has_a_sample_of_its_end() -> None:
    given = Given({"gpu_util": 0.0}, {"gpu_util": 60.0})
    with Watch(given) as watched:
        pass
    assert watched.utilisation == pytest.approx(60.0)


def test_a_card_that_does_not_tell_has_no_utilisation() -> None:
    assert seen({"source": "nvml"}).utilisation is None


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ("", None),
        ("power cap", None),
        ("thermal (hardware)", "the device was throttled: thermal (hardware)"),
        ("power cap, hardware slowdown", "the device was throttled: hardware slowdown"),
        ("power brake", "the device was throttled: power brake"),
    ],
)
def test_heat_and_faults_slow_a_device_and_its_power_limit_is_how_it_is(reasons: str, words: str | None) -> None:
    samples = [{"gpu_util": 90.0, "throttle_reasons": ""}, {"gpu_util": 90.0, "throttle_reasons": reasons}]
    assert seen(*samples).slowed == words


def test_what_was_seen_once_slowed_the_device_though_it_recovered() -> None:
    samples = [
        {"throttle_reasons": "power brake"},
        {"throttle_reasons": "thermal (software)"},
        {"throttle_reasons": ""},
    ]
    assert seen(*samples).slowed == "the device was throttled: thermal (software), power brake"


def test_a_sample_counts_for_as_long_as_it_stands() -> None:
    watched = Watch(Given({}))
    watched._samples = [(3.0, {"gpu_util": 90.0}), (1.0, {"gpu_util": 50.0}), (5.0, {"source": "nvml"})]
    assert watched.utilisation == pytest.approx(80.0)


def test_samples_stand_for_the_time_of_the_watch_and_no_longer() -> None:
    begun = time.perf_counter()
    watched = seen(*[{"gpu_util": 50.0}] * 20)
    assert len(watched._samples) >= 20
    assert sum(seconds for seconds, _ in watched._samples) <= time.perf_counter() - begun
