"""What the form says of its draft: the help of a setting, what is wrong or will be made, and what that takes. Pure."""

from collections.abc import Mapping, Sequence

from textual.content import Content

from simclr_tui.keys import key
from simclr_tui.launch.draft import Draft
from simclr_tui.launch.estimate import Known, estimate_words, sweep_words
from simclr_tui.launch.sweep import MOST_SETTINGS, WITH_COMMAS
from simclr_tui.price import Price
from simclr_tui.theme import MUTED
from trainer.options import describe
from trainer.presets import load_preset
from trainer.settings import Field

_SWEEP = {int: "1, 2 or 1..5 makes a run of each", float: "1e-3, 3e-4 makes a run of each"}


def _measures() -> str:
    return f"{key('b', 'run.benchmark')} in the list of runs measures"


def help_words(draft: Draft, one: Field | None, focused_id: str | None) -> Content:
    """The help of the setting that has the focus, and what is wrong with it or how it makes a sweep."""
    if one is None:
        if focused_id == "preset":
            return Content(f"Where the settings come from: {load_preset(draft.preset).source}.")
        if focused_id == "search":
            return Content(
                "Shows settings with these words in name, group or help; ↵ goes to the first, esc shows all."
            )
        return Content("")
    error = draft.errors.get(one.name, "")
    usual = f"the preset has {draft.usual(one) or 'none'}"
    several = _SWEEP.get(one.kind, "")
    if one.name in WITH_COMMAS:
        several = 'values with commas between them go in quotes: "A", "B"'
    last = (f"✗ {error}", "$error") if error else (" · ".join(filter(None, (usual, several))), MUTED)
    return Content.assemble((f"{one.option}  ", "bold"), describe(one), "\n", last)


def verdict_words(draft: Draft, errors: Mapping[str, str], names: Sequence[str]) -> Content:
    """What is wrong, or what F5 or F6 would make.

    Args:
        draft: what is edited.
        errors: by setting.
        names: of the runs of a sweep; empty where it is one run.
    """
    if errors:
        wrong = ", ".join(name.replace("_", "-") for name in errors)
        return Content.styled(f"✗ to be mended: {wrong}", "$error")
    if names:
        told = f"{names[0]} … {names[-1]}" if len(names) > MOST_SETTINGS else " and ".join(names)
        return Content.assemble((f"{len(names)} runs", "bold"), f" in line by {key('F6', 'form.queue')}: {told}")
    changed = len(draft.typed)
    return Content(f"{changed or 'no'} {'setting differs' if changed == 1 else 'settings differ'} from the preset")


def cost_words(draft: Draft, known: Known | None, now: float, price: Price | None = None) -> str:
    """What the run, or the sweep, will take.

    Args:
        draft: what is edited.
        known: what was measured; None as long as it was not read.
        now: UTC seconds.
        price: of a kilowatt-hour, if the person has told it.
    """
    if draft.config is None:
        return "what it takes is told once everything is right"
    if known is None:
        return "looking at what was measured"
    if draft.lists:
        preset = load_preset(draft.preset)
        found = [known.estimate(preset.config(**one.values)) for one in draft.planned()]
        return sweep_words(found, now, key=_measures(), price=price)
    return estimate_words(known.estimate(draft.config), now, key=_measures(), price=price)
