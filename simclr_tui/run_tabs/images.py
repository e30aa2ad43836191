"""Pictures of a run: the views that it learns from, and what evaluations drew, such as nearest neighbours."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from simclr_tui.format import count
from simclr_tui.run.pictures import (
    PictureError,
    make_pixmap,
    make_views,
    prepare,
    read_pixmap,
    views_file,
)
from simclr_tui.run_tabs.tab import RunLook, RunTab
from simclr_tui.screens.controls import ask_evaluation
from simclr_tui.terminal.graphics import BLOCKS, Graphics
from simclr_tui.terminal.pixmap import Pixmap
from simclr_tui.theme import MUTED
from simclr_tui.widgets.picture import Picture
from trainer.store.records import TRAINED_KINDS, Artifact

_SEEN_AS = {"neighbours.png": "nearest neighbours of h", "map.png": "the map of h"}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture that can be looked at: the views, or one that an evaluation drew."""

    title: str
    artifact: Artifact | None = None


class ImagesTab(RunTab):
    """One picture at a time; left and right choose it."""

    OWN_KEYS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "picture", show=False, id="images.previous", tooltip="The picture before"),
        Binding("right", "turn(1)", "picture", id="images.next", tooltip="The next picture"),
        Binding("m", "make", "make views", id="images.make", tooltip="Draw the views that the run learns from"),
        Binding("e", "evaluate", "evaluate", id="images.evaluate", tooltip="Evaluate it: the map draws neighbours"),
    ]
    BINDINGS = OWN_KEYS

    def __init__(self, *, id: str) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._shown: Sequence[_Shown] = ()
        self._at = 0
        self._known: dict[Path, Pixmap] = {}
        self._asked: set[str] = set()
        """What is being made or could not be, so that it is not asked for again by itself."""
        self._begun: float | None = None
        """Since when the views are being made."""
        self._problem = ""
        self._is_ready = False
        """Whether drawing takes no longer than a key may."""

    def compose(self) -> ComposeResult:
        """Which picture, the picture, what it shows."""
        yield Static(id="picture-title", markup=False)
        yield Picture(id="picture")
        yield Static(id="picture-words", markup=False)

    def on_mount(self) -> None:
        """Count the seconds of what is being made."""
        super().on_mount()
        self.dashboard.do(self._prepare)
        self.set_interval(1.0, self._tick)

    def _prepare(self) -> None:
        """Get ready to draw. Runs in a thread."""
        prepare()
        graphics = self.dashboard.terminal_graphics()
        if self.app.is_running:
            self.app.call_from_thread(self._be_ready, graphics)

    def _be_ready(self, graphics: Graphics) -> None:
        if graphics.way != BLOCKS and self.dashboard.gallery is None:
            self.dashboard.show_pictures(graphics)
        self._is_ready = True
        self.again()

    @property
    def keys(self) -> list[Binding]:
        """Without that of the next picture where there is one only."""
        return [one for one in super().keys if len(self._shown) > 1 or not one.action.startswith("turn(")]

    def _tick(self) -> None:
        if self._begun is not None:
            self.again()

    def show(self, look: RunLook) -> None:
        """Draw the chosen picture, or say how it is made."""
        made = [one for one in look.learning.artifacts if one.kind == "picture" and one.path.endswith(".png")]
        made.sort(key=lambda one: (Path(one.path).name != "neighbours.png", -one.step))
        self._shown = [_Shown("the views that it learns from"), *(_Shown(_title(one), one) for one in made)]
        self._at = min(self._at, len(self._shown) - 1)
        chosen = self._shown[self._at]
        line = [(f"{self._at + 1} of {len(self._shown)}  ", MUTED), (chosen.title, "bold")]
        self.query_one("#picture-title", Static).update(Content.assemble(*line))
        if chosen.artifact is None:
            self._show_views(look)
        else:
            self._show_artifact(look, chosen.artifact)

    def _show_views(self, look: RunLook) -> None:
        path = views_file(look.runs, look.row.run)
        picture = self._picture(path)
        if self._begun is not None:
            words = f"drawing the views in a process of its own, {time.monotonic() - self._begun:.0f} s"
        elif self._problem:
            words = f"✗ {self._problem}"
        elif not self._is_ready:
            words = "getting ready to draw"
        elif picture is None:
            words = "no picture of the views yet; m draws some, which takes a few seconds"
        else:
            words = f"each line an image with its views behind it: {_said(path)}"
        self._put(picture, words)

    def _show_artifact(self, look: RunLook, artifact: Artifact) -> None:
        from simclr_tui.run.pictures import artifact_file

        picture = self._picture(artifact_file(artifact))
        if picture is None and artifact.path not in self._asked:
            self._asked.add(artifact.path)
            self.dashboard.do(partial(self._work, partial(make_pixmap, look.runs, artifact)))
        words = f"{look.runs / artifact.path} · {count(artifact.step)} steps"
        self._put(picture, words if picture else self._problem or f"reading {artifact.path}")

    def _put(self, picture: Pixmap | None, words: str) -> None:
        self.query_one(Picture).put(picture)
        self.query_one("#picture-words", Static).update(Content.styled(words, MUTED))

    def _picture(self, path: Path) -> Pixmap | None:
        """The pixmap of a file, read once; None where there is none."""
        if not self._is_ready:
            return None
        if path not in self._known and path.exists():
            try:
                self._known[path] = read_pixmap(path)
            except PictureError as error:
                self._problem = str(error)
        return self._known.get(path)

    def action_turn(self, delta: int) -> None:
        """Another picture."""
        if len(self._shown) < 2:
            self.notify("this is the only picture; e evaluates the run, and its map draws nearest neighbours")
            return
        self._at = (self._at + delta) % len(self._shown)
        self._problem = ""
        self.again()

    def action_make(self) -> None:
        """Draw the views, also anew."""
        look = self.look
        if look is None or self._begun is not None:
            self.notify("the views are being drawn already")
        elif look.row.run.kind not in TRAINED_KINDS:
            self.notify(f"{look.row.run.name} is of kind {look.row.run.kind} and makes no views", severity="warning")
        else:
            self._at, self._begun, self._problem = 0, time.monotonic(), ""
            self.dashboard.do(partial(self._work, partial(make_views, look.runs, look.row.run)))
            self.again()

    def _work(self, make: "partial[Path]") -> None:
        """Make a picture and show it. Runs in a thread."""
        app, problem, path = self.app, "", None
        try:
            path = make(goes_on=lambda: app.is_running)
        except PictureError as error:
            problem = str(error)
        if app.is_running:
            app.call_from_thread(self._done, path, problem)

    def _done(self, path: Path | None, problem: str) -> None:
        self._begun, self._problem = None, problem
        if path is not None:
            self._known.pop(path, None)
        self.again()

    def action_evaluate(self) -> None:
        """Ask in which way, the map at first, since that draws neighbours."""
        if self.look is not None:
            ask_evaluation(self.dashboard, self.look.row, self.look.curves, way="map")


def _title(artifact: Artifact) -> str:
    name = Path(artifact.path).name
    return f"{_SEEN_AS.get(name, name.removesuffix('.png'))}, step {count(artifact.step)}"


def _said(path: Path) -> str:
    """The recipe in words, as it was told when the views were drawn."""
    try:
        return path.with_suffix(".txt").read_text(encoding="utf-8")
    except OSError:
        return "the recipe's own draws"
