"""What must not be imported before the first frame, proved in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simclr_tui.support import add_some_runs

HEAVY = ("torch", "torchvision", "kornia", "numpy", "PIL", "sqlite_utils", "psutil", "scipy", "sklearn", "shtab")

FIRST_FRAME = """
import asyncio, sys
from pathlib import Path
from simclr_tui.app import DashboardApp

async def main():
    app = DashboardApp(Path(sys.argv[1]), select=sys.argv[2])
    async with app.run_test(size=(120, 36)) as pilot:
        for _ in range(200):
            await pilot.pause(0.02)
            text = "".join(s.text for strip in app.screen._compositor.render_strips() for s in strip)
            if "resting" in text and "chance" in text:
                break
        else:
            sys.exit("no frame with runs:" + text)

asyncio.run(main())
print(*(name for name in sys.argv[3:] if name in sys.modules))
"""


def run_python(code: str, *words: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_first_frame_with_runs_and_charts_needs_nothing_heavy(runs: Path) -> None:
    ids = add_some_runs(runs)
    assert run_python(FIRST_FRAME, str(runs), ids["resting"], *HEAVY) == ""


@pytest.mark.parametrize("module", ["comparing", "ending", "listing", "metrics", "reading", "starting"])
def test_a_command_does_not_wait_for_what_the_dashboard_is_drawn_with(module: str) -> None:
    code = (
        f"import sys, simclr_tui.commands.{module}, simclr_tui.commands.parser as own\n"
        "own.parse(['pause', 'a']); print('textual' in sys.modules)"
    )
    assert run_python(code) == "False"


@pytest.mark.parametrize(
    "module",
    [
        "simclr_tui.actions",
        "simclr_tui.commands.comparing",
        "simclr_tui.commands.evaluations",
        "simclr_tui.commands.parser",
        "simclr_tui.commands.previewing",
        "simclr_tui.commands.reading",
        "simclr_tui.commands.starting",
        "simclr_tui.learning.reader",
        "simclr_tui.run.log_tail",
        "simclr_tui.run.opened",
        "simclr_tui.run.pictures",
        "simclr_tui.run_tabs.images",
        "simclr_tui.screens.compare",
        "simclr_tui.screens.evaluate",
        "simclr_tui.screens.learning",
        "simclr_tui.screens.new_run",
        "simclr_tui.screens.run",
        "simclr_tui.run.system",
        "trainer.options",
        "trainer.store",
    ],
)
def test_no_module_of_the_dashboard_imports_anything_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in sys.argv[1:] if name in sys.modules))"
    assert run_python(code, *HEAVY) == ""
