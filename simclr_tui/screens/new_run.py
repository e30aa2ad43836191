"""The form of a new run, made from the config's own fields."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Collapsible, Input, Label, Select, Static

from simclr_tui.draft import Draft, common_fields, folded_fields
from simclr_tui.messages import ActionFailed
from simclr_tui.theme import MUTED
from simclr_tui.widgets.field_row import Choice, FieldRow
from simclr_tui.widgets.key_line import KeyLine
from trainer.config import PretrainConfig
from trainer.options import describe
from trainer.presets import load_preset, preset_names
from trainer.settings import fields_of

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp


class NewRunScreen(Screen[None]):
    """Edits the app's draft, so that nothing that was typed is lost when the form is closed or a launch fails."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+enter", "launch", "launch", id="form.launch", tooltip="Launch the run"),
        Binding("f6", "queue", "queue", id="form.queue", tooltip="Put the run in line for its device"),
        Binding("escape", "close", "close", id="form.close", tooltip="Back to the runs; what was typed stays"),
        Binding("down", "app.focus_next", "next", show=False, id="form.next", tooltip="The next setting"),
        Binding("up", "app.focus_previous", "previous", show=False, id="form.previous", tooltip="The setting before"),
        Binding("ctrl+r", "reset", "reset", id="form.reset", tooltip="Take back everything that was typed"),
    ]

    @property
    def dashboard(self) -> "DashboardApp":
        """The app, which has the draft and the actions."""
        return cast("DashboardApp", self.app)

    @property
    def draft(self) -> Draft:
        """What is edited."""
        return self.dashboard.draft

    def compose(self) -> ComposeResult:
        """Preset and name, the settings that people change, the rest folded; help and keys below."""
        with VerticalScroll(id="form", can_focus=False):
            with Horizontal(classes="row"):
                yield Label("preset", classes="name")
                yield Choice(
                    [(name, name) for name in preset_names()],
                    value=self.draft.preset,
                    allow_blank=False,
                    compact=True,
                    id="preset",
                )
                yield Label("", classes="hint", id="preset-title", markup=False)
            with Horizontal(classes="row"):
                yield Label("name", classes="name")
                yield Input(self.draft.name, compact=True, id="name", placeholder="made from the preset")
                yield Label("what to call the run", classes="hint")
            for field in common_fields():
                yield FieldRow(field, self.draft.text(field))
            for group, fields in folded_fields().items():
                yield Collapsible(title=f"{group} ({len(fields)} more)", id=f"group-{group.lower()}")
        yield Static(id="help-text")
        with Horizontal(id="buttons"):
            yield Static(id="verdict")
            yield Button("queue (F6)", id="queue", compact=True)
            yield Button("launch (F5)", id="launch", variant="primary", compact=True)
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Show the draft as it was left."""
        self.query_one("#form").border_title = "new run"
        self.query_one(KeyLine).keys = [b for b in self.BINDINGS if isinstance(b, Binding) and b.show]
        self.query_one("#preset").focus()
        self._show_state()

    @on(Collapsible.Expanded)
    async def fill_group(self, event: Collapsible.Expanded) -> None:
        """Make the rows of a group when it is first unfolded."""
        await self._fill(event.collapsible)

    async def _fill(self, collapsible: Collapsible) -> None:
        if collapsible.query(FieldRow):
            return
        fields = next(f for group, f in folded_fields().items() if f"group-{group.lower()}" == collapsible.id)
        contents = collapsible.query_one(Collapsible.Contents)
        await contents.mount(*(FieldRow(field, self.draft.text(field)) for field in fields))
        self._show_state()

    @on(Select.Changed, "#preset")
    def take_preset(self, event: Select.Changed) -> None:
        """Show another recipe; what was typed stays."""
        if event.value == self.draft.preset:
            return
        self.draft.preset = str(event.value)
        for row in self.query(FieldRow):
            row.show_text(self.draft.text(row.field))
        self._show_state()

    @on(Input.Changed, "#name")
    def take_name(self, event: Input.Changed) -> None:
        """Keep the name."""
        self.draft.name = event.value

    @on(FieldRow.Typed)
    def take_text(self, event: FieldRow.Typed) -> None:
        """Keep what was typed and judge it."""
        self.draft.type(event.field, event.text)
        self._show_state()
        self._show_help()

    def on_descendant_focus(self) -> None:
        """Explain what has the focus."""
        self._show_help()

    def _show_help(self) -> None:
        """The help of the setting that has the focus, and what is wrong with it."""
        if self.focused is None:
            return
        row = next((a for a in self.focused.ancestors_with_self if isinstance(a, FieldRow)), None)
        help_text = self.query_one("#help-text", Static)
        if row is not None:
            usual = f"the preset has {self.draft.usual(row.field)}"
            error = self.draft.errors.get(row.field.name, "")
            last = (f"✗ {error}", "$error") if error else (usual, MUTED)
            help_text.update(Content.assemble((f"{row.field.option}  ", "bold"), describe(row.field), "\n", last))
        elif self.focused.id == "preset":
            help_text.update(Content(f"Where the settings come from: {load_preset(self.draft.preset).source}."))
        else:
            help_text.update("")

    def _show_state(self, blame: dict[str, str] | None = None) -> None:
        """Put every error beside its field, and say what stands between the draft and a run."""
        errors = blame or self.draft.errors
        for row in self.query(FieldRow):
            name = row.field.name
            row.show_state(error=errors.get(name, ""), is_changed=self.draft.is_changed(row.field))
        self.query_one("#preset-title", Label).update(load_preset(self.draft.preset).title)
        verdict = self.query_one("#verdict", Static)
        if errors:
            names = ", ".join(name.replace("_", "-") for name in errors)
            verdict.update(Content.assemble((f"✗ to be mended: {names}", "$error")))
        else:
            changed = len(self.draft.typed)
            verdict.update(
                f"{changed or 'no'} {'setting differs' if changed == 1 else 'settings differ'} from the preset"
            )

    async def action_launch(self) -> None:
        """Make and start the run, or go to what is wrong."""
        await self._make(in_line=False)

    async def action_queue(self) -> None:
        """Make the run and put it behind those that wait for its device, or go to what is wrong."""
        await self._make(in_line=True)

    async def _make(self, *, in_line: bool) -> None:
        errors = self.draft.errors
        if errors:
            await self._go_to(next(iter(errors)))
            return
        draft = self.draft
        launch = partial(self.dashboard.actions.launch, draft.preset, draft.name, draft.values, in_line=in_line)
        self.dashboard.do(launch)

    async def take_failure(self, failure: ActionFailed) -> None:
        """Show beside its field what only the launch could find."""
        if failure.setting is not None:
            self._show_state({failure.setting: failure.sentence})
            await self._go_to(failure.setting)

    async def _go_to(self, name: str) -> None:
        """Put the focus on a setting, unfolding its group."""
        field = next((one for one in fields_of(PretrainConfig) if one.name == name), None)
        if field is None:
            return
        if not field.setting.common:
            group = self.query_one(f"#group-{field.setting.group.lower()}", Collapsible)
            group.collapsed = False
            await self._fill(group)
        self.query_one(f"#row-{name}", FieldRow).take_focus()

    def action_close(self) -> None:
        """Go back; the draft stays."""
        self.dismiss()

    def action_reset(self) -> None:
        """Take back what was typed."""
        self.draft.typed.clear()
        for row in self.query(FieldRow):
            row.show_text(self.draft.text(row.field))
        self._show_state()

    @on(Button.Pressed, "#launch")
    async def press_launch(self) -> None:
        """The same as the key."""
        await self.action_launch()

    @on(Button.Pressed, "#queue")
    async def press_queue(self) -> None:
        """The same as the key."""
        await self.action_queue()
