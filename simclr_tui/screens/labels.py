"""What a person writes on runs: name, tags and note of one, or tags of several."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static, TextArea

from simclr_tui.labels.form import LabelForm
from simclr_tui.labels.tag_words import parse_tags
from simclr_tui.model import RunRow
from simclr_tui.theme import MUTED
from simclr_tui.verbs import named
from simclr_tui.widgets.key_line import KeyLine
from trainer.errors import UsageError

_TAGS_SHOWN = 12


class LabelScreen(ModalScreen[dict[str, Any] | None]):
    """Answers what `LabelActions.edit` needs, or None where nothing was changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "save", "save", id="labels.save", tooltip="Keep what was written"),
        Binding("f5", "save", "save from the note", id="labels.save-note", tooltip="Keep it, from the note too"),
        Binding("tab", "app.focus_next", "next field", id="labels.next", tooltip="Name, tags, note"),
        Binding("escape", "leave", "leave", id="labels.leave", tooltip="Keep nothing of it"),
    ]

    AUTO_FOCUS = "#tags"

    def __init__(self, row: RunRow) -> None:
        """Args: the run."""
        super().__init__()
        self.form = LabelForm(row)

    def compose(self) -> ComposeResult:
        """A field each, with what is wrong below it, and the keys."""
        with Vertical(id="dialog"):
            yield from _field("name", self.form.name, "at least one character")
            yield from _field("tags", self.form.tags, "words, such as baseline lr-sweep")
            with Horizontal(id="note-row"):
                yield Label("note", classes="name")
                yield TextArea(self.form.note, id="note", compact=True, placeholder="what is to be known of it")
            yield Label(id="note-error", classes="wrong", markup=False)
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Name the window."""
        self.query_one("#dialog").border_title = Content.assemble(
            ("Labels of ", "bold"), (self.form.row.run.name, "bold $primary")
        )
        self.query_one(KeyLine).keys = [b for b in self.BINDINGS if isinstance(b, Binding) and b.show]
        self._show()

    def _show(self) -> None:
        errors = self.form.errors
        for name in ("name", "tags", "note"):
            label = self.query_one(f"#{name}-error", Label)
            hint = self.form.room if name == "note" else ""
            label.update(Content.styled(f"✗ {errors[name]}", "$error") if name in errors else hint)
            label.display = name in errors or bool(hint)

    @on(Input.Changed)
    def take_text(self, event: Input.Changed) -> None:
        """Keep what was typed and judge it."""
        setattr(self.form, event.input.id or "", event.value)
        self._show()

    @on(TextArea.Changed)
    def take_note(self, event: TextArea.Changed) -> None:
        """The same for the note."""
        self.form.note = event.text_area.text
        self._show()

    @on(Input.Submitted)
    def action_save(self) -> None:
        """Close with what was written, unless something is wrong with it."""
        if not self.form.errors:
            self.dismiss(self.form.changes)

    def action_leave(self) -> None:
        """Close without."""
        self.dismiss(None)


class TagScreen(ModalScreen[tuple[list[str], list[str]] | None]):
    """Answers the tags to add to several runs and those to take away, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "save", "tag them", id="tags.save", tooltip="Add and take away what is written"),
        Binding("escape", "leave", "leave", id="tags.leave", tooltip="Change no tag"),
    ]

    AUTO_FOCUS = "#tags"

    def __init__(self, rows: Sequence[RunRow]) -> None:
        """Args: the runs."""
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        """Which runs, which tags they have, the field and the keys."""
        with Vertical(id="dialog"):
            yield Static(named([row.run.name for row in self._rows]), id="names", markup=False)
            yield Static(self._tags(), id="there", markup=False)
            yield from _field("tags", "", "+added -taken-away")
            yield KeyLine(id="keys")

    def _tags(self) -> Content:
        counts: dict[str, int] = {}
        for row in self._rows:
            for tag in row.labels.tags:
                counts[tag] = counts.get(tag, 0) + 1
        if not counts:
            return Content.styled("none of them has a tag yet", MUTED)
        most = sorted(counts, key=lambda tag: (-counts[tag], tag))
        words = ", ".join(f"{tag} ({counts[tag]})" for tag in most[:_TAGS_SHOWN])
        return Content.styled(f"they have {words}" + (" and more" if len(most) > _TAGS_SHOWN else ""), MUTED)

    def on_mount(self) -> None:
        """Name the window."""
        count = "1 run" if len(self._rows) == 1 else f"{len(self._rows)} runs"
        self.query_one("#dialog").border_title = Content.styled(f"Tags of {count}", "bold")
        self.query_one(KeyLine).keys = [b for b in self.BINDINGS if isinstance(b, Binding) and b.show]
        self.query_one("#tags-error", Label).display = False

    @on(Input.Changed)
    def judge(self, event: Input.Changed) -> None:
        """Say what is wrong as it is typed."""
        label = self.query_one("#tags-error", Label)
        try:
            parse_tags(event.value.split())
        except UsageError as error:
            label.update(Content.styled(f"✗ {error}", "$error"))
            label.display = True
        else:
            label.display = False

    @on(Input.Submitted)
    def action_save(self) -> None:
        """Close with the tags, unless something is wrong with them."""
        try:
            add, remove = parse_tags(self.query_one(Input).value.split())
        except UsageError:
            return
        self.dismiss((add, remove) if add or remove else None)

    def action_leave(self) -> None:
        """Close without."""
        self.dismiss(None)


def _field(name: str, value: str, placeholder: str) -> ComposeResult:
    """A line with a field, and the place below for what is wrong with it."""
    with Horizontal(classes="row"):
        yield Label(name, classes="name")
        yield Input(value, id=name, compact=True, placeholder=placeholder, select_on_focus=False)
    yield Label(id=f"{name}-error", classes="wrong", markup=False)
