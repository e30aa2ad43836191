"""What a comparison says of hand-made runs: settings, results, the last common epoch, speed, cost, evaluations."""

from typing import Any

import pytest

from simclr_tui.charts.drawn import Stretch
from simclr_tui.compare.build import compare
from simclr_tui.compare.side import Side, refusal
from simclr_tui.model import Curves, RunRow
from simclr_tui.price import Price
from tests.simclr_tui.compare_runs import (
    BATCH,
    PER_EPOCH,
    epoch_rows,
    line_named,
    make_run,
    make_side,
    score,
    words,
)
from trainer.chance import chance_levels
from trainer.config import PretrainConfig
from trainer.settings import fields_of
from trainer.store.records import Checkpoint
from trainer.store.totals import Totals


def titles(sides: list[Side]) -> list[str]:
    return [group.title for group in compare(sides).groups]


def test_settings_that_differ_come_first_in_the_configs_order_and_the_others_are_folded() -> None:
    sides = [make_side("a"), make_side("b", settings={"seed": 7, "dataset": "shapes", "temperature": 0.5})]
    comparison = compare(sides)
    group = comparison.groups[0]
    assert group.title == "settings that differ"
    assert [line.name for line in group.lines] == ["dataset", "temperature", "seed"]
    assert words(group.lines[1]) == ["0.07", "0.5"]
    every = len(fields_of(PretrainConfig))
    assert comparison.folded == f"{every - 3} settings are equal"
    assert len(comparison.shown(unfolded=True)[1].lines) == every - 3
    assert [one.title for one in comparison.shown(unfolded=False)] == [one.title for one in comparison.groups]


def test_a_setting_has_its_unit_and_is_written_as_it_is_typed() -> None:
    sides = [make_side("a"), make_side("b", settings={"batch_size": 128, "head_batch_norm": True, "num_workers": 6})]
    group = compare(sides).groups[0]
    assert [line.title for line in group.lines] == [
        "num-workers, processes",
        "head-batch-norm",
        "batch-size, images",
    ]
    assert [words(line) for line in group.lines] == [["2", "6"], ["no", "yes"], [str(BATCH), "128"]]
    assert group.lines[0].note == "can't change the result, only how fast it comes or what is kept"
    assert not group.lines[2].note


def test_a_setting_that_one_run_did_not_know_is_unknown() -> None:
    known = make_side("a")
    older = make_side("b", config="{}")
    line = next(line for line in compare([known, older]).groups[0].lines if line.name == "seed")
    assert words(line) == ["42", "–"]


def test_runs_with_the_same_settings_are_said_to_have_them() -> None:
    group = compare([make_side("a"), make_side("b")]).groups[0]
    assert not group.lines
    assert group.remark.startswith("none: all settings are equal")


def test_the_reference_stands_first_and_deltas_are_against_it() -> None:
    sides = [make_side("a", epochs=epoch_rows(3)), make_side("b", epochs=epoch_rows(3, knn_top1=0.5))]
    line = line_named(compare(sides), "results", "kNN, last")
    assert words(line) == ["23.0 (ep 3)", "50.0 (ep 3) ★ +27.0"]
    turned = compare(sides, "id-b")
    assert [one.name for one in turned.headings] == ["b", "a"]
    assert words(line_named(turned, "results", "kNN, last")) == ["50.0 (ep 3) ★", "23.0 (ep 3) −27.0"]


def test_runs_of_one_name_are_told_apart_by_their_ids() -> None:
    comparison = compare([make_side("a"), make_side("a", id="other"), make_side("b")])
    assert [one.name for one in comparison.headings] == ["a id-a", "a other", "b"]


