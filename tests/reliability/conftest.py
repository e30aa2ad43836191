"""No trainer outlives its test."""

from collections.abc import Iterator

import pytest

from tests.reliability import trainers


@pytest.fixture(autouse=True)
def no_trainer_is_left() -> Iterator[None]:
    """Kill what a failed test left behind."""
    yield
    for trainer in trainers.started:
        trainer.process.kill()
    trainers.started.clear()
