"""Which settings are measured against each other, and how often."""

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from simclr_tui.lab.form import BenchForm, shown_fields
from simclr_tui.terminal.key_order import GROWS
from simclr_tui.theme import MUTED
from simclr_tui.widgets.field_row import FieldRow
from simclr_tui.widgets.key_line import KeyLine, window_keys
from simclr_tui.widgets.piecemeal import mount_piecemeal


class BenchmarkForm(ModalScreen[tuple[str, dict[str, Any]] | None]):
    """Answers the name and the settings of a benchmark, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "launch", "start", id="benchmark-form.launch", tooltip="Start the benchmark"),
        Binding("f5,ctrl+enter", "launch", "start", show=False, id="benchmark-form.start", tooltip="The same"),
        Binding("down,tab", "app.focus_next", "next", id="benchmark-form.next", tooltip="The next setting"),
        Binding("up", "app.focus_previous", "before", show=False, id="benchmark-form.up", tooltip="The one before"),
        Binding("escape", "close", "close", id="benchmark-form.close", tooltip="Measure nothing"),
    ]

    AUTO_FOCUS = "#row-vary Input"

    def __init__(self, form: BenchForm) -> None:
        """Args: what the window holds."""
        super().__init__()
        self.form = form

    def compose(self) -> ComposeResult:
        """A row a setting, the name, what comes of it, the keys."""
        with Vertical(id="dialog"):
            with Vertical(id="rows"):
                yield FieldRow(shown_fields()[0], self.form.text(shown_fields()[0]))
            with Horizontal(classes="row"):
                yield Label("name", classes="name")
                yield Input(compact=True, id="name", placeholder="made from the settings", select_on_focus=False)
            yield Static(id="help", markup=False)
            yield Static(id="told", markup=False)
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Name the window."""
        run = self.form.run
        name = (run.name, "bold $primary") if run else ("the defaults", "bold $primary")
        self.query_one("#dialog").border_title = Content.assemble(("Benchmark the settings of ", "bold"), name)
        self.query_one("#row-vary Input", Input).placeholder = "cache=ram,vram num_workers=0,2; empty: the usual"
        self.query_one(KeyLine).keys = window_keys(self.BINDINGS)
        self._show()
        self.run_worker(self._grow(), group=GROWS, exit_on_error=False)

    async def _grow(self) -> None:
        """Make the other rows a few at a time, so that nothing waits long for its turn meanwhile."""
        rows = [FieldRow(field, self.form.text(field)) for field in shown_fields()[1:]]
        await mount_piecemeal(self.query_one("#rows"), rows)
        self._show()

    def _show(self) -> None:
        setting, reason = self.form.error
        for row in self.query(FieldRow):
            is_wrong = row.field.name == setting
            row.show_state(error=reason if is_wrong else "", is_changed=row.field.name in self.form.typed)
        told = self.query_one("#told", Static)
        wrong = f"✗ {setting.replace('_', '-')}: {reason}"
        told.update(Content.styled(wrong, "$error") if reason else Content.styled(self.form.told, MUTED))

    def on_descendant_focus(self) -> None:
        """Say what the setting means that has the focus."""
        rows = [row for row in self.query(FieldRow) if row.has_focus_within]
        self.query_one("#help", Static).update(rows[0].field.help if rows else "")

    @on(FieldRow.Typed)
    def take_typed(self, event: FieldRow.Typed) -> None:
        """Keep what was typed and judge it."""
        self.form.typed[event.field.name] = event.text
        self._show()

    @on(Input.Changed, "#name")
    def take_name(self, event: Input.Changed) -> None:
        """Keep the name."""
        self.form.name = event.value

    @on(Input.Submitted)
    def action_launch(self) -> None:
        """Close with what was chosen, unless something is wrong with it."""
        if not any(self.form.error):
            self.dismiss((self.form.name, self.form.values))

    def action_close(self) -> None:
        """Close without."""
        self.dismiss(None)
