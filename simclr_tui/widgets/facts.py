"""What a run is: the settings that differ from its recipe, where it runs and how exact it is."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.format import count
from simclr_tui.model import RunRow
from simclr_tui.theme import MUTED
from simclr_tui.words import Part, settings_words


class RunFacts(Widget):
    """Shown where the run has the whole screen."""

    row: reactive[RunRow | None] = reactive(None)
    """The cursor's run."""
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
        from simclr_tui.changed_settings import changed_settings, recipe_name
        from trainer.options import show

        run = self.row.run
        parts: list[Part] = [settings_words(self.row), "\n"]
        if run.parent_run_id is not None:
            known = self.forked_from
            name = known.run.name if known is not None else "a run that is not here any more"
            where = f" ({run.parent_run_id}) at step {count(run.parent_step)}\n"
            parts += [("forked from ", MUTED), (name, "bold"), where]
        changed = changed_settings(run)
        parts += [(f"differs from {recipe_name(run)}: {'' if changed else 'nothing'}\n", MUTED)]
        for one in changed:
            parts += [(one.name.replace("_", "-"), "bold"), f" {show(one.value)} "]
            parts.append((f"({show(one.usual)})   ", MUTED))
        machine = f"{run.device or 'no device yet'} · {run.host or 'no host yet'}"
        parts += ["\n" if changed else "", (f"{machine} · exactness {run.exactness or 'not known yet'}", MUTED)]
        return Content.assemble(*parts)
