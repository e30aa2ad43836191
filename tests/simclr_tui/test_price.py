"""What electricity costs."""

import pytest

from simclr_tui.price import Price


def test_energy_costs_its_kilowatt_hours() -> None:
    assert Price(0.30, "EUR").of(3.6e6) == pytest.approx(0.30)
    assert Price(0.0).of(3.6e6) == 0.0


@pytest.mark.parametrize(
    ("amount", "words"),
    [(12.4, "12.40 EUR"), (1234.5, "1,234.50 EUR"), (0.5, "0.50 EUR"), (0.00123, "0.0012 EUR"), (0.0, "0.00 EUR")],
)
def test_a_sum_has_as_many_digits_as_say_something(amount: float, words: str) -> None:
    assert Price(1.0, "EUR").show(amount) == words


def test_without_a_currency_it_is_a_number() -> None:
    assert Price(0.3).words == "0.30/kWh"
    assert Price(0.3, "EUR").words == "0.30 EUR/kWh"
