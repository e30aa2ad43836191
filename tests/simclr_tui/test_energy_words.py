"""The energy of a run in words, and the same for scripts."""

import json
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from simclr_tui.comfort.user_settings import settings_file
from simclr_tui.energy_words import NOT_MEASURED, device_words, energy_document, energy_lines
from simclr_tui.price import Price
from tests.simclr_tui.compare_runs import PER_EPOCH, epoch_rows, make_run
from tests.simclr_tui.support import STEPS_PER_EPOCH, add_run
from trainer.store import RunStore

GPU: dict[str, Any] = {"device": "NVIDIA H100", "total_steps": 10 * PER_EPOCH, "lifecycle": "started"}


def rows(count: int, **joules: float) -> list[dict[str, Any]]:
    """Closed epochs, each of which took so much."""
    return [row | {name: one * row["epoch"] for name, one in joules.items()} for row in epoch_rows(count)]


def test_a_run_on_a_card_has_the_cards_and_the_processors_and_their_end() -> None:
    run = make_run("a", step=4 * PER_EPOCH, energy_joules=4 * 1.8e6, cpu_energy_joules=4 * 0.36e6, **GPU)
    found = energy_lines(run, rows(4, energy_joules=1.8e6, cpu_energy_joules=0.36e6), Price(0.25, "EUR"))
    assert found == [
        ("energy, card", "2.00 kWh so far, 500 Wh an epoch, about 5.00 kWh by its end"),
        ("energy, CPU", "400 Wh so far, 100 Wh an epoch, about 1.00 kWh by its end"),
        ("electricity", "0.60 EUR so far, about 1.50 EUR by its end, at 0.25 EUR/kWh"),
    ]
    assert energy_lines(run, rows(4), None)[-1][0] == "energy, CPU"


def test_in_a_narrow_place_both_have_one_unit() -> None:
    def words(joules: float) -> str:
        run = make_run("a", step=4 * PER_EPOCH, energy_joules=4 * joules, **GPU)
        return device_words(run, rows(4, energy_joules=joules))

    assert words(3600.0 * 20) == "80.0 of ≈ 200 Wh"
    assert words(3600.0 * 200) == "0.800 of ≈ 2.00 kWh"
    assert words(9.0) == "36.0 of ≈ 90.0 J"
    run = make_run("b", step=10 * PER_EPOCH, energy_joules=36_000.0, **GPU)
    assert device_words(run, rows(10, energy_joules=3600.0)) == "10.0 Wh"
    on_cpu = make_run("c", step=1, device="CPU (x86_64)", cpu_energy_joules=7200.0)
    assert device_words(on_cpu, []) == "2.00 Wh"


def test_what_is_over_has_no_end_to_guess() -> None:
    run = make_run("a", step=10 * PER_EPOCH, energy_joules=3.6e6, **GPU)
    found = dict(energy_lines(run, rows(10, energy_joules=0.36e6), Price(0.25)))
    assert found["energy, card"] == "1.00 kWh, 100 Wh an epoch"
    assert found["energy, CPU"] == NOT_MEASURED
    assert found["electricity"] == "0.25, at 0.25/kWh"


def test_before_the_first_epoch_has_ended_nothing_is_guessed() -> None:
    run = make_run("a", step=3, energy_joules=3600.0, **GPU)
    found = energy_lines(run, [], Price(1.0))
    assert (found[0], found[-1]) == (("energy, card", "1.00 Wh so far"), ("electricity", "0.0010 so far, at 1.00/kWh"))
    assert energy_lines(make_run("fresh", **GPU), [], None) == []


def test_a_run_on_the_processors_has_no_card() -> None:
    run = make_run("a", step=1, device="CPU (x86_64)")
    assert energy_lines(run, [], Price(1.0)) == [("energy, CPU", NOT_MEASURED)]
    assert device_words(run, []) == ""


