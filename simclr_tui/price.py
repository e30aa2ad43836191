"""What electricity costs where a person lives, as their settings file has it; nothing of it is stored with a run."""

from dataclasses import dataclass

from simclr_tui.format import number
from trainer.energy_use import JOULES_PER_KWH

_SMALL = 0.1
"""Sums below it have two digits that count, and no fixed number of decimals."""


@dataclass(frozen=True, slots=True)
class Price:
    """Of a kilowatt-hour."""

    per_kwh: float
    currency: str = ""

    def of(self, joules: float) -> float:
        """What some energy costs."""
        return joules / JOULES_PER_KWH * self.per_kwh

    def show(self, amount: float) -> str:
        """A sum of money: 12.40 EUR."""
        text = number(amount, 2) if 0 < amount < _SMALL else f"{amount:,.2f}"
        return f"{text} {self.currency}".rstrip()

    @property
    def words(self) -> str:
        """The price itself: 0.30 EUR/kWh."""
        return f"{self.show(self.per_kwh)}/kWh"
