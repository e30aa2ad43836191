"""The form of a new run, made from the config's own fields."""

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button, Collapsible, Input, Label, Select, Static

from simclr_tui.keys import key
from simclr_tui.launch.draft import Draft, common_fields, folded_fields
from simclr_tui.launch.sweep import tag_of
from simclr_tui.messages import ActionFailed
from simclr_tui.screens.form_drafts import FormDrafts
from simclr_tui.screens.form_search import FormSearch
from simclr_tui.screens.form_words import cost_words, help_words, verdict_words
from simclr_tui.terminal.key_order import GROWS
from simclr_tui.widgets.field_row import Choice, FieldRow
from simclr_tui.widgets.folded import Folded
from simclr_tui.widgets.key_line import KeyLine, window_keys
from simclr_tui.widgets.piecemeal import mount_piecemeal
from trainer.config import PretrainConfig
from trainer.presets import load_preset, preset_names
from trainer.settings import Field, fields_of

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp

_SAVE_SECONDS = 1.0
"""After the last letter; what was typed outlives also a dashboard that is killed."""
_WORD_SECONDS = 2.0
"""Letters that follow each other within that are one word."""


class NewRunScreen(FormSearch, FormDrafts, Screen[None]):
    """Edits the app's draft, so that nothing that was typed is lost when the form is closed or a launch fails."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (100, "-normal")]  # type: ignore[misc]  # Screen annotates it plainly
    IS_FORM: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+enter", "launch", "launch", id="form.launch", tooltip="Launch the run"),
        Binding("f6", "queue", "queue", id="form.queue", tooltip="Put the run, or a sweep's runs, in line"),
        Binding("escape", "close", "close", id="form.close", tooltip="Back to the runs; what was typed stays"),
        *FormSearch.KEYS,
        *FormDrafts.KEYS,
        Binding("down", "app.focus_next", "next", show=False, id="form.next", tooltip="The next setting"),
        Binding("up", "app.focus_previous", "previous", show=False, id="form.previous", tooltip="The setting before"),
    ]

    def __init__(self) -> None:
        """The form of the app's draft."""
        super().__init__()
        self._saving: Timer | None = None
        self._typed_at = float("-inf")
        """When a letter was typed where none means anything."""
        self.is_whole = asyncio.Event()

    @property
    def dashboard(self) -> "DashboardApp":
        """The app, which has the draft and the actions."""
        return cast("DashboardApp", self.app)

    @property
    def draft(self) -> Draft:
        """What is edited."""
        return self.dashboard.draft

    def compose(self) -> ComposeResult:
        """Preset and name, the settings that people change, the rest folded; help, cost and keys below."""
        yield Input(placeholder="words of a setting's name, group or help", id="search", compact=True)
        with VerticalScroll(id="form", can_focus=False):
            with Horizontal(classes="row -always"):
                yield Label("preset", classes="name")
                yield Choice(
                    [(name, name) for name in preset_names()],
                    value=self.draft.preset,
                    allow_blank=False,
                    compact=True,
                    id="preset",
                )
                yield Label("", classes="hint", id="preset-title", markup=False)
            with Horizontal(classes="row -always", id="row-name"):
                yield Label("name", classes="name")
                yield Input(self.draft.name, compact=True, id="name", placeholder="from the preset")
                yield Label("what to call the run", classes="hint", id="name-hint", markup=False)
            yield Label("", id="nothing", markup=False)
        yield Static(id="help-text")
        yield Static(id="cost", markup=False)
        with Horizontal(id="buttons"):
            yield Static(id="verdict")
            yield Button(f"queue ({key('F6', 'form.queue')})", id="queue", compact=True)
            yield Button(f"launch ({key('F5', 'form.launch')})", id="launch", variant="primary", compact=True)
        yield KeyLine(id="keys")

    def _row(self, field: Field) -> FieldRow:
        return FieldRow(field, self.draft.text(field), can_vary=True)

    def on_mount(self) -> None:
        """Show the draft as it was left, and have read what estimates rest on."""
        self.query_one("#form").border_title = "new run"
        self.query_one("#nothing").display = False
        # In a field the app's usual key for the help is a letter, so its other one is named.
        helps = [replace(b, key="f1") for b in self.app.BINDINGS if isinstance(b, Binding) and b.action == "help"]
        launch, close, *rest = window_keys(self.BINDINGS)
        self.query_one(KeyLine).keys = [launch, close, *helps, *rest]
        self.query_one("#preset").focus()
        self.dashboard.feed.ask_known()
        self._show_state()
        self.run_worker(self._grow(), group=GROWS, exit_on_error=False)

    async def _grow(self) -> None:
        """Make the rows a few at a time, so that nothing waits long for its turn meanwhile."""
        form = self.query_one("#form")
        await mount_piecemeal(form, [self._row(field) for field in common_fields()])
        groups = folded_fields().items()
        folded = (Folded(title=f"{group} ({len(f)} more)", id=f"group-{group.lower()}") for group, f in groups)
        await mount_piecemeal(form, list(folded))
        self._show_state()
        self.is_whole.set()

    @on(Collapsible.Expanded)
    async def fill_group(self, event: Collapsible.Expanded) -> None:
        """Make the rows of a group when it is first unfolded."""
        await self.fill(event.collapsible)

    async def fill(self, collapsible: Collapsible) -> None:
        """Make the rows of a group if there are none yet."""
        if collapsible.query(FieldRow):
            return
        fields = next(f for group, f in folded_fields().items() if f"group-{group.lower()}" == collapsible.id)
        rows = [self._row(field) for field in fields]
        for row in rows:
            row.display = row.field.name in self.wanted
        await mount_piecemeal(collapsible.query_one(Collapsible.Contents), rows)
        self._show_state()

    @on(Select.Changed, "#preset")
    def take_preset(self, event: Select.Changed) -> None:
        """Show another recipe; what was typed stays."""
        if event.value == self.draft.preset:
            return
        self.draft.preset = str(event.value)
        self.show_draft()
        self._save_later()

    @on(Input.Changed, "#name")
    def take_name(self, event: Input.Changed) -> None:
        """Keep the name."""
        if event.value != self.draft.name:
            self.draft.name = event.value
            self._show_state()
            self._save_later()

    @on(Input.Changed, "#search")
    def take_search(self, event: Input.Changed) -> None:
        """Show what matches."""
        self.look_for(event.value)

    @on(Input.Submitted)
    def go_on(self, event: Input.Submitted) -> None:
        """Enter goes to the next setting; in the search, to the first that matches."""
        if event.input.id == "search":
            self.find_first()
        else:
            self.focus_next()

    @on(FieldRow.Typed)
    def take_text(self, event: FieldRow.Typed) -> None:
        """Keep what was typed and judge it."""
        self.draft.type(event.field, event.text)
        self._show_state()
        self._show_help()
        self._save_later()

    @on(FieldRow.Several)
    def choose_several(self, event: FieldRow.Several) -> None:
        """Ask which words a setting takes in turn."""
        from simclr_tui.screens.pick import Item, PickScreen

        row = self.query_one(f"#row-{event.field.name}", FieldRow)
        chosen = [word.strip() for word in self.draft.text(event.field).split(",")]

        def take(words: list[str] | None) -> None:
            if words:
                row.show_text(", ".join(words))
                self.take_text(FieldRow.Typed(event.field, ", ".join(words)))

        items = [Item(word, word or "none") for word in row.words]
        title = f"which of {event.field.name.replace('_', '-')}, each a run"
        self.app.push_screen(PickScreen(title, items, chosen, many=True), take)

    def _save_later(self) -> None:
        """Remember the draft once nobody types."""
        if self._saving is not None:
            self._saving.stop()
        self._saving = self.set_timer(_SAVE_SECONDS, self.save_drafts)

    def on_descendant_focus(self) -> None:
        """Explain what has the focus."""
        self._show_help()

    def on_key(self, event: events.Key) -> None:
        """Answer a letter that means nothing where the focus is."""
        if event.is_printable and not isinstance(self.focused, Input) and event.key not in self.active_bindings:
            begun, self._typed_at = self._typed_at, time.monotonic()
            if self._typed_at - begun < _WORD_SECONDS:
                return  # a word is typed; its first letter was answered
            launch, help_ = key("F5", "form.launch"), key("F1", "app.help")
            words = f"{event.character} does nothing here; ↑ ↓ choose a setting, {launch} launches"
            self.notify(f"{words}, {help_} shows every key")

    def _show_help(self) -> None:
        """The help of the setting that has the focus, and what is wrong with it."""
        if self.focused is None:
            return
        row = next((a for a in self.focused.ancestors_with_self if isinstance(a, FieldRow)), None)
        self.query_one("#help-text", Static).update(
            help_words(self.draft, row.field if row is not None else None, self.focused.id)
        )

    def show_draft(self) -> None:
        """Show the draft as it is: another one, or under another preset."""
        draft = self.draft
        with self.prevent(Select.Changed, Input.Changed):
            self.query_one("#preset", Choice).value = draft.preset
            self.query_one("#name", Input).value = draft.name
            for row in self.query(FieldRow):
                row.show_text(draft.text(row.field))
        self._show_state()
        self._show_help()

    def _show_state(self, blame: dict[str, str] | None = None) -> None:
        """Put every error beside its field, and say what stands between the draft and a run."""
        draft = self.draft
        errors = blame or draft.errors
        notes = {one.field.name: f"{len(one.values)} values, a run each" for one in draft.lists}
        for row in self.query(FieldRow):
            name = row.field.name
            row.show_state(error=errors.get(name, ""), is_changed=draft.is_changed(row.field), note=notes.get(name, ""))
        name_error = errors.get("name", "")
        self.query_one("#row-name").set_class(bool(name_error), "-error")
        self.query_one("#name-hint", Label).update(f"✗ {name_error}" if name_error else "what to call the run")
        self.query_one("#preset-title", Label).update(load_preset(draft.preset).title)
        self.query_one("#verdict", Static).update(verdict_words(draft, errors, self._planned_names()))
        self.show_estimate()

    def _taken(self) -> set[str]:
        """Names and tags of the runs that there are."""
        main = self.dashboard.main_screen
        rows = main.board.rows if main else []
        return {row.run.name for row in rows} | {tag for row in rows for tag in row.labels.tags}

    def _planned_names(self) -> list[str]:
        return [one.name for one in self.draft.planned(self._taken())]

    def show_estimate(self) -> None:
        """Say what it will take, as far as that was measured."""
        words = cost_words(self.draft, self.dashboard.known, time.time(), self.dashboard.settings.price)
        self.query_one("#cost", Static).update(Content(words))

    async def action_launch(self) -> None:
        """Make and start the run, or go to what is wrong."""
        if not self.draft.errors and self.draft.lists:
            count = len(self.draft.planned())
            queue, launch = key("F6", "form.queue"), key("F5", "form.launch")
            self.notify(f"these are {count} runs; {queue} puts them in line one after the other, {launch} starts one")
        else:
            await self._make(in_line=False)

    async def action_queue(self) -> None:
        """Make the run, or the runs of a sweep, and put them behind those that wait; or go to what is wrong."""
        if not self.draft.errors and self.draft.lists:
            self._ask_sweep()
        else:
            await self._make(in_line=True)

    async def _make(self, *, in_line: bool) -> None:
        errors = self.draft.errors
        if errors:
            await self._go_to(next(iter(errors)))
            return
        draft = self.draft
        launch = partial(self.dashboard.actions.launch, draft.preset, draft.name, draft.values, in_line=in_line)
        self.dashboard.do(launch)

    def _ask_sweep(self) -> None:
        """Show the runs before there are any."""
        from simclr_tui.screens.sweep import SweepScreen

        draft, taken = self.draft, self._taken()
        planned, tag = draft.planned(taken), tag_of(draft.base(taken))
        words = cost_words(draft, self.dashboard.known, time.time(), self.dashboard.settings.price)

        def start(is_sure: bool | None) -> None:
            if is_sure:
                self.dashboard.do(partial(self.dashboard.actions.sweep, draft.preset, planned, tag))

        self.app.push_screen(SweepScreen([one.name for one in planned], tag, words), start)

    async def take_failure(self, failure: ActionFailed) -> None:
        """Show beside its field what only the launch could find."""
        if failure.setting is not None:
            self._show_state({failure.setting: failure.sentence})
            await self._go_to(failure.setting)

    async def _go_to(self, name: str) -> None:
        """Put the focus on a setting, unfolding its group."""
        if self.is_searching:
            await self.end_search()
        if name == "name":
            self.query_one("#name").focus()
        field = next((one for one in fields_of(PretrainConfig) if one.name == name), None)
        if field is None:
            return
        await self.is_whole.wait()
        if not field.setting.common:
            group = self.query_one(f"#group-{field.setting.group.lower()}", Collapsible)
            group.collapsed = False
            await self.fill(group)
        self.query_one(f"#row-{name}", FieldRow).take_focus()

    async def action_close(self) -> None:
        """End the search, or go back; the draft stays."""
        if self.is_searching:
            await self.end_search()
            return
        self.save_drafts()
        self.dismiss()

    def finish(self) -> None:
        """The draft has become a run: close, and begin the next time with a fresh one."""
        self.dashboard.drafts.launched()
        self.save_drafts()
        self.dismiss()

    @on(Button.Pressed)
    async def press(self, event: Button.Pressed) -> None:
        """The same as the key."""
        await (self.action_launch if event.button.id == "launch" else self.action_queue)()
