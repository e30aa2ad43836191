"""A logger is told the recipe, and no folder of this machine."""

import dataclasses
from pathlib import Path

from trainer.config import PretrainConfig
from trainer.mirror.about import about
from trainer.start import new_pretrain_run
from trainer.store import RunStore
from trainer.store.labels import write_labels
from trainer.store.records import Labels


def test_settings_tags_and_note_go_out_and_places_stay(store: RunStore, tmp_path: Path) -> None:
    images = tmp_path / "someone" / "cats"
    images.mkdir(parents=True)
    config = PretrainConfig(dataset=f"folder:{images}", data_dir=str(tmp_path / "secret"), learning_rate=3e-4)
    run_id = new_pretrain_run(store, config, name="first")
    write_labels(store, run_id, Labels(tags=("a", "b"), note="why"))
    told = about(store, run_id)
    assert (told.name, told.tags, told.note) == ("first", ("a", "b"), "why")
    assert told.settings["learning_rate"] == 3e-4
    assert told.settings["dataset"] == "folder:cats"
    assert not [value for value in told.settings.values() if str(tmp_path) in str(value)]
    left_out = {field.name for field in dataclasses.fields(PretrainConfig)} - set(told.settings)
    assert left_out == {"data_dir"}