def test_an_estimate_and_the_first_of_several_cards_are_named_as_such() -> None:
    fingerprint = json.dumps({"ranks": 4})
    run = make_run("a", step=3, energy_joules=3600.0, energy_source="power", fingerprint=fingerprint, **GPU)
    words = energy_lines(run, [], None)[0][1]
    assert words == "1.00 Wh so far, estimated from its power, the first of 4 cards alone"
    assert device_words(run, []) == "≈ 1.00 Wh"
    broken = make_run("a", step=3, energy_joules=3600.0, fingerprint='"odd"', **GPU)
    assert energy_lines(broken, [], None)[0][1] == "1.00 Wh so far"


def test_money_at_the_end_is_known_only_where_that_of_all_its_parts_is() -> None:
    """The processors were measured from the newest epoch on alone."""
    run = make_run("a", step=2 * PER_EPOCH, energy_joules=7200.0, cpu_energy_joules=36.0, **GPU)
    found = dict(energy_lines(run, rows(2, energy_joules=3600.0), Price(1.0)))
    assert "by its end" in found["energy, card"]
    assert "by its end" not in found["electricity"]
    document = energy_document(run, rows(2, energy_joules=3600.0), Price(1.0, "EUR"))
    assert document["cost"] == pytest.approx(7236.0 / 3.6e6)
    assert document["cost_at_end"] is None


@pytest.fixture
def measured(store: RunStore) -> str:
    run_id = add_run(store, "measured", steps=2 * STEPS_PER_EPOCH)
    for epoch in (1, 2):
        store.put_epoch(run_id, epoch, {"loss": 1.0, "t_epoch": 3.5, "cpu_energy_joules": 7200.0 * epoch})
    store.update_run(run_id, cpu_energy_joules=14_400.0)
    return run_id


def test_show_tells_it_with_the_price_of_the_settings_file(
    measured: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs-dir", str(runs), "show", measured]) == 0
    said = capsys.readouterr().out
    assert "energy, CPU   4.00 Wh so far, 2.00 Wh an epoch, about 30.0 Wh by its end" in said
    assert "electricity" not in said
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('price_per_kwh = 500\ncurrency = "EUR"')
    assert main(["--runs-dir", str(runs), "show", measured]) == 0
    assert "electricity   2.00 EUR so far, about 15.00 EUR by its end, at 500.00 EUR/kWh" in capsys.readouterr().out
    assert main(["--runs-dir", str(runs), "show", measured, "--json"]) == 0
    energy = json.loads(capsys.readouterr().out)["energy"]
    assert energy["cpu"] == {"so_far": 14_400.0, "epoch": 7200.0, "at_end": 108_000.0, "is_estimated": False}
    assert energy["card"]["so_far"] is None
    assert (energy["cost"], energy["cost_at_end"]) == (pytest.approx(2.0), pytest.approx(15.0))
    assert energy["price"] == {"per_kwh": 500.0, "currency": "EUR"}


def test_a_wrong_price_is_a_sentence_with_the_code_of_wrong_usage(
    measured: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text("price_per_kwh = -1")
    assert main(["--runs-dir", str(runs), "show", measured]) == 2
    assert "price_per_kwh: it has to be a number from 0" in capsys.readouterr().err


def test_the_list_has_columns_of_it(measured: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ls", "--columns", "run,card_kwh,cpu_kwh", "--filter", "cpu_kwh>0.003"]
    assert main(["--runs-dir", str(runs), *words]) == 0
    heading, line = capsys.readouterr().out.splitlines()[:2]
    assert heading.split("  ")[-1].strip() == "CPU kWh"
    assert line.split()[-2:] == ["–", "0.00400"]
    assert main(["--runs-dir", str(runs), "ls", "--filter", "cpu_kwh>0.005"]) == 0
    assert "measured" not in capsys.readouterr().out


def test_system_tells_it_below_the_last_samples(measured: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs-dir", str(runs), "system", measured]) == 0
    assert "energy, CPU       4.00 Wh so far" in capsys.readouterr().out
