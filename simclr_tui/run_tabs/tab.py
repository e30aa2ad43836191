"""What every tab of the screen of a run is: a pane that takes the keys while it is shown and draws what it is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from simclr_tui.learning.look import Look
from simclr_tui.model import Curves, Learning, RunRow
from simclr_tui.run.opened import Opened

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLook:
    """A run with everything that was read of it for its screen."""

    row: RunRow
    curves: Curves
    learning: Learning
    opened: Opened
    runs: Path
    """The runs folder."""
    parent: RunRow | None = None
    """The run that it is a fork of, if that is still there."""
    findings: Look | None = None
    """What the sections of the learning screen are given."""


class RunTab(Vertical, can_focus=True):
    """Shown by the screen, which hands it the run again whenever anything of it is new."""

    class KeysChanged(Message):
        """Other keys are worth naming than before."""

    OWN_KEYS: ClassVar[list[BindingType]] = []
    """Its bindings, which the screen names in its footer."""

    look: RunLook | None = None
    """What it was given last."""

    @property
    def dashboard(self) -> "DashboardApp":
        """The app, which has the actions."""
        return cast("DashboardApp", self.app)

    @property
    def keys(self) -> list[Binding]:
        """The keys that are worth naming now."""
        return [one for one in self.OWN_KEYS if isinstance(one, Binding) and one.show]

    @property
    def owned(self) -> frozenset[str]:
        """The keys that it has, worth naming now or not: the screen's own do nothing there."""
        return frozenset(key for one in self.OWN_KEYS if isinstance(one, Binding) for key in one.key.split(","))

    def take(self, look: RunLook) -> None:
        """Keep what was read, and draw it."""
        self.look = look
        if self.is_mounted:
            self.show(look)

    def show(self, look: RunLook) -> None:
        """Draw a run."""
        raise NotImplementedError

    def move(self, delta: int) -> None:
        """Move the cursor, or scroll, by so many lines."""

    def home(self) -> Widget:
        """What takes the keys when the tab is shown."""
        return self

    def again(self) -> None:
        """Draw what is known once more, as after another size or another choice."""
        if self.look is not None and self.is_mounted:
            self.show(self.look)

    def on_mount(self) -> None:
        """Draw as soon as there is room."""
        self.call_after_refresh(self.again)

    def on_resize(self) -> None:
        """Lines are made for their width."""
        self.call_after_refresh(self.again)
