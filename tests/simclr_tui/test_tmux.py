"""In a real terminal, by keys that the screen names: the story, an empty folder, a wrong key, a trainer's death."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.simclr_tui.support import Holder, add_run
from tests.simclr_tui.tmux import TMUX, Screen
from trainer.store.runs import RunStore

pytestmark = [pytest.mark.screens, pytest.mark.skipif(TMUX is None, reason="tmux is not installed")]

SIZES = [(120, 36), (80, 24)]


@pytest.mark.parametrize("size", SIZES)
def test_an_empty_folder_names_the_key_of_the_first_run(runs: Path, size: tuple[int, int]) -> None:
    with Screen(runs, size=size) as screen:
        screen.wait_for("no run yet; n makes the first one")
        screen.press("n")
        screen.wait_for("preset", "demo", "launch (F5)")
        screen.press("esc")
        screen.wait_for("no run yet")
        screen.press("?")
        screen.wait_for("Launch a new run from a form")
        screen.read_help(["n", "p"])
        screen.press("esc")
        screen.wait(lambda text: "from a form" not in text, "the help closed")  # esc and a letter at once are alt
        screen.press("p")
        screen.wait_for("there is no run to pause")  # what can be done instead wraps at 80 columns
        assert all(len(line.rstrip()) <= size[0] for line in screen.text.splitlines())
    assert not (runs / "runs.db").exists(), "looking makes nothing"


@pytest.mark.parametrize("size", SIZES)
def test_a_trainer_that_is_killed_under_its_screen_is_interrupted(runs: Path, size: tuple[int, int]) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "doomed", steps=200)
    store.close()
    holder = Holder(runs, run_id)
    with Screen(runs, size=size) as screen:
        screen.wait_for("▶ 1", "doomed")
        screen.press("↵")
        screen.wait_for("1 Charts", "running")
        holder.kill()
        screen.wait_for("interrupted", "r resumes it", seconds=10)
        screen.press("esc")
        screen.wait_for("interrupted", "events")


def test_a_key_that_nothing_names_is_refused(runs: Path) -> None:
    with Screen(runs) as screen:
        screen.wait_for("no run yet")
        with pytest.raises(AssertionError, match="nothing names Z"):
            screen.press("Z")


def states(runs: Path) -> list[str]:
    """How all runs stand, by the store."""
    with closing(RunStore.open(runs)) as store:
        return [run.lifecycle for run in store.runs()]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("size", SIZES)
def test_who_never_read_the_docs_gets_a_demo_a_pause_a_fork_a_comparison_and_a_verdict(
    runs: Path, size: tuple[int, int]
) -> None:
    with Screen(runs, size=size) as screen:
        screen.wait_for("n makes the first one")
        screen.press("n")
        screen.wait_for("demo", "F5")
        screen.press("F5")
        screen.wait(lambda text: "running" in text and "2/8" in text, "the demo trains", seconds=180)
        screen.press("p")
        screen.wait_for("paused", "r resume")
        assert states(runs) == ["paused"]
        screen.press("r")
        screen.wait(lambda _: states(runs) == ["finished"], "the demo ended", seconds=400)
        screen.wait_for("finished", "8/8")

        screen.press("f")
        screen.wait_for("Fork demo", "such as epochs=800 learning-rate=1e-4")
        screen.type("learning-rate=1e-4")
        screen.wait_for("leave nothing to train; give more than 8")
        screen.type(" epochs=10")
        screen.wait(lambda text: "0.002 → 0.0001" in " ".join(text.split()), "what changes is said")
        screen.press("↵")
        screen.wait(lambda _: states(runs) == ["finished", "finished"], "the fork ended", seconds=400)
        screen.wait_for("finished", "10/10")

        screen.wait(lambda text: "running" not in text, "the screen knows of the end")
        screen.press("?")
        screen.wait_for("The marked runs and this one side by side")
        screen.read_help(["c"])
        screen.press("esc")
        screen.wait(lambda text: "marked runs and this" not in text, "the help closed")
        screen.press("c")
        screen.wait_for("Compare", "space", "↵")
        screen.press("↓", "space", "↵")
        screen.wait_for("settings that differ", "learning-rate", "0.0001", "0.002")
        screen.press("esc")

        screen.press("b")
        screen.wait_for("Benchmark the settings of", "num_workers=0,2")
        screen.type("num_workers=0,1")
        screen.wait_for("2 trials × 10 rounds")
        screen.press("↓", "↓", "↓")
        screen.type("10")
        screen.wait_for("2 × 10 steps each")
        screen.press("↵")
        screen.wait_for("benchmark", "running", seconds=120)
        screen.press("b")
        screen.wait(lambda text: "so far" in text, "the trials are watched")
        shown = screen.wait(lambda text: "─ verdict" in text, "the verdict", seconds=900)
        said = shown.partition("─ verdict")[2]
        assert "worker" in said
        assert "waits" in said