def test_the_best_epoch_is_the_first_of_equal_ones_and_not_the_last() -> None:
    rows = [row | {"knn_top1": top1} for row, top1 in zip(epoch_rows(4), (0.3, 0.6, 0.6, 0.5), strict=True)]
    sides = [make_side("a", epochs=rows), make_side("b")]
    assert words(line_named(compare(sides), "results", "kNN, best")) == ["60.0 (ep 2)", "–"]
    assert words(line_named(compare(sides), "results", "kNN, last")) == ["50.0 (ep 4)", "–"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch_size": 128}, "batch-size"),
        ({"temperature": 0.5}, "temperature"),
        ({"method": "supcon"}, "method"),
        ({"views": 4, "temperature": 0.2}, "views, temperature"),
    ],
)
def test_losses_of_other_kinds_are_not_compared_and_stand_beside_chance(
    settings: dict[str, object], named: str
) -> None:
    sides = [make_side("a", loss=0.5), make_side("b", settings=settings, loss=0.4)]
    line = line_named(compare(sides), "results", "loss, last step")
    assert words(line) == ["0.500", "0.400"]
    assert line.note == f"not comparable: the loss depends on {named}; read it beside its chance level"
    chance = line_named(compare(sides), "results", "loss, chance")
    assert chance.cells[0].value == pytest.approx(chance_levels(BATCH).loss)
    assert not any(cell.is_best for cell in chance.cells)


def test_losses_on_other_views_are_compared_with_a_warning() -> None:
    sides = [make_side("a", loss=0.5), make_side("b", settings={"crop_scale_min": 0.5}, loss=0.4)]
    line = line_named(compare(sides), "results", "loss, last step")
    assert line.cells[1].is_best
    assert line.note == "other tasks (crop-scale-min): a lower loss need not mean better features"


def test_knn_on_other_images_is_not_compared() -> None:
    sides = [make_side("a", epochs=epoch_rows(2)), make_side("b", settings={"dataset": "shapes"})]
    line = line_named(compare(sides), "results", "kNN, last")
    assert line.note == "not comparable: scored on other images (dataset)"
    held = [make_side("a"), make_side("b", settings={"method": "supcon"})]
    assert "held out" in line_named(compare(held), "results", "kNN, last").note


def test_runs_of_different_lengths_are_set_against_each_other_where_both_were() -> None:
    long = make_side("long", epochs=epoch_rows(50))
    short = make_side("short", epochs=epoch_rows(10, knn_top1=0.35, t_epoch=1.0))
    comparison = compare([long, short])
    assert words(line_named(comparison, "results", "kNN, last")) == ["70.0 (ep 50) ★", "35.0 (ep 10) −35.0"]
    assert line_named(comparison, "results", "kNN, last").note == "after different numbers of epochs"
    title = "at epoch 10, the last that all have closed"
    assert words(line_named(comparison, title, "kNN")) == ["30.0", "35.0 ★ +5.0"]
    assert words(line_named(comparison, title, "loss, mean")) == ["5.00", "5.00 ±0"]
    assert words(line_named(comparison, title, "time of these epochs")) == ["20 s", "10 s ★ −50 %"]


def test_the_last_common_epoch_is_left_out_where_it_is_the_last_of_each() -> None:
    sides = [make_side("a", epochs=epoch_rows(5)), make_side("b", epochs=epoch_rows(5))]
    assert not any(title.startswith("at ") for title in titles(sides))
    assert not line_named(compare(sides), "results", "kNN, last").note


def test_knn_that_is_taken_rarely_is_compared_where_both_were_scored() -> None:
    rare = [row | ({} if row["epoch"] % 5 == 0 else {"knn_top1": None}) for row in epoch_rows(20)]
    comparison = compare([make_side("a", epochs=rare), make_side("b", epochs=epoch_rows(13))])
    assert words(line_named(comparison, "at epoch 13", "kNN at epoch 10")) == ["30.0", "30.0 ±0"]


def test_a_run_without_an_epoch_has_no_common_one_and_is_named() -> None:
    comparison = compare([make_side("a", epochs=epoch_rows(5)), make_side("fresh")])
    group = next(one for one in comparison.groups if one.title == "at the last common epoch")
    assert group.remark == "there is none yet: fresh has closed no epoch"
    comparison = compare([make_side("a", epochs=epoch_rows(5)), make_side("b"), make_side("c")])
    group = next(one for one in comparison.groups if one.title == "at the last common epoch")
    assert group.remark == "there is none yet: b, c have closed no epoch"
    assert not group.lines


