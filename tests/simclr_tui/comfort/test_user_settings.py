"""The settings file: what it says, every way of it being wrong, and the schema that editors check it with."""

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from simclr_tui.comfort.keymap import all_bindings, checked
from simclr_tui.comfort.settings_page import schema, template
from simclr_tui.comfort.user_settings import (
    NOTICE_KINDS,
    SettingsFileError,
    UserSettings,
    read_price,
    read_settings,
    settings_file,
)
from simclr_tui.price import Price

EVERYTHING = """
theme = "simclr-light"
poll_seconds = 2
graphics = "sixel"
price_per_kwh = 0.31
currency = "EUR"
[notices]
bell = false
on = ["failed", "warning"]
[keys]
run.pause = "P"
"marked.pause" = ["ctrl+x", "f4"]
"""


@pytest.fixture
def file() -> Path:
    """Where the program looks for the file of this test."""
    found = settings_file()
    found.parent.mkdir(parents=True)
    return found


def test_without_a_file_everything_is_as_usual() -> None:
    assert read_settings() == UserSettings()


def test_everything_that_a_file_says_is_taken(file: Path) -> None:
    file.write_text(EVERYTHING)
    found = read_settings()
    assert (found.theme, found.poll_seconds, found.graphics) == ("simclr-light", 2.0, "sixel")
    assert found.price == read_price() == Price(0.31, "EUR")
    assert (found.notices.bell, found.notices.desktop, found.notices.on) == (False, True, ("failed", "warning"))
    assert checked(found.keys) == {"run.pause": "P", "marked.pause": "ctrl+x,f4"}


def test_of_a_price_nothing_is_known_until_it_is_told(file: Path) -> None:
    assert (UserSettings().price, read_price()) == (None, None)
    file.write_text('currency = "EUR"')
    assert read_price() is None
    file.write_text("price_per_kwh = 3")
    assert read_price() == Price(3.0)


def test_a_command_that_asks_for_the_price_judges_nothing_else(file: Path) -> None:
    file.write_text('theme = "none such"\nprice_per_kwh = 0.2')
    assert read_price() == Price(0.2)
    file.write_text("price_per_kwh = -1")
    with pytest.raises(SettingsFileError, match="price_per_kwh: it has to be a number"):
        read_price()


WRONG = {
    "theme = 3": ("theme", "3 (int) is none of auto"),
    'theme = "simclr-lite"': ("theme", "do you mean simclr-light?"),
    "them = 3": ("them", "do you mean theme?"),
    "poll_seconds = 0": ("poll_seconds", "from 0.1 to 60"),
    "poll_seconds = true": ("poll_seconds", "from 0.1 to 60"),
    'poll_seconds = "1"': ("poll_seconds", "from 0.1 to 60"),
    'graphics = "kity"': ("graphics", "do you mean kitty?"),
    "graphics = 1": ("graphics", "1 (int) is none of auto, kitty, sixel, blocks"),
    "price_per_kwh = -0.1": ("price_per_kwh", "a number from 0 to 1,000,000, of your currency for a kilowatt-hour"),
    'price_per_kwh = "0.30"': ("price_per_kwh", "a number from 0"),
    "price_per_kwh = true": ("price_per_kwh", "a number from 0"),
    "price_per_kwh = nan": ("price_per_kwh", "a number from 0"),
    "currency = 3": ("currency", 'a word of at most 8 letters, as in "EUR"'),
    'currency = "euros, each"': ("currency", "at most 8 letters"),
    "notices = true": ("notices", "begun by a line [notices]"),
    "[notices]\nbell = 1": ("notices.bell", "true or false"),
    '[notices]\nbel = "yes"': ("notices.bel", "do you mean bell?"),
    '[notices]\non = "failed"': ("notices.on", "a list"),
    '[notices]\non = ["fail"]': ("notices.on", "do you mean failed?"),
    "[keys]\nrun.pause = 3": ("keys.run.pause", "a key"),
    "[keys]\nrun.pause = []": ("keys.run.pause", "a key"),
    '[keys]\nrun.pausse = "x"': ("keys.run.pausse", "do you mean run.pause?"),
    '[keys]\nrun.pause = "r"': ("keys.run.pause", "the key of run.resume too (screen: Runs)"),
    '[keys]\nrun.pause = "q"': ("keys.run.pause", "the key of app.quit too"),
    '[keys]\nrun.pause = "entr"': ("keys.run.pause", "no key is called 'entr'; do you mean enter?"),
    '[keys]\nrun.pause = "crtl+x"': ("keys.run.pause", "do you mean ctrl?"),
    '[keys]\nrun.pause = "z"\nrun.stop = "z"': ("keys.run.", "give one of them another key"),
    '[keys]\napp.help = "n"': ("keys.app.help", "the key of runs.new too"),
    "theme = ": ("Invalid value (at end", "it has to be TOML"),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_one_sentence_with_file_setting_reason_and_remedy(text: str, file: Path) -> None:
    setting, reason = WRONG[text]
    file.write_text(text)
    with pytest.raises(SettingsFileError) as caught:
        read_settings()
    sentence = str(caught.value)
    assert sentence.startswith(f"{file}: ")
    assert setting in sentence
    assert reason in sentence
    assert "\n" not in sentence
    assert caught.value.exit_code == 2


def test_bytes_that_are_no_text_and_a_folder_are_sentences_too(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsFileError, match="it has to be TOML"):
        read_settings()
    file.unlink()
    file.mkdir()
    with pytest.raises(SettingsFileError, match="Is a directory; mend that"):
        read_settings()


def test_keys_may_change_places(file: Path) -> None:
    file.write_text('[keys]\nrun.pause = "r"\nrun.resume = "p"\n')
    assert checked(read_settings().keys) == {"run.pause": "r", "run.resume": "p"}


def test_every_binding_can_be_given_a_key_that_nobody_has() -> None:
    for id_ in all_bindings():
        assert checked({id_: ["f11"]}) == {id_: "f11"}


def test_a_character_is_the_key_that_textual_calls_by_a_name() -> None:
    assert checked({"run.pause": ["%", "ctrl+%"]}) == {"run.pause": "percent_sign,ctrl+percent_sign"}


def agrees(value: Any, rule: dict[str, Any]) -> bool:
    """Whether a value agrees with a JSON Schema, of which only what ours uses is known."""
    known = {"$schema", "title", "description", "default", "type", "additionalProperties", "properties", "enum"}
    assert set(rule) <= known | {"minimum", "maximum", "items", "minItems", "minLength", "oneOf", "maxLength"}, rule
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float)}
    if "type" in rule and not isinstance(value, kinds[rule["type"]]):
        return False
    if rule.get("type") == "number" and (isinstance(value, bool) or not rule["minimum"] <= value <= rule["maximum"]):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "oneOf" in rule:
        return sum(agrees(value, one) for one in rule["oneOf"]) == 1
    if isinstance(value, dict):
        return all(name in rule["properties"] and agrees(one, rule["properties"][name]) for name, one in value.items())
    if isinstance(value, list):
        return len(value) >= rule.get("minItems", 0) and all(agrees(one, rule["items"]) for one in value)
    return not isinstance(value, str) or rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", math.inf)


