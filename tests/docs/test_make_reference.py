"""The reference is what the code gives; `python -m docs.make_reference` writes it."""

import argparse
import json
import re

import pytest
from textual.theme import BUILTIN_THEMES

from docs import make_reference
from docs.make_reference import PAGES, REFERENCE, cell, commands, made, settings, table
from simclr_tui.__main__ import _COMMANDS
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.settings import fields_of
from trainer.store import RunStore


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_gives(name: str) -> None:
    found = (REFERENCE / name).read_text(encoding="utf-8")
    assert found == made(name), "`python -m docs.make_reference` writes it anew"


def test_the_settings_file_is_whole_but_for_what_is_another_librarys() -> None:
    text = made("settings-file.md")
    assert json.loads(text.partition("```json\n")[2].partition("```")[0])["properties"].keys() == {
        *("theme", "poll_seconds", "graphics", "notices", "keys", "price_per_kwh", "currency"),
    }
    assert not any(f" {name}" in text for name in BUILTIN_THEMES if name != "textual")


def test_there_is_no_other_page() -> None:
    assert {path.name for path in REFERENCE.iterdir()} == set(PAGES)


def test_a_changed_page_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert make_reference.main(["--check"]) == 0
    monkeypatch.setitem(PAGES, "exit-codes.md", lambda: "# Exit codes\n\nAnother program's.\n")
    assert make_reference.main(["--check"]) == 1
    assert "exit-codes.md" in capsys.readouterr().out


def test_every_setting_has_a_row_with_its_default() -> None:
    text = settings()
    for config in (PretrainConfig, EvaluateConfig, BenchmarkConfig):
        for field in fields_of(config):
            assert re.search(rf"^\| `{field.option}` \|.*{re.escape(cell(field.help[:30]))}", text, re.M), field.name


def test_every_verb_and_every_option_of_its_own_is_there() -> None:
    text = commands()
    assert set(re.findall(r"^### (\S+)$", text, re.M)) == set(_COMMANDS)
    for option in ("--sweep NAME=V1,V2 …", "--replay STEP", "--epoch [N]", "--no-wait`", "--images N", "--requeue`"):
        assert f"`{option}" in text


def test_every_column_of_the_store_is_there(store: RunStore) -> None:
    text = made("tables.md")
    names = [row[0] for row in store.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in (name for name in names if not name.startswith(("_", "sqlite"))):
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        columns = [row[1] for row in store.connection.execute(f"PRAGMA table_info({name})")]
        assert re.findall(r"^\| `(\w+)`", section, re.M) == columns


def test_what_would_end_a_cell_or_be_a_tag_is_written_so_that_it_is_not() -> None:
    assert cell("a|b <c> `<d|e>`") == "a\\|b &lt;c> `<d\\|e>`"
    assert table(["a"], [["x"]]) == "| a |\n| --- |\n| x |\n"


def test_words_are_written_as_they_are_typed() -> None:
    parser = argparse.ArgumentParser()
    actions = [
        parser.add_argument("words", nargs="*", metavar="WORD"),
        parser.add_argument("--flag", action="store_true"),
        parser.add_argument("--x", choices=("a", "b")),
    ]
    assert [make_reference._written(action) for action in actions] == ["`[WORD …]`", "`--flag`", "`--x a|b`"]
