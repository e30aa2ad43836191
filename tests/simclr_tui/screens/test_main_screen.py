"""Keys of the main screen."""

import signal
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.pilot import Pilot

from simclr_tui.app import DashboardApp
from simclr_tui.comfort.keymap import bindings_of
from simclr_tui.screens.apply_benchmark import ApplyScreen
from simclr_tui.screens.benchmark import BenchmarkScreen
from simclr_tui.screens.benchmark_form import BenchmarkForm
from simclr_tui.screens.chart_full import ChartFullScreen
from simclr_tui.screens.confirm import ConfirmScreen
from simclr_tui.screens.evaluate import EvaluateScreen
from simclr_tui.screens.help import HelpScreen
from simclr_tui.screens.learning import LearningScreen
from simclr_tui.screens.main import MainScreen
from simclr_tui.screens.new_run import NewRunScreen
from simclr_tui.screens.run import RunScreen
from tests.simclr_tui.learning_store import put_checkpoint
from tests.simclr_tui.support import AT_EACH_SIZE, Holder, add_run, screen_text, toasts, wait_for_text, wait_until
from tests.slurm_programs import Slurm
from trainer.slurm.job import SlurmJob
from trainer.slurm.submit import submit_run
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

SIZE = (120, 36)


async def test_space_overlays_marked_runs_and_names_them(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸● done")
        await pilot.press("space", "up")
        await wait_for_text(pilot, "▸■ resting", "● done", "■ resting   ● done", "■ smoothed")
        chart = next(line for line in screen_text(app).splitlines() if "●│" in line or "● │" in line)
        assert chart, "the marked run's curve ends in its sign"
        await pilot.press("down", "space", "up")
        await wait_until(pilot, lambda: "■ resting   ● done" not in screen_text(app))


async def test_a_wrong_key_is_answered_with_what_can_be_done(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸● done")
        for key, part in (
            ("p", "there is nothing to pause; evaluate"),
            ("s", "there is nothing to stop; evaluate"),
            ("r", "nothing left to resume; evaluate"),
        ):
            await pilot.press(key)
            await wait_until(pilot, lambda wanted=part: wanted in toasts(app))  # type: ignore[misc]
        await pilot.press("e")
        await wait_until(pilot, lambda: "no checkpoint; launch a new run" in toasts(app))
    assert commands_of(runs, some_runs["done"]) == []


def commands_of(runs: Path, run_id: str) -> list[str]:
    reader = StoreReader.open(runs)
    rows = reader.connection.execute("SELECT command FROM commands WHERE run_id = ? ORDER BY id", (run_id,)).fetchall()
    reader.close()
    return [row[0] for row in rows]


async def test_pausing_asks_nothing_and_the_run_pauses(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    with Holder(runs, some_runs["resting"], obeys=True):
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▸■ resting", "running")
            await pilot.press("p")
            await wait_until(pilot, lambda: "r resumes it" in toasts(app))
            await wait_for_text(pilot, "paused · r resumes it")
    assert commands_of(runs, some_runs["resting"]) == ["pause"]


async def test_stopping_asks_first_and_no_is_the_first_answer(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    with Holder(runs, some_runs["resting"], obeys=True):
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▸■ resting", "running")
            for answer in ("enter", "n", "escape"):
                await pilot.press("s")
                await wait_for_text(pilot, "Stop resting?", "saves a checkpoint")
                await pilot.press(answer)
                await wait_until(pilot, lambda: not isinstance(app.screen, ConfirmScreen))
            assert commands_of(runs, some_runs["resting"]) == []
            await pilot.press("s")
            await wait_for_text(pilot, "Stop resting?")
            await pilot.press("y")
            await wait_for_text(pilot, "stopped · r resumes it")
    assert commands_of(runs, some_runs["resting"]) == ["stop"]


async def test_a_run_in_slurms_queue_is_taken_out_by_the_keys_that_end_one(
    runs: Path, store: RunStore, slurm: Slurm
) -> None:
    run_id = add_run(store, "first")
    submit_run(store, run_id, SlurmJob(cpus=1))
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_for_text(pilot, "queued · in Slurm's queue, starts by itself", "waits in Slurm's queue, and starts")
        await pilot.press("r")
        await wait_until(pilot, lambda: "first waits in Slurm's queue as job 1234" in toasts(app))
        await pilot.press("s")
        await wait_for_text(pilot, "It leaves Slurm's queue. It counts as ended from then on")
        await pilot.press("y")
        await wait_until(pilot, lambda: "first is out of Slurm's queue, where it was job 1234" in toasts(app))
        await wait_for_text(pilot, "stopped · r resumes it")
    assert slurm.calls("scancel") == [["1234"]]


async def test_a_run_that_is_pausing_is_not_asked_twice(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    with Holder(runs, some_runs["resting"]):
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▸■ resting", "running")
            await pilot.press("p")
            await wait_for_text(pilot, "pausing")
            await pilot.press("p")
            await wait_until(pilot, lambda: "is pausing already" in toasts(app))
    assert commands_of(runs, some_runs["resting"]) == ["pause"]


async def type_text(pilot: Pilot[str], text: str) -> None:
    for character in text:
        await pilot.press(character)


async def test_the_filter_works_while_it_is_typed_and_escape_clears_it(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting", "broken")
        await pilot.press("slash")
        await type_text(pilot, "paused")
        await wait_for_text(pilot, "runs  1 of 4  filter: paused", "▸■ resting")
        assert "broken" not in left_of(app)
        await pilot.press("enter")
        await pilot.press("x")  # keys are the screen's own again
        await wait_for_text(pilot, "filter: paused", "step│")
        await pilot.press("escape")
        await wait_until(pilot, lambda: "broken" in left_of(app))
        await pilot.press("slash")
        await type_text(pilot, "no such")
        await wait_for_text(pilot, "no run matches; esc clears the filter")


def left_of(app: DashboardApp) -> str:
    return screen_text(app).partition("╭─ events")[0]


async def test_tab_gives_the_run_the_whole_screen_with_its_settings_and_events(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("tab")
        await wait_for_text(pilot, "differs from preset demo", "temperature 0.5 (0.2)", "paused by a test", "tab list")
        assert "finished by a test" not in screen_text(app), "only the run's own events"
        await pilot.press("down")
        await wait_for_text(pilot, "● done", "differs from preset demo: nothing")
        await pilot.press("escape")
        await wait_for_text(pilot, "▸● done", "resting")


LONG = (
    "hung: no progress for 605 s while training, after step 1234, ended by its watchdog; resume goes on from the last "
    "checkpoint"
)


async def test_a_long_reason_of_a_failure_is_shown_in_two_lines_to_its_end(
    runs: Path, some_runs: dict[str, str]
) -> None:
    store = RunStore.open(runs)
    store.lifecycle(some_runs["broken"], "failed", LONG, level="error", exit_code=70)
    store.close()
    app = DashboardApp(runs, select=some_runs["broken"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "failed · r tries again", "hung: no progress", "last checkpoint")
        await pilot.resize_terminal(80, 24)
        await pilot.press("tab")
        await wait_for_text(pilot, "hung: no progress", "from the last checkpoint")


async def test_what_a_stalled_run_needs_is_shown_to_its_end(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    with Holder(runs, some_runs["resting"]) as holder:
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_for_text(pilot, "resting")
            await pilot.press("tab")
            holder.process.send_signal(signal.SIGSTOP)
            await wait_for_text(pilot, "stalled · epoch 9/15", f"kill -CONT {holder.process.pid}", "demo · shapes")


@AT_EACH_SIZE
async def test_checkpoints_that_cannot_be_written_stand_beside_the_run_until_one_is(
    size: tuple[int, int], runs: Path, some_runs: dict[str, str]
) -> None:
    store = RunStore.open(runs)
    run_id = some_runs["resting"]
    put_checkpoint(store, run_id, 46)
    message = "checkpoint of step 99 not written (no space left); training goes on, free some space"
    store.event(run_id, "checkpoint-failed", message, level="error", step=99)
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=size) as pilot:
        await wait_for_text(pilot, "resting")
        await pilot.press("tab")
        await wait_for_text(pilot, "✗ checkpoints can't be written, the newest is ")
        put_checkpoint(store, run_id, 99)
        await wait_until(pilot, lambda: "can't be written" not in screen_text(app))
    store.close()


@AT_EACH_SIZE
async def test_where_bits_are_not_promised_it_is_said_and_so_is_the_last_replay(
    size: tuple[int, int], runs: Path, some_runs: dict[str, str]
) -> None:
    store = RunStore.open(runs)
    run_id = some_runs["resting"]
    store.event(run_id, "replay", "replay 12 of 37 identical so far, the run ended before the rest")
    store.event(run_id, "replay", "replay 37 of 37 identical")
    for number in range(20):
        store.event(run_id, "note", f"note {number}")
    app = DashboardApp(runs, select=run_id)
    async with app.run_test(size=size) as pilot:
        await wait_for_text(pilot, "resting")
        await pilot.press("tab")
        await wait_for_text(pilot, "resting", "note 19", *["replay 37 of 37 identical"] if size == SIZE else [])
        assert "bits not promised" not in screen_text(app)
        store.update_run(run_id, exactness="not promised: from step 101 on threads 8 → 6")
        await wait_for_text(pilot, "bits not promised · ")
        if size == SIZE:
            await wait_for_text(pilot, "exactness not promised: from step 101 on threads 8 → 6")
    store.close()


async def test_charts_change_to_steps_and_to_a_logarithmic_scale(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "chance 5.54")
        await pilot.press("x")
        await wait_for_text(pilot, "200", "step│")
        await pilot.press("x", "l")
        await wait_until(pilot, lambda: "step│" not in screen_text(app))
        assert isinstance(app.main_screen, MainScreen)
        assert app.main_screen.board.view.log


async def test_a_click_chooses_a_run_and_a_second_one_opens_it(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸◆ waiting")
        await pilot.click("#runs", offset=(5, 3))
        await wait_for_text(pilot, "▸■ resting")
        await pilot.click("#runs", offset=(5, 3))
        await wait_until(pilot, lambda: isinstance(app.screen, RunScreen))
        await wait_for_text(pilot, "differs from preset demo")
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, MainScreen))
        await pilot.click("#keys", offset=(2, 0))
        await wait_until(pilot, lambda: isinstance(app.screen, NewRunScreen))


@pytest.mark.parametrize(
    "owner",
    [
        MainScreen,
        ChartFullScreen,
        LearningScreen,
        EvaluateScreen,
        NewRunScreen,
        DashboardApp,
        ConfirmScreen,
        HelpScreen,
    ],
)
def test_every_binding_has_an_id_of_its_own_and_a_tooltip(owner: type) -> None:
    bindings = owner.BINDINGS  # type: ignore[attr-defined]
    assert all(isinstance(one, Binding) and one.id and one.tooltip for one in bindings)
    assert len({one.id for one in bindings}) == len(bindings)


async def test_help_lists_every_key_with_what_it_does(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "no run yet")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "esc closes")
        await pilot.resize_terminal(SIZE[0], 500)  # all of the list at once
        await wait_for_text(pilot, "esc closes", "Charts: the raw values are faint")
        text = screen_text(app)
        benchmarks = (BenchmarkScreen, BenchmarkForm, ApplyScreen)
        for owner in (MainScreen, LearningScreen, EvaluateScreen, NewRunScreen, DashboardApp, *benchmarks):
            for binding in bindings_of(owner.BINDINGS):
                assert binding.tooltip in text, binding.id
        await pilot.press("question_mark")
        await wait_until(pilot, lambda: not isinstance(app.screen, HelpScreen))


async def test_every_action_is_in_the_command_palette(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "no run yet")
        offered = {command.help for command in app.get_system_commands(app.screen)}
        for binding in (*bindings_of(MainScreen.BINDINGS), *bindings_of(DashboardApp.BINDINGS)):
            assert binding.tooltip in offered or binding.action == "command_palette", binding.id
        await pilot.press("ctrl+p")
        await pilot.pause(0.2)
        await type_text(pilot, "filter")
        await wait_for_text(pilot, "Show only runs that match some words")
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.focused is not None and app.focused.id == "filter")


async def test_runs_that_are_not_well_have_a_sign_behind_their_name(runs: Path, some_runs: dict[str, str]) -> None:
    store = RunStore.open(runs)
    verdicts = {"done": "good", "resting": "sick", "broken": "warning", "waiting": "unsure"}
    for name, level in verdicts.items():
        store.update_run(some_runs[name], health=f"{name} is {level}", health_level=level, health_rule="a-rule")
    store.close()
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "✖ resting is sick · loss", "✖paused", "▲failed", " queued", " finished")
        await pilot.press("down")
        await wait_for_text(pilot, "✓ done is good")


async def test_quitting_leaves_runs_alone(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs)
    with Holder(runs, some_runs["resting"]) as holder:
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "running")
            await pilot.press("q")
            await wait_until(pilot, lambda: app.return_code is not None)
        assert holder.process.poll() is None
    assert commands_of(runs, some_runs["resting"]) == []
