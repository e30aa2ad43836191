"""Tests of what settings mean together."""

from dataclasses import replace

from trainer.config import PretrainConfig
from trainer.lab.meaning import VARIED, differences, meaning, name_of, word
from trainer.settings import fields_of

BASE = PretrainConfig()
LOADER = {"num_workers", "pin_memory", "persistent_workers", "prefetch_factor"}


def test_every_varied_setting_is_one() -> None:
    assert set(VARIED) <= {field.name for field in fields_of(PretrainConfig)}


def test_all_settings_of_the_loader_can_be_varied() -> None:
    assert {field.name for field in fields_of(PretrainConfig) if field.setting.group == "Loader"} <= set(VARIED)


def test_a_split_on_the_device_has_no_use_for_a_loader() -> None:
    assert not LOADER & meaning(replace(BASE, cache="vram"), on_cuda=True).keys()
    assert meaning(BASE, on_cuda=True).keys() >= LOADER


def test_no_workers_neither_persist_nor_load_ahead() -> None:
    found = meaning(replace(BASE, num_workers=0), on_cuda=True)
    assert LOADER & found.keys() == {"num_workers", "pin_memory"}


def test_page_locked_memory_means_nothing_on_a_cpu() -> None:
    assert "pin_memory" not in meaning(BASE, on_cuda=False)


def test_what_auto_is_on_a_cpu_is_known_and_on_cuda_only_in_part() -> None:
    cpu, cuda = meaning(BASE, on_cuda=False), meaning(BASE, on_cuda=True)
    names = ("precision", "channels_last", "compile", "deterministic")
    assert [cpu[name] for name in names] == ["float32", "no", "no", "yes"]
    assert [cuda[name] for name in names] == ["auto", "yes", "auto", "yes"]


def test_settings_that_only_one_has_are_no_difference() -> None:
    on_device, in_ram = (meaning(replace(BASE, cache=cache), on_cuda=True) for cache in ("vram", "ram"))
    assert differences(on_device, in_ram) == {"cache"}
    without = meaning(replace(BASE, num_workers=0), on_cuda=True)
    assert differences(without, in_ram) == {"num_workers"}
    assert differences(in_ram, in_ram) == frozenset()


def test_words_say_what_a_value_is_of() -> None:
    values = {"num_workers": 2, "pin_memory": True, "cache": "vram", "batch_size": 512, "prefetch_factor": 4}
    assert [word(name, value) for name, value in values.items()] == [
        "2 workers",
        "pinned",
        "vram",
        "batch 512",
        "prefetch 4",
    ]
    assert word("precision", "auto") == "precision auto"


def test_a_name_has_what_is_told_apart_and_nothing_else() -> None:
    values = meaning(BASE, on_cuda=True)
    assert name_of(values, frozenset({"num_workers", "pin_memory", "cache"})) == "ram · 2 workers · pinned"
    assert name_of(values, frozenset()) == "current settings"
