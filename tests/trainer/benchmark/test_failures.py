"""Why a trial failed, and what is not its fault."""

import pytest

from trainer.benchmark.failures import check_device, must_end, sentence, shortage
from trainer.control import EndRequested, Intent
from trainer.device import prepare
from trainer.errors import ConfigError, DataError, StoreError, StoreLostError, TrainerError
from trainer.memory import Usage


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
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."), "/dev/shm is full"),
        (ValueError("\nno picture\nat all"), "ValueError: no picture; the traceback is in the run's log"),
        (KeyError("x"), "KeyError: 'x'; the traceback is in the run's log"),
        (ValueError(""), "ValueError: no reason was given; the traceback is in the run's log"),
    ],
)
def test_anything_else_is_a_trials_own_and_one_line(error: Exception, words: str) -> None:
    assert not must_end(error)
    assert words in sentence(error)
    assert "\n" not in sentence(error)


def test_a_shortage_says_what_was_used_of_what_there_is_and_what_to_give() -> None:
    said = shortage(Usage(peak=3 * 2**30, now=0, limit=4 * 2**30, whose="this machine's memory"))
    assert said == (
        "--batch-size: a step needs more memory than there is (peak 3 GiB of the 4 GiB of this machine's memory); "
        "take a smaller one, or --cache ram or none"
    )


def test_a_cpu_can_always_be_used_again() -> None:
    check_device(prepare(device="cpu", threads=1), "any trial")
