"""A person's own settings of the dashboard: one TOML file, which the program reads and never writes.

A mistake in it is one sentence with the file, the setting, the reason and the remedy, before the dashboard opens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simclr_tui.price import Price
from trainer.addresses import KINDS
from trainer.errors import UsageError
from trainer.paths import config_dir

NOTICE_WAYS = ("bell", "desktop", "title")
NOTICE_KINDS = KINDS
"""What is worth a notice."""

FASTEST_POLL, SLOWEST_POLL = 0.1, 60.0
AUTO = "auto"
DEAREST = 1_000_000
"""Of a kilowatt-hour, in any currency."""
LONGEST_CURRENCY = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeSettings:
    """How a person wants to be told, and what of."""

    bell: bool = True
    desktop: bool = True
    title: bool = True
    on: tuple[str, ...] = NOTICE_KINDS


@dataclass(frozen=True, kw_only=True, slots=True)
class UserSettings:
    """Everything that the file can say, with what holds where it says nothing."""

    theme: str = AUTO
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Keys by the ids of bindings."""
    notices: NoticeSettings = NoticeSettings()
    poll_seconds: float = 0.5
    graphics: str = AUTO
    """How pictures are drawn, where the terminal's word does not count."""
    price_per_kwh: float | None = None
    """What a kilowatt-hour costs, None where nobody said."""
    currency: str = ""
    """What that is in, as it is written behind a sum."""
    file: Path | None = None
    """Where it was read from, if there is a file."""
    said: frozenset[str] = frozenset()
    """The settings that the file names."""

    @property
    def price(self) -> Price | None:
        """Of a kilowatt-hour."""
        return None if self.price_per_kwh is None else Price(self.price_per_kwh, self.currency)


class SettingsFileError(UsageError):
    """The settings file can't be used."""

    def __init__(self, file: Path, setting: str, reason: str) -> None:
        """Args: the file, the setting ("" where it is the file as a whole), and the reason with the remedy."""
        super().__init__(": ".join(part for part in (str(file), setting, reason) if part))


def settings_file() -> Path:
    """Where the file is looked for."""
    return config_dir() / "settings.toml"


def read_settings(file: Path | None = None) -> UserSettings:
    """What holds: the file's settings, and the usual ones where it says nothing or is not there.

    Raises:
        SettingsFileError: it can't be read, or something in it is wrong.
    """
    file = file or settings_file()
    values = _read(file)
    return UserSettings() if values is None else _Reader(file).settings(values)


def read_price(file: Path | None = None) -> Price | None:
    """The price of a kilowatt-hour, for commands that need nothing else of the file and judge nothing else.

    Raises:
        SettingsFileError: the file can't be read, or the price in it is wrong.
    """
    file = file or settings_file()
    values = _read(file)
    return None if values is None else _Reader(file).price(values)


def _read(file: Path) -> Mapping[str, Any] | None:
    """What a file says; None where there is none.

    Raises:
        SettingsFileError: it can't be read.
    """
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsFileError(file, "", f"{error.strerror}; mend that, or move the file away") from None
    import tomllib  # only where there is a file: the first frame is waited for

    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsFileError(file, "", f"{error}; it has to be TOML (toml.io)") from None


