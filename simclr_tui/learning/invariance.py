"""What each layer still tells about the augmentations, and how much of its features they move. Pure."""

from collections.abc import Mapping, Sequence

from textual.content import Content

from simclr_tui.findings import Key, Study
from simclr_tui.format import UNKNOWN, bar
from simclr_tui.learning.look import Look, table_row
from simclr_tui.model import setting
from simclr_tui.theme import MUTED
from simclr_tui.words import Part
from trainer.evaluation.names import AUGMENTATIONS, CLEAR_DIFFERENCE, TELLS, VARIES

TITLE = "invariance"

_NAME = max(map(len, AUGMENTATIONS.values())) + 2
_NUMBER = 5
_LONGEST_BAR = 8
_SETTINGS = {
    "flip": ("flip_probability",),
    "brightness": ("jitter_probability", "jitter_brightness"),
    "contrast": ("jitter_probability", "jitter_contrast"),
    "saturation": ("jitter_probability", "jitter_saturation"),
    "hue": ("jitter_probability", "jitter_hue"),
    "grayscale": ("grayscale_probability",),
    "blur": ("blur_probability",),
}
"""Settings that are all above 0 where a run is trained with an augmentation."""


def digest(look: Look) -> Content:
    """What the head forgot."""
    study = look.study("invariance")
    if study is None:
        return look.status("invariance", "not measured yet")
    return Content(sentence(look, study))


def body(look: Look, width: int) -> Content:
    """Both tables and the sentence."""
    study = look.study("invariance")
    if study is None:
        return Content.assemble(*look.missing("invariance", "invariance of the layers"))
    parts: list[Part] = [*look.going_on("invariance"), f"{sentence(look, study)}\n\n"]
    parts += look.heading(study, "what a layer tells (0 nothing, 1 all)")
    parts += _table(look, study, study.values(TELLS), width)
    parts += [("\npart of the variance within an image's views (0 invariant)\n", "bold")]
    parts += _table(look, study, study.values(VARIES), width)
    if any(not is_trained_with(look, name) for name in study.augmentations):
        parts.append(("* not in the run's augmentation", MUTED))
    return Content.assemble(*parts)


def sentence(look: Look, study: Study) -> str:
    """How many augmentations the head has clearly forgotten, of those that the run was trained with."""
    last = next((layer for layer in ("z", "logits") if layer in study.layers), None)
    told = study.values(TELLS)
    names = [name for name in study.augmentations if is_trained_with(look, name)]
    names = names or [name for name in study.augmentations if name != "rotation"]
    pairs = [(told.get((name, "h")), told.get((name, last or ""))) for name in names]
    known = [(h, z) for h, z in pairs if h is not None and z is not None]
    if last is None or not known:
        return f"{len(study.augmentations)} augmentations measured"
    fewer = sum(h - z > CLEAR_DIFFERENCE for h, z in known)
    return f"{last} tells clearly less than h about {fewer} of {len(known)} augmentations"


def is_trained_with(look: Look, name: str) -> bool:
    """Whether the run saw an augmentation at all: what `trainer.evaluation.invariance_draws` says, without torch."""
    if name == "crop":
        return float(setting(look.row, "crop_scale_min", 0.08)) < 1
    if name == "blur":
        narrowest, widest = setting(look.row, "blur_sigma_min", 0.1), setting(look.row, "blur_sigma_max", 2.0)
        if narrowest >= widest or setting(look.row, "blur_kernel", 0) == 1:
            return False
    return name in _SETTINGS and all(setting(look.row, one, 1.0) > 0 for one in _SETTINGS[name])


def _table(look: Look, study: Study, values: Mapping[Key, float | None], width: int) -> list[Part]:
    """Augmentations by layers, each figure with a bar as far as there is room for one."""
    layers = study.layers
    cells = (width - _NAME) // max(1, len(layers))
    length = max(0, min(_LONGEST_BAR, cells - _NUMBER - 1))
    widths = [_NAME] + [length + _NUMBER + 1] * len(layers)
    parts = table_row(["", *layers], widths, [MUTED] * len(widths))
    for name in study.augmentations:
        mark = "" if is_trained_with(look, name) else " *"
        figures = [_figure(values.get((name, layer)), length) for layer in layers]
        parts += table_row([AUGMENTATIONS[name] + mark, *figures], widths, _styles(layers))
    return parts


def _figure(value: float | None, length: int) -> str:
    if value is None:
        return UNKNOWN
    return f"{bar(value, length)}{value:>{_NUMBER}.2f}"


def _styles(layers: Sequence[str]) -> list[str]:
    """h and z are what is compared."""
    return ["", *("bold" if layer in ("h", "z") else "" for layer in layers)]
