"""Work that can't be divided, such as a download by torchvision, in a way that can be left."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import TypeVar

from trainer.data.split import Check

Result = TypeVar("Result")
_CHECK_SECONDS = 0.25


def aside(work: Callable[[], Result], check: Check) -> Result:
    """The result of some work that is done in a thread of its own, while `check` is called a few times a second.

    Where `check` raises, its exception passes at once and the work goes on unattended, so it must be of a kind that
    the end of the process may cut off.

    Raises:
        Exception: what `work` or `check` raised.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="aside")
    done = thread.submit(work)
    thread.shutdown(wait=False)
    while True:
        check()
        try:
            return done.result(timeout=_CHECK_SECONDS)
        except NotYet:
            if done.done():  # the work's own time-out
                raise


def download_reason(error: Exception) -> str:
    """Why a download failed, as the system says it and without the classes of urllib."""
    cause = getattr(error, "reason", error)  # of a URLError, an OSError or a text
    return str(getattr(cause, "strerror", None) or cause)