def test_a_forks_epochs_begin_with_those_of_its_parent() -> None:
    parent = make_run("parent")
    curves = Curves(run_id=parent.id, epochs=tuple(epoch_rows(9, knn_top1=0.1)))
    trunk = (Stretch(RunRow(parent, "finished", 0), curves, 6 * PER_EPOCH + 3),)
    fork = make_side("fork", epochs=epoch_rows(1, first=7), trunk=trunk)
    assert list(fork.epochs) == list(range(1, 8)), "without those that its parent closed after the fork"
    assert [fork.epochs[number]["knn_top1"] for number in (6, 7)] == [0.1, 0.27]
    comparison = compare([fork, make_side("short", epochs=epoch_rows(5))])
    assert words(line_named(comparison, "at epoch 5", "kNN")) == ["10.0", "25.0 ★ +15.0"]
    assert words(line_named(comparison, "speed", "t_epoch")) == ["2.00", "2.00 ±0 %"]


def test_speed_is_the_median_of_the_last_five_epochs() -> None:
    times = (9.0, 1.0, 2.0, 3.0, 4.0, 50.0)
    rows = [row | {"t_epoch": time} for row, time in zip(epoch_rows(6), times, strict=True)]
    comparison = compare([make_side("a", epochs=rows), make_side("b", epochs=epoch_rows(6))])
    assert words(line_named(comparison, "speed", "t_epoch")) == ["3.00", "2.00 ★ −33 %"]
    assert words(line_named(comparison, "speed", "device idle")) == ["3.3 ★", "5.0 +1.7"]


def test_times_on_other_devices_are_marked_and_noted() -> None:
    fast = make_side("fast", epochs=epoch_rows(3, t_batch=0.01), device="H100")
    line = line_named(compare([make_side("slow", epochs=epoch_rows(3)), fast]), "speed", "t_batch")
    assert words(line) == ["100", "10.0 ★ −90 %"]
    assert line.note == "on other devices, which times say as much of as of the settings"


def test_steps_of_other_batch_sizes_are_not_compared_but_images_a_second_are() -> None:
    small = make_side("small", epochs=epoch_rows(3))
    large = make_side("large", epochs=epoch_rows(3, images_per_second=150.0), settings={"batch_size": 2 * BATCH})
    comparison = compare([small, large])
    assert line_named(comparison, "speed", "t_batch").note == "not comparable: steps of other batch sizes"
    assert line_named(comparison, "speed", "t_epoch").note == "not comparable: epochs of different numbers of images"
    assert words(line_named(comparison, "speed", "images/s")) == ["100", "150 ★ +50 %"]


def test_cost_is_what_was_stored_and_a_dash_where_nothing_was() -> None:
    kept = [
        Checkpoint(
            run_id="a",
            step=step,
            epoch=1,
            path="",
            bytes=3 << 20,
            sha256="",
            reason="",
            knn_top1=None,
            seconds=None,
            at=0,
        )
        for step in (1, 2)
    ]
    used = Totals(energy_joules=7.2e6, device_memory_bytes=4 << 30, began_at=400.0)
    a = make_side("a", step=100, trained_seconds=500.0, checkpoints=kept, totals=used)
    b = make_side(
        "b", step=100, trained_seconds=250.0, lifecycle="started", progress_at=900.0, totals=Totals(began_at=0.0)
    )
    comparison = compare([a, b])
    assert words(line_named(comparison, "cost", "time trained")) == ["8 min 20 s", "4 min 10 s ★ −50 %"]
    assert words(line_named(comparison, "cost", "wall time, with pauses")) == ["10 min ★", "15 min +50 %"]
    assert words(line_named(comparison, "cost", "energy, card")) == ["2.00 kWh", "–"]
    assert words(line_named(comparison, "cost", "checkpoints on disk")) == ["6 MiB", "–"]
    assert words(line_named(comparison, "cost", "peak memory, card")) == ["4 GiB", "–"]
    assert not any(line.name == "peak memory, process" for line in comparison.groups[-1].lines)


