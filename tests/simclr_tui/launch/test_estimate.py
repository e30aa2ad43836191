"""What a run will take, against figures made by hand and a slow search for the nearest runs."""

import dataclasses
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simclr_tui.launch.estimate import (
    _BESIDE,
    Estimate,
    Known,
    MachineNow,
    Measured,
    estimate_words,
    memory_words,
    sweep_words,
)
from simclr_tui.launch.estimate_reader import read_known
from simclr_tui.price import Price
from tests.simclr_tui.support import EPOCHS, STEPS_PER_EPOCH, add_run
from trainer.config import PretrainConfig
from trainer.devices import Gpu
from trainer.presets import load_preset
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

CPU = "CPU (x86_64)"
MACHINE = MachineNow(cpu=CPU, cores=2, free_bytes=4 << 30)
CONFIG = load_preset("demo").config(threads=2)
NOW = 1_700_000_000.0
KEY = "b measures"


def measured(name: str, seconds: Sequence[float], **changes: Any) -> Measured:
    settings = dataclasses.asdict(CONFIG) | changes
    return Measured(name=name, device=CPU, settings=settings, epochs=seconds, memory_bytes=1 << 30)


def test_the_time_is_the_median_of_the_epochs_that_were_measured_with_their_range() -> None:
    found = Known([measured("new", [10, 12, 11]), measured("old", [13])], MACHINE).estimate(CONFIG)
    assert found is not None
    assert (found.seconds, found.low, found.high, found.like, found.runs) == (11.5, 10, 13, "new", 2)
    assert found.total == 11.5 * CONFIG.epochs
    words = estimate_words(found, NOW, key=KEY)
    assert words.startswith(
        "about 1 min 32 s (1 min 20 s to 1 min 44 s) · 12 s an epoch (10 to 13), like new and 1 more"
    )
    assert "ends about" in words
    assert "memory 1 GiB, 4 GiB free now" in words
    assert "ends about" not in estimate_words(found, NOW, key=KEY, in_line=True)


def test_energy_is_the_median_of_those_runs_of_which_it_was_measured() -> None:
    def one(name: str, card: float | None, cpu: float | None) -> Measured:
        return dataclasses.replace(measured(name, [10.0]), card_joules=card, cpu_joules=cpu)

    found = Known([one("a", 7200.0, None), one("b", None, None), one("c", 14_400.0, None)], MACHINE).estimate(CONFIG)
    assert found is not None
    assert (found.card_joules, found.cpu_joules) == (10_800.0, None)
    assert found.to_json()["card_joules"] == 10_800.0 * CONFIG.epochs
    words = estimate_words(found, NOW, key=KEY)
    assert words.endswith(f" · {3 * CONFIG.epochs:.1f} Wh by the card")
    priced = estimate_words(found, NOW, key=KEY, price=Price(250.0, "EUR"))
    assert priced == f"{words} · {0.75 * CONFIG.epochs:.2f} EUR"
    two = sweep_words([found, dataclasses.replace(found, cpu_joules=1.0), None], NOW, key=KEY, price=Price(250.0))
    assert two.endswith(f" · {6 * CONFIG.epochs:.1f} Wh by the card · {1.5 * CONFIG.epochs:.2f}"), "CPU not of both"
    nothing = Known([measured("a", [10.0])], MACHINE).estimate(CONFIG)
    assert nothing is not None
    assert "Wh" not in estimate_words(nothing, NOW, key=KEY)
    assert nothing.to_json()["card_joules"] is None


def test_energy_is_read_from_the_epochs_of_runs(store: RunStore, runs: Path) -> None:
    run_id = add_run(store, "measured", steps=3 * STEPS_PER_EPOCH)
    for epoch, row in enumerate(store.epochs(run_id), start=1):
        values = {name: value for name, value in row.items() if name not in ("run_id", "epoch")}
        store.put_epoch(run_id, epoch, values | {"cpu_energy_joules": 5000.0 + 60.0 * epoch})
    store.update_run(run_id, epoch=3)
    reader = StoreReader.open(runs)
    (one,) = read_known(reader).measured
    reader.close()
    assert (one.card_joules, one.cpu_joules) == (None, 60.0)


def test_other_epochs_only_scale_it() -> None:
    known = Known([measured("one", [10.0], epochs=3)], MACHINE)
    found = known.estimate(dataclasses.replace(CONFIG, epochs=500))
    assert found is not None
    assert found.total == 5000


