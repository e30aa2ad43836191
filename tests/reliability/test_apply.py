"""What a benchmark finds is applied to a run that goes on: only settings that can't change it, and bit for bit.

Every setting that decides how images come to the device is changed while the run is under way. The negative control is
a setting that changes what is computed, which a resume refuses.
"""

from pathlib import Path

import pytest

from tests.reliability.same import differing
from tests.reliability.trainers import Trainer, options, run_to_end, steps, until
from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.paths import checkpoint_dir
from trainer.settings import fields_of
from trainer.store import RunStore

LIVES = (
    ["--num-workers", "2", "--no-pin-memory", "--no-persistent-workers", "--prefetch-factor", "5", "--cache", "none"],
    ["--num-workers", "1", "--pin-memory", "--persistent-workers", "--prefetch-factor", "1", "--cache", "ram"],
    ["--num-workers", "0", "--cache", "vram"],
)
"""What each further life of the run is given; together every setting of how images are loaded."""

LOADING = {"cache", "num_workers", "pin_memory", "persistent_workers", "prefetch_factor"}


def test_all_settings_of_loading_that_are_free_are_changed_below() -> None:
    """One that is added must be added here, too."""
    free = {field.name for field in fields_of(PretrainConfig) if not field.setting.results}
    groups = {field.name for field in fields_of(PretrainConfig) if field.setting.group in ("Loader", "Data")}
    assert free & groups - {"data_dir"} == LOADING
    changed = {word.removeprefix("--").removeprefix("no-") for life in LIVES for word in life if word.startswith("--")}
    assert changed == {name.replace("_", "-") for name in LOADING}


@pytest.mark.reliability
@pytest.mark.parametrize("augment", ["kornia", "fused"])
def test_a_run_that_is_paused_and_given_each_way_of_loading_stays_the_run_that_it_was(
    tmp_path: Path, augment: str
) -> None:
    runs = tmp_path / "runs"
    calm = run_to_end(runs, *options(name="calm", augment=augment, epochs="5"))
    store = RunStore.open(runs)
    other = store.create_run(kind="pretrain", name="changed", config=store.run(calm).config)
    folder = checkpoint_dir(runs, other)
    reached = 0
    for life in ([], *LIVES[:-1]):
        trainer = Trainer(runs, "--run", other, *life)
        until(lambda: max(checkpoint.steps_on_disk(folder), default=0) > reached + 2)  # noqa: B023 - waited for here
        store.request(other, "pause")
        assert trainer.wait() == 75, trainer.said()
        assert checkpoint.steps_on_disk(folder)[0] == store.last_step(other) > reached
        reached = store.last_step(other)
    assert reached < 40
    last = Trainer(runs, "--run", other, *LIVES[-1])
    assert last.wait() == 0, last.said()
    assert len(steps(runs, other)) == 40
    assert differing((runs, calm), (runs, other)) == []
    config = PretrainConfig.from_json(store.run(other).config)
    assert (config.cache, config.num_workers, config.prefetch_factor) == ("vram", 0, 1)
    assert store.run(other).exactness == store.run(calm).exactness
    store.close()


@pytest.mark.reliability
@pytest.mark.parametrize(
    "change", [["--no-drop-last"], ["--batch-size", "20"], ["--augment", "torchvision"], ["--precision", "bfloat16"]]
)
def test_a_setting_that_would_change_it_is_refused(tmp_path: Path, change: list[str]) -> None:
    runs = tmp_path / "runs"
    trainer = Trainer(runs, *options(name="a", epochs="500"))
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and store.last_step(store.runs()[0].id) >= 1)
    run_id = store.runs()[0].id
    store.request(run_id, "pause")
    assert trainer.wait() == 75
    before = store.run(run_id).config
    refused = Trainer(runs, "--run", run_id, *change)
    assert refused.wait() == 2
    assert f"{change[0].replace('--no-', '--')}: a was made with " in refused.said()
    assert store.run(run_id).config == before
    store.close()
