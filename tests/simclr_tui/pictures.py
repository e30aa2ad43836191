"""Pictures of every screen at three sizes, which README and docs show and the tests compare with.

    python -m tests.simclr_tui.pictures [NAME …]    take them anew (all, or those whose names begin so)

They are taken from the dashboard itself on the store of `picture_store`, whose clock stands still.
"""

import asyncio
import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from simclr_tui.app import DashboardApp
from simclr_tui.remembered import state_folder
from tests.simclr_tui.picture_store import build, stopped_clock
from tests.simclr_tui.support import screen_text, wait_for_text

ROOT = Path(__file__).resolve().parents[2]
IMAGES, PACKED = ROOT / "docs" / "images", ROOT / "tests" / "fixtures" / "pictures"
"""Pictures that README and docs show, and all others, which are packed."""
SIZES = {"80x24": (80, 24), "120x36": (120, 36), "200x60": (200, 60)}
_CALM_POLLS = 3
"""So many looks in a row must show the same before a picture is taken."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One screen: the run under the cursor and the keys that lead to it."""

    run: str
    keys: tuple[str, ...] = ()
    theme: str = ""


SHOTS: Mapping[str, Shot] = {
    "dashboard": Shot("stl10-r18"),
    "dashboard-light": Shot("stl10-r18", theme="simclr-light"),
    "dashboard-16": Shot("stl10-r18", theme="simclr-16"),
    "chart": Shot("stl10-r18", ("z", "left", "left", "plus")),
    "charts-chosen": Shot("stl10-r18", ("V",)),
    "compare": Shot("stl10-r18", ("up", "space", "down", "c")),
    "compare-settings": Shot("kornia-w3", ("space", *("up",) * 4, "space", "up", "space", "up", "c", "m", "m", "tab")),
    "run": Shot("stl10-r18", ("enter", "1")),
    "run-epoch": Shot("stl10-r18", ("enter", "2")),
    "run-learning": Shot("nocache-w6", ("enter", "3")),
    "run-checkpoints": Shot("nocache-w6", ("enter", "4")),
    "run-settings": Shot("stl10-r18-cold", ("enter", "5")),
    "run-log": Shot("stl10-r18", ("enter", "6")),
    "benchmark": Shot("loader-h100", ("b",)),
    "benchmark-form": Shot("stl10-r18", ("b",)),
    "new-run": Shot("stl10-r18", ("n",)),
    "new-run-like": Shot("kornia-w3", ("L",)),
    "evaluate": Shot("nocache-w6", ("e",)),
    "fork": Shot("nocache-w6", ("f",)),
    "labels": Shot("nocache-w6", ("t",)),
    "columns": Shot("stl10-r18", ("C",)),
    "learning-health": Shot("nocache-w6", ("v",)),
    "learning-layers": Shot("nocache-w6", ("v", "2")),
    "learning-labels": Shot("nocache-w6", ("v", "3")),
    "learning-invariance": Shot("nocache-w6", ("v", "4")),
    "learning-map": Shot("nocache-w6", ("v", "5")),
    "stop": Shot("stl10-r18", ("s",)),
    "help": Shot("stl10-r18", ("question_mark",)),
}


PACKED_ALONE = ("stop", "dashboard-16")
SHOWN = frozenset(
    {("dashboard", "80x24"), ("learning-health", "80x24"), *((n, "120x36") for n in SHOTS if n not in PACKED_ALONE)}
)
"""Pictures in docs/images."""


@contextmanager
def scene() -> Iterator[tuple[Path, dict[str, str]]]:
    """The store in a folder called runs, and ids by name; the clock stands still and settings are nobody's."""
    with tempfile.TemporaryDirectory() as folder, stopped_clock(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", f"{folder}/state")
        patch.setenv("XDG_CONFIG_HOME", f"{folder}/config")
        patch.delenv("NO_COLOR", raising=False)
        runs = Path(folder) / "runs"
        yield runs, build(runs)


async def take(runs: Path, ids: Mapping[str, str], name: str, size: tuple[int, int]) -> str:
    """The SVG of a screen."""
    shot = SHOTS[name]
    shutil.rmtree(state_folder(), ignore_errors=True)  # nothing is remembered of another picture
    app = DashboardApp(runs, select=ids[shot.run])
    async with app.run_test(size=size) as pilot:
        await wait_for_text(pilot, shot.run, "finished")
        if shot.theme:
            app.theme = shot.theme
        await settle(pilot)
        for key in shot.keys:
            await pilot.press(key)
            await settle(pilot)
        app.clear_notifications()
        await settle(pilot)
        return app.export_screenshot(title="simclr-tui")


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until the screen stays as it is."""
    app, before, calm = pilot.app, "", 0
    for _ in range(200):
        for field in app.screen.query(Input):
            field.cursor_blink = False
        for area in app.screen.query(TextArea):
            area.cursor_blink = False
        await pilot.pause(0.06)
        now = screen_text(app)
        calm = calm + 1 if now == before else 0
        before = now
        if calm >= _CALM_POLLS:
            return
    raise AssertionError(f"the screen never stood still:\n{before}")


def path_of(name: str, size: str) -> Path:
    """The file of a picture."""
    return IMAGES / f"{name}-{size}.svg" if (name, size) in SHOWN else PACKED / f"{name}-{size}.svgz"


def read(name: str, size: str) -> str:
    """A picture as it was taken last."""
    path = path_of(name, size)
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".svgz" else data).decode()


def write(name: str, size: str, svg: str) -> None:
    """Keep a picture; the same one gives the same bytes."""
    path = path_of(name, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(svg.encode(), mtime=0) if path.suffix == ".svgz" else svg.encode())


def main(names: list[str]) -> None:
    """Take pictures anew."""
    with scene() as (runs, ids):
        for name in SHOTS:
            if names and not any(name.startswith(one) for one in names):
                continue
            for size, cells in SIZES.items():
                write(name, size, asyncio.run(take(runs, ids, name, cells)))
                print(path_of(name, size).name)


if __name__ == "__main__":
    main(sys.argv[1:])