def test_nothing_is_told_of_another_device_backbone_image_size_augmentation_or_data() -> None:
    known = Known([measured("one", [10.0])], MACHINE)
    for change in (
        {"backbone": "resnet18"},
        {"image_size": 64},
        {"augment": "torchvision"},
        {"precision": "float32"},
        {"limit_images": 77},
        {"views": 3},
    ):
        assert known.estimate(dataclasses.replace(CONFIG, **change)) is None, change
    assert known.estimate(dataclasses.replace(CONFIG, learning_rate=0.5, seed=1, temperature=0.9)) is not None
    elsewhere = Known([dataclasses.replace(measured("one", [10.0]), device="NVIDIA H100")], MACHINE)
    assert elsewhere.estimate(CONFIG) is None
    words = estimate_words(None, NOW, key=KEY)
    assert "no run like it was measured here; b measures" in words


def test_of_another_batch_size_the_time_is_told_with_that_and_the_memory_is_not() -> None:
    batch = 2 * CONFIG.batch_size
    found = Known([measured("one", [10.0], batch_size=batch)], MACHINE).estimate(CONFIG)
    assert found is not None
    assert found.differs == (f"batch-size {batch}",)
    assert found.memory_bytes is None
    assert "memory not known yet, 4 GiB free now" in estimate_words(found, NOW, key=KEY)


def test_the_nearest_are_found_as_a_slow_search_finds_them() -> None:
    rng = random.Random(5)
    choices: dict[str, list[Any]] = {"batch_size": [64, 128, 256], "num_workers": [0, 2], "cache": ["ram", "none"]}
    choices |= {"threads": [1, 2], "knn_every": [0, 1]}
    for _ in range(200):
        many = [
            measured(str(number), [rng.uniform(1, 9)], **{name: rng.choice(values) for name, values in choices.items()})
            for number in range(6)
        ]
        wanted = dataclasses.replace(CONFIG, **{name: rng.choice(values) for name, values in choices.items()})
        found = Known(many, MACHINE).estimate(wanted)

        def far(one: Measured, wanted: PretrainConfig = wanted) -> tuple[float, int]:
            batch = one.settings["batch_size"] / wanted.batch_size
            return max(batch, 1 / batch), sum(one.settings[name] != getattr(wanted, name) for name in _BESIDE)

        best = min(map(far, many))
        nearest = [one for one in many if far(one) == best]
        assert found is not None
        assert found.seconds == statistics.median(second for one in nearest for second in one.epochs)
        assert (found.like, found.runs) == (nearest[0].name, len(nearest))


def test_too_little_memory_has_a_sign() -> None:
    known = Known([measured("one", [10.0])], dataclasses.replace(MACHINE, free_bytes=1 << 20))
    found = known.estimate(CONFIG)
    assert found is not None
    assert memory_words(found) == "memory 1 GiB, 1 MiB free now ✗ too little"


def test_a_setting_of_a_device_is_the_device_that_it_will_be() -> None:
    small = Gpu(uuid="GPU-1", name="small", free_bytes=1, processes=0)
    large = Gpu(uuid="GPU-2", name="large", free_bytes=9, processes=0)
    two = dataclasses.replace(MACHINE, gpus=(small, large))
    assert MACHINE.device("auto") == (CPU, 4 << 30)
    assert two.device("auto") == ("small", 1)
    assert two.device("cuda:1") == ("large", 9)
    assert two.device("next") == ("large", 9)
    assert two.device("cpu") == (CPU, 4 << 30)
    assert two.device("cuda:7") == ("", None)


def test_a_sweep_takes_the_sum_and_says_of_how_many_it_is() -> None:
    one = Estimate(epochs=10, seconds=6, low=5, high=9, like="a", runs=1)
    assert sweep_words([one, one], NOW, key=KEY).startswith(
        "about 2 min (1 min 40 s to 3 min) one after the other · like a"
    )
    assert "for 1 of 2, the others were never measured" in sweep_words([one, None], NOW, key=KEY)
    assert "b measures" in sweep_words([None, None], NOW, key=KEY)


def test_it_is_read_from_a_store_of_known_figures(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "known", steps=3 * STEPS_PER_EPOCH, lifecycle="finished")
    for epoch, seconds in ((1, 50.0), (2, 4.0), (3, 6.0)):
        store.put_epoch(run_id, epoch, {"t_epoch": seconds})
    for used in (100, 700, 300):
        store.beat(run_id, {"source": "cpu", "process_memory_bytes": used << 20})
    add_run(store, "never-began")
    shared = add_run(store, "of-two-ranks", steps=STEPS_PER_EPOCH, lifecycle="finished")
    store.put_epoch(shared, 1, {"t_epoch": 1.0})
    store.update_run(shared, fingerprint='{"ranks": 2}')
    store.close()
    reader = StoreReader.open(runs)
    known = read_known(reader)
    reader.close()
    assert [(one.name, list(one.epochs), one.memory_bytes) for one in known.measured] == [
        ("known", [4.0, 6.0], 700 << 20)
    ]
    found = known.estimate(load_preset("demo").config(epochs=EPOCHS))
    assert found is not None
    assert (found.seconds, found.low, found.high) == (5.0, 4.0, 6.0)
    assert read_known(None).measured == ()
