"""The ways of the project's notes: 14 rows with the figures that they give, and the three that they lack.

The notes trained SimCLR on STL10 (100,000 images of 96 pixels) and took t_batch from the host's clock without waiting
for the device, so that it is mostly launching; their t_batch of epoch n is a sum that was not reset, about twice that
of epoch 1. Only t_epoch can be compared with a measurement.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NotesRow:
    """A row of the notes, in seconds: of epoch 1 and, where the notes give it, of epoch n."""

    section: str
    """Its heading in the notes; empty for what they lack."""
    name: str
    """With `{batch_size}` where the batch is what sets it apart."""
    settings: Mapping[str, Any]
    t_batch: float | None = None
    t_batch_next: float | None = None
    t_epoch: float | None = None
    t_epoch_next: float | None = None
    remark: str = ""
    """What the notes say of it beside the figures."""


_ALL: Mapping[str, Any] = {
    "batch_size": 256,
    "drop_last": True,
    "prefetch_factor": 2,
    "precision": "float32",
    "channels_last": "no",
    "compile": "no",
    "deterministic": "no",
}
_CACHED = {**_ALL, "cache": "ram", "augment": "torchvision"}
_UNCACHED = {**_ALL, "cache": "none", "augment": "torchvision"}
_KORNIA = {**_ALL, "cache": "none", "augment": "kornia"}


def _loader(workers: int, *, persistent: bool, pinned: bool) -> dict[str, Any]:
    return {"num_workers": workers, "persistent_workers": persistent, "pin_memory": pinned}


_BOTH_3 = _loader(3, persistent=True, pinned=True)
_SHORT_LAST = {**_KORNIA, **_BOTH_3, "drop_last": False}

_CACHED_ROWS = (
    NotesRow(
        "Cached",
        "cached · 4 workers · persistent · pinned",
        {**_CACHED, **_loader(4, persistent=True, pinned=True)},
        *(0.0308, 0.0614, 216.1, 207.2),
    ),
    NotesRow(
        "Cached",
        "cached · no workers · pinned",
        {**_CACHED, **_loader(0, persistent=False, pinned=True)},
        *(0.0296, 0.0593, 244.0),
    ),
    NotesRow(
        "Cached",
        "cached · no workers",
        {**_CACHED, **_loader(0, persistent=False, pinned=False)},
        *(0.0256, 0.0513, 247.0),
    ),
    NotesRow(
        "Cached",
        "cached · 6 workers",
        {**_CACHED, **_loader(6, persistent=False, pinned=False)},
        *(0.0256, 0.0513, 206.6, 214.3),
    ),
    NotesRow(
        "Cached",
        "cached · 6 workers · persistent · pinned",
        {**_CACHED, **_loader(6, persistent=True, pinned=True)},
        *(0.0307, 0.0614, 219.1, 209.4),
    ),
)
_UNCACHED_ROWS = (
    NotesRow(
        "NO CACHE",
        "no cache · 6 workers · persistent · pinned",
        {**_UNCACHED, **_loader(6, persistent=True, pinned=True)},
        *(0.0309, 0.0619, 152.4, 146.2),
    ),
)
_KORNIA_HEADING = "with Kornia GPU batch augmentation"
_KORNIA_ROWS = (
    NotesRow(
        _KORNIA_HEADING,
        "kornia · 12 workers · persistent · pinned",
        {**_KORNIA, **_loader(12, persistent=True, pinned=True)},
        *(0.0259, 0.0517, 80.6, 80.65),
    ),
    NotesRow(
        _KORNIA_HEADING,
        "kornia · 6 workers · persistent · pinned",
        {**_KORNIA, **_loader(6, persistent=True, pinned=True)},
        *(0.0257, 0.0513, 61.26, 60.76),
    ),
    NotesRow(
        _KORNIA_HEADING,
        "kornia · 3 workers · persistent · pinned",
        {**_KORNIA, **_BOTH_3},
        *(0.0256, 0.0511, 60.88, 60.36),
    ),
    NotesRow(
        _KORNIA_HEADING,
        "kornia · 2 workers · persistent · pinned",
        {**_KORNIA, **_loader(2, persistent=True, pinned=True)},
        *(0.0257, 0.0513, 60.56, 60.48),
    ),
    NotesRow(
        _KORNIA_HEADING,
        "kornia · no workers · pinned",
        {**_KORNIA, **_loader(0, persistent=False, pinned=True)},
        *(0.0258, 0.0516, 81.28, 81.25),
        "observed less gpu util",
    ),
    NotesRow(
        _KORNIA_HEADING,
        "kornia · no workers",
        {**_KORNIA, **_loader(0, persistent=False, pinned=False)},
        *(0.0256, 0.0513, 80.05, 80.76),
        "observed, pin_memory=False is slightly faster for num_workers=0",
    ),
)
_BATCH_ROWS = (
    NotesRow(
        "adding batchsize",
        "kornia · 3 workers · batch {batch_size} · short last batch",
        {**_SHORT_LAST, "batch_size": 512},
        *(0.0559, 0.1122, 65.01, 64.52),
        "t_batch does increase 2x, but t_epoch not faster (despite less num of steps)",
    ),
    NotesRow(
        "adding batchsize",
        "kornia · 3 workers · batch {batch_size} · short last batch",
        {**_SHORT_LAST, "batch_size": 768},
        *(0.0973, 0.1956, 72.34, 71.54),
    ),
)

ROWS = (*_CACHED_ROWS, *_UNCACHED_ROWS, *_KORNIA_ROWS, *_BATCH_ROWS)
"""The rows in the order of the notes."""
KEPT = 9
"""The row, counted from 1, that the notes decide for: Kornia with 3 workers."""

_OURS = {
    "cache": "vram",
    "augment": "fused",
    "precision": "auto",
    "channels_last": "auto",
    "compile": "auto",
    "deterministic": "auto",
}
ADDED = (
    NotesRow(
        "",
        "control: kornia · 3 workers · batch {batch_size} · short last batch",
        _SHORT_LAST,
        remark="what the two larger batches are to be compared with",
    ),
    NotesRow(
        "",
        "kornia · vram",
        {**_KORNIA, **_BOTH_3, "cache": "vram"},
        remark="can make it faster if cache to VRAM",
    ),
    NotesRow("", "ours", {**_ALL, **_BOTH_3, **_OURS}, remark="the defaults of this program's fast path"),
)
"""What the notes lack: the control of the larger batches, what they ask for and never took, and ours."""
