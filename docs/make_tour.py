"""Make the tour that README shows, an animated SVG of the real dashboard: `python -m docs.make_tour`.

Each frame is what the dashboard shows on the store of the tests' pictures after a key was pressed.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simclr_tui.app import DashboardApp
from tests.simclr_tui.picture_store import GPU
from tests.simclr_tui.pictures import scene, settle
from tests.simclr_tui.support import wait_for_text

TOUR = Path(__file__).parent / "images" / "tour.svg"
SIZE = (100, 30)
SECONDS = 3.0
"""That a frame is shown."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Keys, and what they lead to in a few words."""

    keys: tuple[str, ...]
    words: str


STOPS = (
    Stop((), "what runs, whether it learns, when it ends"),
    Stop(("up", "space", "down"), "space marks a run, whose curves are drawn too"),
    Stop(("c",), "c compares them"),
    Stop(("escape", "enter"), "enter opens the run"),
    Stop(("2",), "where the seconds of an epoch went"),
    Stop(("escape", "n"), "n makes a new run"),
    Stop(("escape", "question_mark"), "? names every key"),
)


async def frames(stops: Sequence[Stop] = STOPS) -> list[tuple[str, str]]:
    """The SVG after each stop, with its words."""
    taken = []
    with scene() as (runs, ids):
        app = DashboardApp(runs, select=ids["stl10-r18"])
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "stl10-r18", GPU.split()[1])
            for stop in stops:
                for key in stop.keys:
                    await pilot.press(key)
                    await settle(pilot)
                taken.append((app.export_screenshot(title="simclr-tui"), stop.words))
    return taken


def animated(taken: Sequence[tuple[str, str]]) -> str:
    """One SVG that shows frame after frame, each with its words below it, for ever."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', taken[0][0])
    assert found is not None
    width, height = (float(number) for number in found.groups())
    total, part = SECONDS * len(taken), 100 / len(taken)
    style = (
        f".frame{{visibility:hidden;animation:turn {total}s step-end infinite}}"
        f"@keyframes turn{{0%{{visibility:visible}}{part:.4f}%{{visibility:hidden}}}}"
        ".words{font:20px monospace;fill:#8a97a5}"
    )
    body = "".join(
        f'<g class="frame" style="animation-delay:{number * SECONDS}s">{svg}'
        f'<text class="words" x="{width / 2}" y="{height + 28}" text-anchor="middle">{words}</text></g>'
        for number, (svg, words) in enumerate(taken)
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 44}">'
    return f"{head}<style>{style}</style>{body}</svg>"


def main() -> None:
    """Make it."""
    TOUR.write_text(animated(asyncio.run(frames())), encoding="utf-8")


if __name__ == "__main__":
    main()
