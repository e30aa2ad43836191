"""Tests of the notes' rows against the notes' own words."""

import re

from trainer.config import PretrainConfig
from trainer.lab.notes import ADDED, KEPT, ROWS

TEXT = """
### Cached
num_workers: 4, persistent_workers: True, pin_memory: True <br>
`t_batch: 0.0308 n 0.0614, t_epoch: 216.1 n 207.2`

num_workers: 0, persistent_workers: False, pin_memory: True <br>
`t_batch: 0.0296 n 0.0593, t_epoch: 244.0`

num_workers: 0, persistent_workers: False, pin_memory: False <br>
`t_batch: 0.0256 n 0.0513, t_epoch: 247.0`

num_workers: 6, persistent_workers: False, pin_memory: False <br>
`t_batch: 0.0256 n 0.0513, t_epoch: 206.6 n 214.3`

num_workers: 6, persistent_workers: True, pin_memory: True <br>
`t_batch: 0.0307 n 0.0614, t_epoch: 219.1 n 209.4`

- if num_workers>0, use `persistent_workers: True, pin_memory: True`. else, set them to False

### NO CACHE
num_workers: 6, persistent_workers: True, pin_memory: True <br>
`t_batch: 0.0309 n 0.0619, t_epoch: 152.4 n 146.2`

- cache is bad when doing lot's of augmentation. don't use cache

### with Kornia GPU batch augmentation
num_workers: 12, persistent_workers: True, pin_memory: True <br>
`t_batch: 0.0259 n 0.0517, t_epoch: 80.6 n 80.65`

num_workers: 6, persistent_workers: True, pin_memory: True <br>
`t_batch: 0.0257 n 0.0513, t_epoch: 61.26 n 60.76`

num_workers: 3, persistent_workers: True, pin_memory: True <br>
`t_batch: 0.0256 n 0.0511, t_epoch: 60.88 n 60.36`

num_workers: 2, persistent_workers: True, pin_memory: True <br>
`t_batch: 0.0257 n 0.0513, t_epoch: 60.56 n 60.48`

num_workers: 0, persistent_workers: False, pin_memory: True. observed less gpu util <br>
`t_batch: 0.0258 n 0.0516, t_epoch: 81.28 n 81.25`

num_workers: 0, persistent_workers: False, pin_memory: False. observed, pin_memory=False is slightly faster for num_workers=0. <br>
`t_batch: 0.0256 n 0.0513, t_epoch: 80.05 n 80.76`

- num_workers=2,3,6 doesn't make a difference, but 12 is too much. let's stick to 3.

### adding batchsize
changed `drop_last=False` here. <br>
bs: 512. num_workers: 3. t_batch does increase 2x, but t_epoch not faster (despite less num of steps)<br>
`t_batch: 0.0559 n 0.1122, t_epoch: 65.01 n 64.52`

bs: 768. num_workers: 3.<br>
`t_batch: 0.0973 n 0.1956, t_epoch: 72.34 n 71.54`
"""  # noqa: E501 - as it was written
AUGMENTED_AND_CACHED = {
    "Cached": ("torchvision", "ram"),
    "NO CACHE": ("torchvision", "none"),
    "with Kornia GPU batch augmentation": ("kornia", "none"),
    "adding batchsize": ("kornia", "none"),
}


def rows_of_the_text() -> list[tuple[object, ...]]:
    """(section, workers, persistent, pinned, batch, t_batch, t_batch n, t_epoch, t_epoch n) as the text has them."""
    rows: list[tuple[object, ...]] = []
    section, line_before = "", ""
    for line in TEXT.splitlines():
        if line.startswith("### "):
            section = line.removeprefix("### ")
        figures = re.fullmatch(r"`t_batch: (\S+) n (\S+), t_epoch: (\S+?)(?: n (\S+))?`", line)
        if figures:
            workers = re.search(r"num_workers: (\d+)", line_before)
            batch = re.search(r"bs: (\d+)", line_before)
            assert workers
            switches = tuple(f"{name}: False" not in line_before for name in ("persistent_workers", "pin_memory"))
            times = (float(text) if text else None for text in figures.groups())
            rows.append((section, int(workers[1]), *switches, int(batch[1]) if batch else 256, *times))
        line_before = line
    return rows


def test_the_rows_are_those_of_the_notes_with_their_figures() -> None:
    assert len(ROWS) == 14
    found = [
        (
            row.section,
            *(row.settings[name] for name in ("num_workers", "persistent_workers", "pin_memory", "batch_size")),
            *(row.t_batch, row.t_batch_next, row.t_epoch, row.t_epoch_next),
        )
        for row in ROWS
    ]
    assert found == rows_of_the_text()


def test_the_rows_augment_and_cache_as_their_section_says() -> None:
    for row in ROWS:
        assert (row.settings["augment"], row.settings["cache"]) == AUGMENTED_AND_CACHED[row.section]
        assert row.settings["drop_last"] == (row.section != "adding batchsize")


def test_the_notes_decide_for_kornia_with_three_workers() -> None:
    kept = ROWS[KEPT - 1]
    assert (kept.settings["augment"], kept.settings["num_workers"], kept.t_epoch_next) == ("kornia", 3, 60.36)


def test_the_control_differs_from_the_larger_batches_in_the_batch_alone() -> None:
    control = ADDED[0].settings
    for row in ROWS[-2:]:
        assert {name for name in control if control[name] != row.settings[name]} == {"batch_size"}


def test_the_split_on_the_device_differs_from_the_kept_row_in_that_alone() -> None:
    kept, resident = ROWS[KEPT - 1].settings, ADDED[1].settings
    assert {name for name in kept if kept[name] != resident[name]} == {"cache"}


def test_every_row_is_a_config() -> None:
    for row in (*ROWS, *ADDED):
        config = PretrainConfig.from_values(dict(row.settings))
        assert (config.cache == "vram") == (row in ADDED[1:])


def test_names_tell_the_rows_apart() -> None:
    names = [row.name.format(**row.settings) for row in (*ROWS, *ADDED)]
    assert len(set(names)) == len(names) == 17
