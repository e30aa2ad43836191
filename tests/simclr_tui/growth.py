"""A dashboard that polls a growing store back to back, and what its process takes.

`python -m tests.simclr_tui.growth RUNS` prints a JSON list of [poll, resident bytes, open files]. Every poll finds what
a trainer writes in half a second: steps, a sample of the device, now and then an epoch and an event. The keys of the
help, the form and a run's own screen are pressed now and then, since screens come and go in a session too.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import time
from contextlib import closing
from pathlib import Path

from textual._styles_cache import StylesCache

from simclr_tui.app import DashboardApp
from simclr_tui.feed import Feed
from simclr_tui.messages import Polled
from tests.simclr_tui.support import add_some_runs, step_row
from trainer.store.runs import RunStore

STEPS_A_POLL = 3
EPOCH_POLLS, SCREEN_POLLS, SAMPLE_POLLS = 10, 12, 10
KEYS = (("question_mark", "escape"), ("n", "escape"), ("enter", "escape"), ("down", "up"))


class Session:
    """A dashboard under the test driver, whose polls are made here and not in the feed's thread."""

    def __init__(self, runs: Path, *, leaks: bool) -> None:
        """Args: the runs folder, and whether every poll keeps something for good, as a mistake would."""
        self._runs = runs
        self._leaks = leaks
        self._kept: list[object] = []
        self._polled: list[Polled] = []
        self.app = DashboardApp(runs)
        self.app.feed.run = lambda: None  # type: ignore[method-assign]
        self.feed = Feed(runs, self._polled.append)  # type: ignore[arg-type]
        self.app.feed.watch = self.feed.watch  # type: ignore[method-assign]

    def poll(self) -> None:
        """Read what is new and show it."""
        self.feed._poll_safely()
        message = self._polled.pop()
        assert isinstance(message, Polled), message
        self._polled.clear()
        self.app.on_polled(message)
        if self._leaks:
            self._kept += [bytearray(os.urandom(50_000)), self._runs.joinpath("runs.db").open("rb")]


def grow(store: RunStore, run_id: str, number: int) -> None:
    """What half a second of training leaves in the store."""
    first = number * STEPS_A_POLL
    rng = random.Random(number)
    store.append(run_id, [step_row(first + one, rng) for one in range(1, STEPS_A_POLL + 1)], total_steps=10**7)
    store.beat(run_id, {"source": "cpu", "gpu_util": 50.0, "process_memory_bytes": 1 << 30})
    if number % EPOCH_POLLS == 0:
        store.put_epoch(run_id, 1 + number // EPOCH_POLLS, {"loss": 2.0, "t_epoch": 3.5, "knn_top1": 0.4})
        store.event(run_id, "note", f"after {number} polls")


def taken(number: int) -> tuple[int, int, int]:
    """The poll, the resident bytes and the open files of this process now."""
    # Textual keeps what it drew of the last 1,024 widgets, which a short session would take for a leak.
    StylesCache.get_inner_outer.cache_clear()
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return number, pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path("/proc/self/fd").iterdir()))


async def live(runs: Path, *, polls: int, seconds: float, leaks: bool) -> list[tuple[int, int, int]]:
    """Poll so often, or for so long, whatever is more."""
    run_id = add_some_runs(runs)["resting"]
    session = Session(runs, leaks=leaks)
    found = []
    number, begun = 0, time.monotonic()
    with closing(RunStore.open(runs)) as store:
        async with session.app.run_test(size=(120, 36)) as pilot:
            while number < polls or time.monotonic() - begun < seconds:
                number += 1
                grow(store, run_id, 100 + number)
                session.poll()
                await pilot.pause()
                if number % SCREEN_POLLS == 0:
                    await pilot.press(*KEYS[number // SCREEN_POLLS % len(KEYS)])
                    await pilot.pause()
                if number % SAMPLE_POLLS == 0:
                    found.append(taken(number))
    session.feed._disconnect()
    return found


def main() -> None:
    """Print what was taken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path)
    parser.add_argument("--polls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--leaks", action="store_true")
    options = parser.parse_args()
    print(
        json.dumps(asyncio.run(live(options.runs, polls=options.polls, seconds=options.seconds, leaks=options.leaks)))
    )


if __name__ == "__main__":
    main()
