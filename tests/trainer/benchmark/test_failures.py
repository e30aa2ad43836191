"""Why a trial failed, and what is not its fault."""

import pytest

from trainer.benchmark.failures import check_device, must_end, sentence
from trainer.control import EndRequested, Intent
from trainer.device import prepare
from trainer.errors import ConfigError, DataError, StoreError, StoreLostError, TrainerError


@pytest.mark.parametrize("error", [EndRequested(Intent.PAUSE), StoreError("full"), StoreLostError("gone")])
def test_a_wish_and_a_lost_store_end_the_benchmark(error: Exception) -> None:
    assert must_end(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError("cache", "does not go with it; choose ram"), "--cache: does not go with it; choose ram"),
        (TrainerError("--num-workers: they died"), "--num-workers: they died"),
        (DataError("--dataset: it is gone"), "--dataset: it is gone"),
        (RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"), "/dev/shm is full"),
        (KeyError("x"), "KeyError: 'x'; the traceback is in the run's log"),
        (ValueError(""), "ValueError: no reason was given; the traceback is in the run's log"),
    ],
)
def test_anything_else_is_a_trials_own_and_one_line(error: Exception, words: str) -> None:
    assert not must_end(error)
    assert words in sentence(error)
    assert "\n" not in sentence(error)


def test_a_cpu_can_always_be_used_again() -> None:
    check_device(prepare(device="cpu", threads=1), "any trial")
