"""The keys of the list of runs: the cursor, marks, the filter; its order, columns and groups."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from simclr_tui.board import MOST_DRAWN
from simclr_tui.keys import key
from simclr_tui.run_list.columns import COLUMNS, SETTING, USUAL_COLUMNS, column, differing_settings, with_owner
from simclr_tui.run_list.listing import EVERYTHING, ListView
from simclr_tui.screens.mixin import BoardKeys
from simclr_tui.theme import MUTED
from simclr_tui.widgets.run_table import RunTable, Table

if TYPE_CHECKING:
    from textual.timer import Timer

    from simclr_tui.remembered import Remembered
    from simclr_tui.screens.pick import Item

_USUAL = "usual"
_GROUPS = ("state", "preset", "kind", "tags", "device")
_KEEP_SECONDS = 1.0
"""What the list looks like is remembered once it stays so for so long."""


class ListControls(BoardKeys):
    """Mixed into the main screen."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark", id="run.mark", tooltip="Draw the run's curves beside those of others"),
        Binding("slash", "filter", "filter", id="runs.filter", tooltip="Show only runs that match some words"),
        Binding("o", "sort", "sort", id="runs.sort", tooltip="Sort the runs by a column"),
        Binding("O", "reverse", "reverse", show=False, id="runs.reverse", tooltip="Turn the order of the runs round"),
        Binding("C", "columns", "columns", show=False, id="runs.columns", tooltip="Which columns the list has"),
        Binding("g", "group_by", "group", show=False, id="runs.group", tooltip="Put runs of the same kind together"),
        Binding("M", "mark_all", "mark all", show=False, id="runs.mark", tooltip="Mark all runs of the list, or none"),
        Binding("up,k", "move(-1)", "up", show=False, id="cursor.up", tooltip="One run up"),
        Binding("down,j", "move(1)", "down", show=False, id="cursor.down", tooltip="One run down"),
        Binding("pageup", "move(-10)", "page up", show=False, id="cursor.page-up", tooltip="Ten runs up"),
        Binding("pagedown", "move(10)", "page down", show=False, id="cursor.page-down", tooltip="Ten runs down"),
        Binding("home", "move(-1000000)", "first", show=False, id="cursor.first", tooltip="To the first run"),
        Binding("end", "move(1000000)", "last", show=False, id="cursor.last", tooltip="To the last run"),
    ]

    _keeping: "Timer | None" = None

    def action_move(self, delta: int) -> None:
        """Move the cursor."""
        self.board.move(delta)
        self._show_and_keep()

    def action_mark(self) -> None:
        """Mark or unmark the cursor's run."""
        if self.board.cursor is None:
            self.notify(f"there is no run to mark; {key('n', 'runs.new')} makes one", severity="warning")
            return
        self.board.toggle_mark()
        self.show_board()

    def action_mark_all(self) -> None:
        """Mark every run that the list shows, or none where all of them are marked."""
        count = len(self.board.visible)
        if not count:
            self.notify("the list shows no run to mark", severity="warning")
            return
        is_new = self.board.mark_all()
        runs = "1 run" if count == 1 else f"{count:,} runs"
        self.notify(f"{runs} marked; M again takes the marks away" if is_new else "no run is marked")
        self.show_board()

    def action_filter(self) -> None:
        """Ask for the words to filter by."""
        self.remove_class("-open")
        field = self.query_one("#filter", Input)
        field.add_class("-shown")
        field.focus()

    # Named as Textual looks for them: it finds methods that are decorated with `on` in screens and widgets alone.
    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the words are typed; the list stays as it was while they mean nothing."""
        if event.input.id == "filter":
            self.board.set_filter(event.value)
            problem = self.query_one("#filter-problem", Static)
            problem.update(self.board.problem)
            problem.set_class(bool(self.board.problem), "-shown")
            self._show_and_keep()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter; one that means nothing is not left."""
        if event.input.id == "filter" and not self.board.problem:
            self.close_filter()

    def close_filter(self) -> None:
        """Give the keys back to the screen."""
        field = self.query_one("#filter", Input)
        field.remove_class("-shown")
        self.set_focus(None)

    def action_sort(self) -> None:
        """Ask which column runs are sorted by."""
        from simclr_tui.screens.pick import Item, PickScreen

        usual = Item(_USUAL, "as usual", "live first, newest first, forks below their parents")
        items = [usual, *_items(list(COLUMNS)), *self._settings()]

        def sort(chosen: list[str] | None) -> None:
            if chosen:
                name = None if chosen[0] == _USUAL else chosen[0]
                self._look(sort=name, is_descending=name is not None and column(name).best_first)

        self.app.push_screen(PickScreen("sort by", items, [self.board.listed.sort or _USUAL]), sort)

    def action_reverse(self) -> None:
        """Turn the order round."""
        listed = self.board.listed
        if listed.sort is None:
            self.notify("the usual order can't be turned round; o sorts by a column", severity="warning")
            return
        self._look(is_descending=not listed.is_descending)

    def action_columns(self) -> None:
        """Ask which columns the list has."""
        from simclr_tui.screens.pick import PickScreen

        items = [*_items([one for one in COLUMNS if one != "run"]), *self._settings()]

        def show(chosen: list[str] | None) -> None:
            if chosen is not None:
                self._look(columns=tuple(chosen) or USUAL_COLUMNS)

        self.app.push_screen(PickScreen("columns", items, self._columns(), many=True), show)

    def action_group_by(self) -> None:
        """Ask what runs are put together by."""
        from simclr_tui.screens.pick import Item, PickScreen

        items = [Item(_USUAL, "no groups"), *_items(list(_GROUPS)), *self._settings()]

        def group(chosen: list[str] | None) -> None:
            if chosen:
                self._look(group=None if chosen[0] == _USUAL else chosen[0])

        self.app.push_screen(PickScreen("group by", items, [self.board.listed.group or _USUAL]), group)

    def on_run_table_heading_chosen(self, event: RunTable.HeadingChosen) -> None:
        """Sort by the column; a second click turns the order round, and a third one gives the usual order back."""
        listed, first = self.board.listed, column(event.column_id).best_first
        if listed.sort != event.column_id:
            self._look(sort=event.column_id, is_descending=first)
        elif listed.is_descending == first:
            self._look(is_descending=not first)
        else:
            self._look(sort=None, is_descending=False)

    def on_run_table_chosen(self, event: RunTable.Chosen) -> None:
        """Put the cursor where the mouse was; a second click opens the run."""
        if self.board.cursor_id == event.run_id:
            self.call_later(self.run_action, "open")
            return
        self.board.cursor_id = event.run_id
        self._show_and_keep()

    def _settings(self) -> "list[Item]":
        """The settings that differ, and those that the list has already: whoever chooses anew keeps them."""
        listed = self.board.listed
        used = [one for one in (*listed.columns, listed.sort, listed.group) if one and one.startswith(SETTING)]
        return _items(sorted({*used, *(SETTING + name for name in differing_settings(self.board.rows))}))

    def _look(self, **changes: object) -> None:
        self.board.look(replace(self.board.listed, **changes))  # type: ignore[arg-type]  # fields of ListView
        self._show_and_keep()

    def show_list(self, *, is_read: bool) -> None:
        """Bring the list and what stands in its border up to date."""
        board, listed, table = self.board, self.board.listed, self.query_one(RunTable)
        if not is_read:
            empty = "reading the store"
        elif not board.rows:
            empty = f"no run yet; {key('n', 'runs.new')} makes the first one"
        else:
            empty = "no run matches; esc clears the filter" if board.filter else "all runs are put away; / is:all esc"
        table.show(
            Table(
                lines=board.lines,
                columns=tuple(map(column, replace(listed, columns=self._columns()).shown)),
                sort=listed.sort,
                is_descending=listed.is_descending,
                cursor_id=board.cursor_id,
                marked=frozenset(board.marked),
                empty=empty,
            )
        )
        self._show_titles(table)

    def _columns(self) -> tuple[str, ...]:
        return with_owner(self.board.listed.columns, USUAL_COLUMNS, self.board.rows)

    def _show_titles(self, table: RunTable) -> None:
        """How many runs there are, and everything because of which some can't be seen."""
        board, listed, left = self.board, self.board.listed, self.query_one("#left")
        shown, count = len(board.visible), len(board.rows)
        total = f"{shown:,} of {count:,}" if board.filter or shown != count else f"{count:,}"
        parts: list[str | tuple[str, str]] = [("runs", "bold"), f"  {total}"]
        if board.filter:
            parts += ["  ", (f"filter: {board.filter}", "$accent")]
        marked = len(board.marked)
        words = [f"{marked} marked{f', {MOST_DRAWN} drawn' if marked > MOST_DRAWN else ''}"] if marked else []
        if table.left_out and listed.columns != USUAL_COLUMNS:
            words.append(f"+{table.left_out} column{'s' if table.left_out > 1 else ''}")
        hidden = 0 if board.filter else count - shown
        if hidden:
            words.append(f"{hidden} put away")
        left.border_title = Content.assemble(*parts)
        left.border_subtitle = Content.styled(" · ".join(words), MUTED)

    def restore_list(self) -> None:
        """Look at the list as the last time; a run that was asked for is shown in any case."""
        remembered, wanted = self.dashboard.remembered, self.dashboard.select
        listed = ListView.from_stored({name: remembered.get(name) for name in ListView().stored()})
        if wanted is not None:
            listed = replace(listed, filter=EVERYTHING)
        self.board.listed = listed
        run_id = remembered.get("list.run")
        self.board.awaited_id = wanted or (run_id if isinstance(run_id, str) else None)
        if listed.filter.text:
            self.query_one("#filter", Input).value = listed.filter.text
            self.notify(f"the list is filtered as the last time: {listed.filter.text}; esc shows all runs")

    def _show_and_keep(self) -> None:
        """Show the list, and remember what it looks like once it stays so."""
        self.show_board()
        if self._keeping is not None:
            self._keeping.stop()
        self._keeping = self.set_timer(_KEEP_SECONDS, self._keep)

    def _keep(self) -> None:
        self._keeping = None
        self.dashboard.do(partial(_put, self.dashboard.remembered, self._kept()))

    def _kept(self) -> dict[str, object]:
        return {**self.board.listed.stored(), "list.run": self.board.cursor_id}

    def on_unmount(self) -> None:
        """What was changed last is remembered too."""
        if self._keeping is not None:
            _put(self.dashboard.remembered, self._kept())


def _items(names: list[str]) -> "list[Item]":
    from simclr_tui.screens.pick import Item

    return [Item(one.id, one.heading, one.about) for one in map(column, names)]


def _put(remembered: "Remembered", values: dict[str, object]) -> None:
    for name, value in values.items():
        remembered.put(name, value)
