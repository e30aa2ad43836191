"""What a run is: the settings that differ from its recipe, where it runs and how exact it is."""

import time

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.format import count
from simclr_tui.model import Curves, RunRow
from simclr_tui.theme import MUTED
from simclr_tui.words import Part, checkpoint_words, failure, is_inexact, settings_words
from trainer.people import is_anothers, people_words


class RunFacts(Widget):
    """Shown where the run has the whole screen."""

    row: reactive[RunRow | None] = reactive(None)
    """The cursor's run."""
    curves: reactive[Curves | None] = reactive(None)
    """What was read of it."""
    forked_from: reactive[RunRow | None] = reactive(None)
    """The run that it is a fork of."""

    def on_mount(self) -> None:
        """Name the pane."""
        self.border_title = Content.assemble(("settings", "bold"))

    def render(self) -> Content:
        """As many lines as there are facts."""
        if self.row is None:
            return Content("")
        # Only here, since reading the recipes would hold up the first frame.
        from simclr_tui.run.changed_settings import changed_settings, recipe_name
        from trainer.options import show

        run = self.row.run
        parts = self._troubles(self.row)
        if run.parent_run_id is not None:
            known = self.forked_from
            name = known.run.name if known is not None else "a run that is not here any more"
            where = f" ({run.parent_run_id}) at step {count(run.parent_step)}\n"
            parts += [("forked from ", MUTED), (name, "bold"), where]
        # One's own name tells nothing.
        people = people_words(run) if is_anothers(run) or run.runner_uid not in (None, run.owner_uid) else ""
        machine = " · ".join(filter(None, [run.device or "no device yet", run.host or "no host yet", people]))
        exactness = "not promised" if is_inexact(run) else run.exactness or "not known yet"
        parts.append((f"{machine} · exactness {exactness}\n", MUTED))
        changed = changed_settings(run)
        parts += [(f"differs from {recipe_name(run)}: {'' if changed else 'nothing'}", MUTED)]
        for one in changed:
            parts += [(one.name.replace("_", "-"), "bold"), f" {show(one.value)} "]
            parts.append((f"({show(one.usual)})   ", MUTED))
        parts += ["\n", (settings_words(self.row), MUTED)]
        return Content.assemble(*parts)

    def _troubles(self, row: RunRow) -> list[Part]:
        """Why it failed, what can't be saved, from where on bits are not promised, and the last check of them."""
        curves = self.curves or Curves(run_id=row.run.id)
        problems = [failure(curves) if row.state == "failed" else "", checkpoint_words(curves, time.time())]
        parts: list[Part] = [(f"{words}\n", "$error") for words in problems if words]
        if is_inexact(row.run):
            parts.append((f"exactness {row.run.exactness}\n", "$warning"))
        last = next((event for event in reversed(curves.events) if event.kind == "replay"), None)
        if last is not None:
            parts.append((f"{last.message}\n", "$warning" if last.level == "warning" else "$success"))
        return parts
