"""Benchmarks in this process are not watched for hangs: a watchdog takes a second to end."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def unwatched() -> Iterator[None]:
    """No watchdog of another process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.run.HANG_SECONDS", 0)
        yield