def test_energy_is_that_of_the_card_the_processors_and_1000_images_and_money_only_with_a_price() -> None:
    epochs = [row | {"energy_joules": 3.6e6 + 7200.0 * row["epoch"]} for row in epoch_rows(6)]
    card: dict[str, Any] = {
        "energy_joules": 9e6,
        "cpu_energy_joules": 1.8e6,
        "energy_source": "power",
        "device": "H100",
    }
    a = make_side("a", step=100, epochs=epochs, totals=Totals(energy_joules=9e6), **card)
    b = make_side("b", step=100, device="H100", totals=Totals(energy_joules=4.5e6), energy_joules=4.5e6)
    comparison = compare([a, b], price=Price(0.4, "EUR"))
    line = line_named(comparison, "cost", "energy, card")
    assert words(line) == ["2.50 kWh", "1.25 kWh ★ −50 %"]
    assert line.note == "estimated from power"
    assert words(line_named(comparison, "cost", "energy, CPU")) == ["500 Wh", "–"]
    assert words(line_named(comparison, "cost", "energy for 1,000 images")) == [
        f"{2 / (PER_EPOCH * 64) * 1000:.2f} Wh",
        "–",
    ]
    bill = line_named(comparison, "cost", "electricity")
    assert words(bill) == ["1.20 EUR", "0.50 EUR"], "a bill without the processors is not the lower for that"
    assert bill.note == "not comparable: of some the processors or the card were not measured"
    whole = make_side("b", step=100, totals=Totals(energy_joules=4.5e6), **card | {"energy_joules": 4.5e6})
    on_cpu = make_side("c", step=100, device="CPU (x86_64)", cpu_energy_joules=1.8e6)
    bill = line_named(compare([a, whole, on_cpu], price=Price(0.4, "EUR")), "cost", "electricity")
    assert words(bill) == ["1.20 EUR", "0.70 EUR −42 %", "0.20 EUR ★ −83 %"]
    assert not any(line.name == "electricity" for line in compare([a, b]).groups[-1].lines)
    sides = [make_side("c", step=100), make_side("d", step=100)]
    names = [line.name for line in compare(sides, price=Price(0.4)).groups[-1].lines]
    assert "energy, card" in names, "it is said to be unknown once"
    assert not {"energy, CPU", "energy for 1,000 images", "electricity"} & set(names)


def test_less_time_after_fewer_steps_is_no_better() -> None:
    sides = [make_side("a", step=100, trained_seconds=500.0), make_side("b", step=50, trained_seconds=200.0)]
    line = line_named(compare(sides), "cost", "time trained")
    assert words(line) == ["8 min 20 s", "3 min 20 s"]
    assert line.note == "not comparable: after different numbers of steps"


def test_what_a_fork_took_since_the_fork_is_not_compared_with_what_a_whole_run_took() -> None:
    cost: dict[str, Any] = {"step": 100, "trained_seconds": 500.0, "lifecycle_at": 600.0}
    whole = make_side("whole", totals=Totals(began_at=0.0, energy_joules=7.2e6), **cost)
    fork = make_side("fork", totals=Totals(began_at=400.0, energy_joules=3.6e6), parent_step=50, **cost)
    comparison = compare([whole, fork])
    for name, cells in {
        "wall time, with pauses": ["10 min", "3 min 20 s"],
        "energy, card": ["2.00 kWh", "1.00 kWh"],
    }.items():
        line = line_named(comparison, "cost", name)
        assert words(line) == cells, "neither is better"
        assert line.note == "not comparable: of a fork what came after the fork alone"
    assert words(line_named(comparison, "cost", "time trained")) == ["8 min 20 s", "8 min 20 s ±0 %"]
    other = make_side("other", totals=Totals(began_at=300.0), parent_step=50, **cost)
    line = line_named(compare([fork, other]), "cost", "wall time, with pauses")
    assert words(line) == ["3 min 20 s ★", "5 min +50 %"], "both from the same step on"