class _Reader:
    """Judges what a file says, name by name."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def settings(self, values: Mapping[str, Any]) -> UserSettings:
        """The settings of a whole file."""
        self._names(values, ("theme", "keys", "notices", "poll_seconds", "graphics", "price_per_kwh", "currency"))
        usual = UserSettings()
        keys = self._table(values, "keys")
        price = self.price(values)
        return UserSettings(
            theme=self._theme(values.get("theme", usual.theme)),
            keys=self._keys(keys),
            notices=self._notices(self._table(values, "notices")),
            poll_seconds=self._seconds(values.get("poll_seconds", usual.poll_seconds)),
            graphics=self._graphics(values.get("graphics", usual.graphics)),
            price_per_kwh=None if price is None else price.per_kwh,
            currency=self._currency(values.get("currency", usual.currency)),
            file=self._file,
            said=frozenset(values) | {f"notices.{name}" for name in self._table(values, "notices")},
        )

    def price(self, values: Mapping[str, Any]) -> Price | None:
        """The price alone."""
        value, currency = values.get("price_per_kwh"), self._currency(values.get("currency", ""))
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= DEAREST:
            reason = f"it has to be a number from 0 to {DEAREST:,}, of your currency for a kilowatt-hour"
            raise SettingsFileError(self._file, "price_per_kwh", reason)
        return Price(float(value), currency)

    def _currency(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > LONGEST_CURRENCY or not value.isprintable():
            reason = f'it has to be a word of at most {LONGEST_CURRENCY} letters, as in "EUR"'
            raise SettingsFileError(self._file, "currency", reason)
        return value.strip()

    def _theme(self, value: Any) -> str:
        if value == AUTO:
            return AUTO
        from simclr_tui.themes import theme_names

        return self._one_of("theme", value, (AUTO, *theme_names()))

    def _graphics(self, value: Any) -> str:
        if value == AUTO:
            return AUTO
        from simclr_tui.terminal.graphics import WAYS

        return self._one_of("graphics", value, (AUTO, *WAYS))

    def _keys(self, values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        found = {}
        for id_, given in _flat(values).items():
            keys = [given] if isinstance(given, str) else given
            if not isinstance(keys, list) or not keys or not all(isinstance(key, str) and key for key in keys):
                raise SettingsFileError(self._file, f"keys.{id_}", 'it has to be a key, "x", or a list of keys, ["x"]')
            found[id_] = tuple(keys)
        from simclr_tui.comfort.keymap import KeyRefusedError, checked

        try:
            checked(found)
        except KeyRefusedError as mistake:
            raise SettingsFileError(self._file, f"keys.{mistake.setting}", str(mistake)) from None
        return found

    def _notices(self, values: Mapping[str, Any]) -> NoticeSettings:
        self._names(values, (*NOTICE_WAYS, "on"), "notices.")
        usual = NoticeSettings()
        on = values.get("on", list(usual.on))
        if not isinstance(on, list):
            raise SettingsFileError(self._file, "notices.on", f'it has to be a list, ["{NOTICE_KINDS[0]}"]')
        kinds = tuple(self._one_of("notices.on", kind, NOTICE_KINDS) for kind in on)
        bell, desktop, title = (self._yes_or_no(f"notices.{way}", values.get(way, True)) for way in NOTICE_WAYS)
        return NoticeSettings(bell=bell, desktop=desktop, title=title, on=kinds)

    def _seconds(self, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not FASTEST_POLL <= value <= SLOWEST_POLL:
            reason = f"it has to be a number of seconds from {FASTEST_POLL:g} to {SLOWEST_POLL:g}"
            raise SettingsFileError(self._file, "poll_seconds", reason)
        return float(value)

    def _yes_or_no(self, setting: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise SettingsFileError(self._file, setting, "it has to be true or false, without quotes")
        return value

    def _one_of(self, setting: str, value: Any, known: Sequence[str]) -> str:
        if value in known:
            return str(value)
        reason = f"{_shown(value)} is none of {', '.join(known)}"
        raise SettingsFileError(self._file, setting, reason + _closest(value, known))

    def _table(self, values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        found = values.get(name, {})
        if not isinstance(found, dict):
            raise SettingsFileError(self._file, name, f"it has to be a table, begun by a line [{name}]")
        return found

    def _names(self, values: Mapping[str, Any], known: Sequence[str], before: str = "") -> None:
        for name in values:
            if name not in known:
                reason = f"there is no such setting (there are {', '.join(known)})"
                raise SettingsFileError(self._file, before + name, reason + _closest(name, known))


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Dotted names out of nested tables, since an id without quotes (run.pause = "x") is one to TOML."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else f"{value} ({type(value).__name__})"


def _closest(value: Any, known: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(str(value), known, n=1)
    return f"; do you mean {close[0]}?" if close else ""
