"""The command palette: every action of the screen and of the app with its key, every run and every screen by name."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from simclr_tui.comfort.keymap import bindings_of, remapped
from simclr_tui.widgets.key_line import one_key_text

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp
    from simclr_tui.model import RunRow
    from simclr_tui.screens.main import MainScreen

_MOST_RUNS = 1000
_LEFT_OUT = ("command_palette",)


def commands(app: "DashboardApp", screen: Screen[object]) -> Iterator[SystemCommand]:
    """Everything that can be done now: the screen's own keys first, then the app's, then each run."""
    named: set[str] = set()
    for binding in (*bindings_of(screen.BINDINGS), *bindings_of(app.BINDINGS)):
        if binding.action in _LEFT_OUT or binding.id in named:
            continue
        named.add(binding.id or "")
        yield SystemCommand(
            title_of(binding, app.keymap), str(binding.tooltip), partial(_do, screen, binding.action), True
        )
    yield SystemCommand("Redraw the screen", "Send the whole screen to the terminal once more", app.redraw)
    main = app.main_screen
    if main is not None and screen is main:
        yield from _places(main)


def _places(main: "MainScreen") -> Iterator[SystemCommand]:
    """Every place that the main screen leads to: tabs, charts, runs. They are found by typing, not listed."""
    from simclr_tui.charts.choice import to_choose
    from simclr_tui.screens.run import TABS

    row = main.board.cursor
    if row is not None:
        for name, words in TABS.items():
            yield SystemCommand(
                f"Tab {words}", f"That part of {row.run.name}'s own screen", partial(_open_tab, main, name), False
            )
    for name, title, group in to_choose(main.board.drawn, main.board.view):
        yield SystemCommand(f"Chart {title}", group, partial(_open_chart, main, name), False)
    for row in main.board.rows[:_MOST_RUNS]:
        yield SystemCommand(f"Run {row.run.name}", f"{row.state} · {row.run.id}", partial(_go_to, main, row), False)


def title_of(binding: Binding, keymap: Mapping[str, str]) -> str:
    """An action's name with the keys that do it: Pause (p)."""
    keys = " ".join(one_key_text(key) for key in remapped(binding, keymap).key.split(","))
    words = binding.description or str(binding.tooltip)
    return f"{words[:1].upper()}{words[1:]} ({keys})"


async def _do(screen: Screen[object], action: str) -> None:
    await screen.run_action(action)


def _go_to(main: "MainScreen", row: "RunRow") -> None:
    main.choose(row.run.id)
    main.board.take_rows(main.board.rows)
    main.show_board()


def _open_tab(main: "MainScreen", name: str) -> None:
    main.action_open(name)


def _open_chart(main: "MainScreen", name: str) -> None:
    """Give a chart the whole screen; one that is not shown yet is from now on."""
    view = main.board.view
    if name not in view.charts:
        main.look_at_charts(charts=(*view.charts, name))
    if main.chart_grid is not None:
        main.chart_grid.make_current(name)
    main.action_full_chart()