def test_evaluations_are_compared_by_layer_and_protocol_with_the_encoder_first() -> None:
    a = make_side("a", evaluations=[score("z", "knn", 0.5), score("h", "linear", 0.789), score("h", "knn", 0.7)])
    b = make_side("b", evaluations=[score("z", "knn", 0.6), score("h", "linear", 0.7), score("pixels", "knn", 0.3)])
    group = compare([a, b]).groups[-1]
    assert (group.title, group.remark) == (
        "test accuracy, %",
        "scored after epoch 5; 2 more figures are known of one run only",
    )
    assert [line.name for line in group.lines] == ["h, linear", "z, kNN"]
    assert [words(line) for line in group.lines] == [["78.9 ★", "70.0 −8.9"], ["50.0", "60.0 ★ +10.0"]]
    assert [line.name for line in group.alone] == ["h, kNN", "pixels, kNN"]
    whole = compare([a, b]).shown(unfolded=True)[-1]
    assert len(whole.lines) == 4


def test_labels_per_class_are_means_over_draws() -> None:
    def draws(*top1: float) -> list[object]:
        return [score("h", "linear", one, labels_per_class=10, seed=seed) for seed, one in enumerate(top1)]

    a, b = make_side("a", evaluations=draws(0.4, 0.5)), make_side("b", evaluations=draws(0.5, 0.6, 0.7))  # type: ignore[arg-type]
    assert words(line_named(compare([a, b]), "test accuracy, %, by labels per class", "h, linear, 10")) == [
        "45.0",
        "60.0 ★ +15.0",
    ]


def test_evaluations_at_other_epochs_are_compared_at_the_last_one_that_both_have() -> None:
    a = make_side(
        "a", evaluations=[score("h", "linear", one, epoch=epoch) for one, epoch in ((0.3, 2), (0.6, 5), (0.8, 20))]
    )
    b = make_side("b", evaluations=[score("h", "linear", one, epoch=epoch) for one, epoch in ((0.3, 2), (0.7, 5))])
    comparison = compare([a, b])
    latest = line_named(comparison, "test accuracy", "h, linear")
    assert words(latest) == ["80.0 (ep 20) ★", "70.0 (ep 5) −10.0"]
    assert latest.note == "scored after different numbers of epochs"
    common = line_named(comparison, "test accuracy, %, at epochs", "h, linear at epoch 5")
    assert words(common) == ["60.0", "70.0 ★ +10.0"]
    assert not common.note


def test_transfers_have_a_table_of_their_own_and_other_test_images_are_not_compared() -> None:
    a = make_side("a", evaluations=[score("h", "linear", 0.5, dataset="cifar10"), score("h", "linear", 0.6)])
    b = make_side("b", evaluations=[score("h", "linear", 0.6, dataset="cifar10"), score("h", "linear", 0.7, images=50)])
    comparison = compare([a, b])
    assert words(line_named(comparison, "test accuracy on cifar10, %", "h, linear")) == ["50.0", "60.0 ★ +10.0"]
    own = line_named(comparison, "test accuracy", "h, linear")
    assert words(own) == ["60.0", "70.0"]
    assert own.note == "not comparable: scored on other images (another number of them)"


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([], "a comparison needs two runs; name another one"),
        ([make_run("a")], "a is one run, and a comparison needs two; name another one"),
        ([make_run("a"), make_run("b", kind="benchmark")], "b is a benchmark"),
        ([make_run("a"), make_run("b", kind="evaluate")], "b is of kind evaluate, which trains nothing"),
        ([make_run("a"), make_run("b"), make_run("a")], "a (id-a) is named twice"),
        ([make_run(str(number)) for number in range(13)], "13 runs are more than a table can hold; name 12 at most"),
    ],
)
def test_what_can_not_be_compared_is_refused_in_a_sentence(runs: list[object], sentence: str) -> None:
    assert refusal(runs).startswith(sentence)  # type: ignore[arg-type]


def test_twelve_runs_of_other_methods_can_be_compared() -> None:
    runs = [make_run(str(number)) for number in range(11)]
    assert not refusal([*runs, make_run("ce", settings={"method": "cross-entropy"})])