# What a schema can't know: which keys go together, and how keys are called.
BEYOND_A_SCHEMA = ("too", "no key is called", "another key", "TOML")


@pytest.mark.parametrize("text", ["", EVERYTHING.replace("run.pause", '"run.pause"'), *WRONG])
def test_the_schema_says_what_the_reader_says(text: str, file: Path) -> None:
    file.write_text(text)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    keys = values.get("keys", {})
    if "keys" in values:  # a name without quotes is a table in a table to TOML
        nested = {f"{table}.{name}": one for table in ("run", "app") for name, one in keys.get(table, {}).items()}
        values["keys"] = {name: one for name, one in keys.items() if name not in ("run", "app")} | nested
    try:
        read_settings()
        is_right = True
    except SettingsFileError as mistake:
        is_right = any(words in str(mistake) for words in BEYOND_A_SCHEMA)
    assert agrees(values, schema()) == is_right


def test_the_first_file_says_nothing_and_everything_in_it_is_what_holds(file: Path) -> None:
    file.write_text(template())
    assert read_settings() == UserSettings(file=file)
    lines = [line.removeprefix("# ") for line in template().splitlines()[2:]]
    file.write_text("\n".join(lines))
    found = read_settings()
    assert (found.theme, found.notices.on) == ("auto", NOTICE_KINDS)
    assert set(found.keys) == set(all_bindings())


def test_the_file_of_the_docs_is_right(file: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "comfort.md").read_text(encoding="utf-8")
    block = next(one for one in page.split("```")[1::2] if "[notices]" in one)
    file.write_text(block.removeprefix("toml"))
    found = read_settings()
    assert set(found.keys) == {"run.pause", "cursor.up"}
    assert (found.theme, found.poll_seconds, found.notices) == ("auto", 0.5, UserSettings().notices)


def test_settings_prints_where_what_and_from_where(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    said = capsys.readouterr().out
    assert f"{file} (not there; `simclr-tui settings --init` writes one)" in said
    assert main(["settings", "--init"]) == 0
    assert main(["settings", "--init"]) == 2
    assert "is there already" in capsys.readouterr().err
    file.write_text(EVERYTHING)
    assert main(["settings", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file"] == str(file)
    assert found["settings"]["theme"] == {"value": "simclr-light", "from": "the file"}
    assert found["settings"]["keys.run.pause"] == {"value": ["P"], "from": "the file"}
    assert main(["settings", "--keys"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["run.pause", "P"] in [row[:2] for row in rows]
    assert main(["settings", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


def test_a_setting_inside_a_table_is_from_the_file_only_if_it_says_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(EVERYTHING)
    assert main(["settings", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["settings"]
    assert found["notices.bell"] == {"value": False, "from": "the file"}
    assert found["notices.title"] == {"value": True, "from": "the program"}
