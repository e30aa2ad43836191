"""Keys of one's own, themes, notices, copies, the palette, what is remembered, and two dashboards on one store."""

from pathlib import Path

import pytest
from textual.command import CommandPalette

from simclr_tui.app import DashboardApp
from simclr_tui.comfort.keymap import OTHERS, bindings_of, scope
from simclr_tui.comfort.user_settings import NoticeSettings, UserSettings
from simclr_tui.palette import title_of
from simclr_tui.remembered import Remembered
from simclr_tui.screens.chart_full import ChartFullScreen
from simclr_tui.screens.help import HelpScreen
from simclr_tui.screens.pick import PickScreen
from simclr_tui.screens.run import RunScreen
from simclr_tui.screens.theme_choice import ThemeScreen
from tests.simclr_tui.support import Holder, screen_text, toasts, wait_for_text, wait_until
from trainer.store.records import Labels
from trainer.store.runs import RunStore

pytestmark = pytest.mark.screens

SIZE = (120, 36)


class Told:
    """Keeps what an app would write to its terminal beside pictures."""

    def __init__(self, app: DashboardApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sequences: list[str] = []
        self.bells = 0
        monkeypatch.setattr(app, "tell_terminal", self.sequences.append)
        monkeypatch.setattr(app, "bell", self._ring)

    def _ring(self) -> None:
        self.bells += 1

    @property
    def text(self) -> str:
        return "".join(self.sequences)


async def test_keys_of_ones_own_work_and_are_named_by_line_help_and_palette(
    runs: Path, some_runs: dict[str, str]
) -> None:
    settings = UserSettings(keys={"runs.new": ("ctrl+n",), "run.learning": ("n", "f9"), "app.help": ("f1",)})
    app = DashboardApp(runs, settings=settings)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting", "^n new", "n learning", "F1 help")
        assert "n new" not in screen_text(app).replace("^n new", "")
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert {"New (^n)", "Learning (n F9)", "Help (F1)"} <= set(titles)
        await pilot.press("question_mark")
        await pilot.pause()
        assert not isinstance(app.screen, HelpScreen), "its usual key is nobody's now"
        await pilot.press("f1")
        await wait_for_text(pilot, "^n          Launch a new run from a form", "n F9        Verdict")
        await pilot.press("escape", "ctrl+n")
        await wait_for_text(pilot, "new run", "preset")


async def test_ctrl_t_shows_each_theme_at_once_and_escape_brings_the_old_one_back(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        assert app.theme == "simclr-dark"
        await pilot.press("ctrl+t")
        await wait_for_text(pilot, "on a light background")
        await pilot.press("down")
        await wait_until(pilot, lambda: app.theme == "simclr-light")
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.theme == "simclr-dark")
        await pilot.press("ctrl+t", "down", "enter")
        await wait_until(pilot, lambda: not isinstance(app.screen, ThemeScreen))
        assert app.theme == "simclr-light"
    again = DashboardApp(runs)
    async with again.run_test(size=SIZE):
        assert again.theme == "simclr-light", "it is remembered"
    said = DashboardApp(runs, settings=UserSettings(theme="dracula"))
    async with said.run_test(size=SIZE) as pilot:
        assert said.theme == "dracula", "what the settings file says comes first"
        await wait_for_text(pilot, "resting")
        await pilot.press("ctrl+t")
        await pilot.press(*"simclr-dark", "enter")
        await wait_until(pilot, lambda: "the settings file says dracula" in toasts(said))
        assert said.theme == "simclr-dark"


@pytest.mark.parametrize(("is_dark", "theme"), [(True, "simclr-dark"), (None, "simclr-dark"), (False, "simclr-light")])
async def test_the_first_theme_goes_with_the_terminals_background(is_dark: bool | None, theme: str, runs: Path) -> None:
    app = DashboardApp(runs, is_dark=is_dark)
    async with app.run_test(size=SIZE):
        assert app.theme == theme


async def test_a_run_that_dies_rings_is_told_on_the_desktop_and_in_a_toast_once(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    app = DashboardApp(runs)
    told = Told(app, monkeypatch)
    with Holder(runs, some_runs["resting"]) as holder:
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▶ 1 running")
            await wait_until(pilot, lambda: "]2;simclr-tui · ▶ resting 58 %\a" in told.text)
            assert told.bells == 0, "what was so at the start is not told"
            holder.kill()
            await wait_until(pilot, lambda: "resting was interrupted: r resumes it" in toasts(app))
            assert "\x1b]9;resting was interrupted: r resumes it\a" in told.text
            assert "\x1b]777;notify;simclr-tui;resting was interrupted: r resumes it\a" in told.text
            assert "]2;simclr-tui · ! 1 interrupted\a" in told.text
            await pilot.pause(1.2)
            assert told.bells == 1
            assert told.text.count("]9;") == 1
        assert told.sequences[-1] == "\x1b[23;2t", "the title that was there before comes back"


async def test_in_tmux_a_notice_is_wrapped_for_the_terminal_around_it(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    app = DashboardApp(runs, settings=UserSettings(notices=NoticeSettings(bell=False)))
    told = Told(app, monkeypatch)
    with Holder(runs, some_runs["resting"]) as holder:
        async with app.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▶ 1 running")
            holder.kill()
            await wait_until(pilot, lambda: "\x1bPtmux;\x1b\x1b]9;resting was" in told.text)
            assert told.bells == 0


async def test_shift_n_switches_notices_off_and_on_and_that_is_remembered(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        await pilot.press("N")
        await wait_until(pilot, lambda: "notices are off; N switches them on" in toasts(app))
    again = DashboardApp(runs)
    told = Told(again, monkeypatch)
    with Holder(runs, some_runs["resting"]) as holder:
        async with again.run_test(size=SIZE) as pilot:
            await wait_for_text(pilot, "▶ 1 running")
            holder.kill()
            await wait_for_text(pilot, "! 1 interrupted")
            await pilot.pause(0.2)
            assert "was interrupted" not in toasts(again)
            assert told.bells == 0
            assert "]9;" not in told.text
            await pilot.press("N")
            await wait_until(pilot, lambda: "notices are on: bell and desktop" in toasts(again))


async def test_a_pause_that_was_asked_for_here_is_no_notice_but_one_from_elsewhere_is(
    runs: Path, some_runs: dict[str, str]
) -> None:
    """Two dashboards: what one asks, the other sees within a poll."""
    one, other = DashboardApp(runs), DashboardApp(runs)
    with Holder(runs, some_runs["resting"], obeys=True):
        async with one.run_test(size=SIZE) as pilot, other.run_test(size=SIZE) as watching:
            await wait_for_text(pilot, "▸■ resting", "▶ 1 running")
            await wait_for_text(watching, "▸■ resting", "▶ 1 running")
            await pilot.press("p")
            await wait_for_text(pilot, "paused · r resumes it")
            await wait_for_text(watching, "paused · r resumes it", seconds=1.5)
            await wait_until(watching, lambda: "resting was paused from elsewhere" in toasts(other))
            assert "from elsewhere" not in toasts(one)


async def test_what_is_written_on_a_run_in_one_dashboard_is_seen_in_another(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "resting")
        store = RunStore.open(runs)
        store.connection.execute(
            "INSERT INTO annotations (run_id, key, value, at) VALUES (?, 'tag', 'baseline', 0)", (some_runs["done"],)
        )
        store.connection.commit()
        store.close()

        def labels() -> Labels:
            row = app.main_screen.board.row_of(some_runs["done"]) if app.main_screen is not None else None
            return row.labels if row is not None else Labels()

        await wait_until(pilot, lambda: labels().tags == ("baseline",), seconds=1.5)


async def test_y_copies_the_id_and_says_so(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = DashboardApp(runs, select=some_runs["resting"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting")
        await pilot.press("y")
        await wait_for_text(pilot, "copy of resting", "command that resumes it")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "id of resting copied, if the terminal allows it" in toasts(app))
        assert app.clipboard == some_runs["resting"]
        await pilot.press("y")
        await wait_for_text(pilot, "copy of resting")
        await pilot.press(*"launches", "enter")
        await wait_until(pilot, lambda: "--temperature=0.5" in app.clipboard)
        await pilot.press("y", "escape")
        await wait_until(pilot, lambda: not isinstance(app.screen, PickScreen))


async def test_where_there_is_no_run_y_says_so(runs: Path) -> None:
    app = DashboardApp(runs)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "no run yet")
        await pilot.press("y")
        await wait_until(pilot, lambda: "there is no run to copy of" in toasts(app))


async def test_the_palette_has_every_key_of_the_screen_and_goes_to_a_run_by_name(
    runs: Path, some_runs: dict[str, str]
) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸● done")
        titles = {command.title for command in app.get_system_commands(app.screen)}
        for binding in (*bindings_of(app.screen.BINDINGS), *bindings_of(app.BINDINGS)):
            assert title_of(binding, {}) in titles or binding.action == "command_palette", binding.id
        await pilot.press("ctrl+p")
        await wait_until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"run resting")
        await wait_for_text(pilot, "Run resting")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await wait_for_text(pilot, "▸■ resting")
        places = {command.title: command.callback for command in app.get_system_commands(app.screen)}
        app.call_later(places["Tab Log"])
        await wait_until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.tab_name == "log")
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.main_screen)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.tab_name == "log")
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.main_screen)
        app.call_later(next(call for title, call in places.items() if title.startswith("Chart kNN")))
        await wait_until(pilot, lambda: isinstance(app.screen, ChartFullScreen) and "knn" in app.screen.current)


@pytest.mark.parametrize("place", OTHERS, ids=lambda place: place[0])
def test_every_screen_can_offer_its_keys(place: tuple[str, str]) -> None:
    own = scope(*place)
    assert own.bindings
    assert all(binding.tooltip and title_of(binding, {}) for binding in own.bindings)


async def test_marks_and_the_cursor_are_where_they_were(runs: Path, some_runs: dict[str, str]) -> None:
    app = DashboardApp(runs, select=some_runs["done"])
    async with app.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸● done")
        await pilot.press("space", "up")
        await wait_for_text(pilot, "▸■ resting", "● done")
    remembered = Remembered(runs)
    assert remembered.get("marked") == [some_runs["done"]]
    remembered.put("marked", [some_runs["done"], "gone000000", 7])
    again = DashboardApp(runs)
    async with again.run_test(size=SIZE) as pilot:
        await wait_for_text(pilot, "▸■ resting", "● done")
        assert again.main_screen is not None
        assert again.main_screen.board.marked == {some_runs["done"]}, "a run that is gone is ignored"
