"""Take the documentation's pictures of the dashboard: `python docs/take_pictures.py RUNS_DIR`.

Each is the dashboard itself on that runs folder, at the sizes that it is made for, saved as SVG in docs/images.
"""

import asyncio
import sys
from pathlib import Path

from simclr_tui.app import DashboardApp
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS

IMAGES = Path(__file__).parent / "images"

PICTURES: dict[str, tuple[tuple[int, int], tuple[str, ...]]] = {
    "dashboard-120x36": ((120, 36), ()),
    "dashboard-80x24-list": ((80, 24), ()),
    "dashboard-80x24-run": ((80, 24), ("enter",)),
    "run-120x36": ((120, 36), ("enter",)),
    "compare-120x36": ((120, 36), ("down", "space", "up")),
    "new-run-120x36": ((120, 36), ("n",)),
    "help-120x36": ((120, 36), ("question_mark",)),
    "evaluate-120x36": ((120, 36), ("e",)),
    "learning-layers-120x36": ((120, 36), ("v", "2")),
    "learning-labels-120x36": ((120, 36), ("v", "3")),
    "learning-invariance-120x36": ((120, 36), ("v", "4")),
    "learning-map-120x36": ((120, 36), ("v", "5")),
    "learning-health-80x24": ((80, 24), ("v",)),
    "benchmark-120x36": ((120, 36), ("b",)),
    "benchmark-80x24": ((80, 24), ("b",)),
}
"""Name of each picture: the terminal's size, and the keys that lead to it."""


def most_evaluated(runs: Path) -> str:
    """The run with the most evaluations, which has something to show on every screen."""
    reader = StoreReader.open(runs)
    trained = [run.id for run in reader.runs() if run.kind in TRAINED_KINDS]
    chosen = max(trained, key=lambda run_id: len(reader.evaluations(run_id)))
    reader.close()
    return chosen


def most_measured(runs: Path) -> str | None:
    """The benchmark with the most rows; None where there is none."""
    reader = StoreReader.open(runs)
    ids = [run.id for run in reader.runs() if run.kind == "benchmark"]
    chosen = max(ids, key=lambda run_id: len(reader.trials(run_id)), default=None)
    reader.close()
    return chosen


async def take(runs: Path, name: str) -> None:
    """Open the dashboard, press the keys, and save what is shown."""
    size, keys = PICTURES[name]
    chosen = most_measured(runs) if name.startswith("benchmark") else most_evaluated(runs)
    if chosen is None:
        return
    app = DashboardApp(runs, select=chosen)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(1.5)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.7)
        (IMAGES / f"{name}.svg").write_text(app.export_screenshot(title="simclr-tui"), encoding="utf-8")


async def main(runs: Path) -> None:
    """Take all pictures, one after the other."""
    IMAGES.mkdir(exist_ok=True)
    for name in PICTURES:
        await take(runs, name)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
