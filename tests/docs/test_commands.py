"""Every command of the README and the docs is one that the programs take; those that are quick are done, in a store."""

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from simclr_tui.__main__ import _COMMANDS, main
from simclr_tui.commands.parser import command_parser
from tests.docs.pages import NOT_TYPED, PYTHON, SHELL, Command, all_commands, blocks, commands_of, pages
from tests.exits import code_of
from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.options import OptionParser, given
from trainer.presets import load_preset
from trainer.preview_options import preview_parser
from trainer.run_options import run_parser

OTHER_PROGRAMS = {
    "python3 -m venv": "tests/test_packaging.py installs into an environment of its own",
    ".venv/bin/pip": "the same",
    "pip install": "the same",
    ". .venv/bin/activate": "the same",
    "uv run": "uv comes from outside",
    "scp": "there is no other machine",
    "rsync": "there is no other machine",
    "ssh": "there is no other machine",
    "sbatch": "there is no cluster",
    "scontrol": "there is no cluster",
    "squeue": "there is no cluster",
    "scancel": "there is no cluster",
    "sudo": "the tests change nothing of the machine",
    "export ": "a variable of the reader's shell",
    "[ ": "a test of the shell",
    "systemctl": "the tests start no services",
    "loginctl": "the tests change nobody's logins",
    "tensorboard": "a server that does not end",
    "python -m pytest": "these are the tests",
    ".venv/bin/python -m tests": "these are the tests",
    "python with_my_net.py": "tests/docs/test_examples.py runs it with fewer images",
}
"""Beginnings of commands that are not this program's, and why they are not run here."""

ONLY_PARSED = {
    "": "the dashboard, which tests/simclr_tui/test_real_terminal.py opens in a terminal",
    "demo": "trains for two minutes; tests/reliability/test_demo.py runs it, and tests/test_packaging.py a short one",
    "resume": "starts a trainer; tests/simclr_tui/commands/test_commands.py",
    "fork": "starts a trainer; tests/simclr_tui/commands/test_forking.py",
    "pause": "needs a live trainer; tests/simclr_tui/commands/test_commands.py",
    "stop": "needs a live trainer; tests/simclr_tui/commands/test_commands.py",
    "evaluate": "starts a job; tests/simclr_tui/commands/test_commands.py",
    "benchmark": "starts a job; tests/simclr_tui/commands/test_benchmark.py",
    "serve": "a server that does not end; tests/simclr_tui/browser/",
    "mirror": "needs a logger's package; tests/trainer/mirror/test_loggers.py",
    "notify --test": "sends; tests/simclr_tui/commands/test_notify.py",
    "launch --slurm": "there is no cluster; tests/simclr_tui/commands/test_submitting.py",
    "preview": "becomes another program, with torch; tests/trainer/test_preview.py",
    "export --to encoder": "needs the weights of a network; tests/trainer/export/test_encoder.py",
    "doctor --torture": "trains for a minute; tests/trainer/test_torture.py",
}
"""What is parsed, with its settings checked, and not done, and why."""

BY_PAGE = {page.name: list(commands_of(page.name, page.read_text(encoding="utf-8"))) for page in pages()}
PAGES_WITH_COMMANDS = [name for name, commands in BY_PAGE.items() if any(command.in_block for command in commands)]


def own(command: Command) -> tuple[str, list[str]] | None:
    """Which of our programs a command starts, and its words; None where it is another's.

    Raises:
        LookupError: it is neither ours nor in the list of others.
    """
    line = " ".join(command.words)
    words = list(command.words)
    if Path(words[0]).name == "simclr-tui":
        return "simclr-tui", words[1:]
    for module in ("trainer.run", "trainer.preview"):
        if any(pair == ("-m", module) for pair in pairwise(words)):  # by torchrun, srun or Python
            return module, words[words.index(module) + 1 :]
    if words[0] == "sqlite3" or any(line.startswith(beginning) for beginning in OTHER_PROGRAMS):
        return None
    raise LookupError(
        f"{command} is neither this program's nor in OTHER_PROGRAMS; a block that is not typed needs a language: "
        + ", ".join(NOT_TYPED)
    )


@cache
def parser_of(program: str) -> OptionParser:
    """The real one; making that of all verbs takes a while."""
    parsers = {"simclr-tui": command_parser, "trainer.run": run_parser, "trainer.preview": preview_parser}
    return parsers[program]()


def checked(program: str, words: Sequence[str]) -> argparse.Namespace:
    """What the real parser makes of some words, with the settings that they name checked.

    Raises:
        LookupError: they are no command.
        UsageError: a setting is wrong.
    """
    if list(words) == ["--help"] or "--version" in words:
        return argparse.Namespace(verb=None)
    is_preview = program == "trainer.preview" or words[:1] == ["preview"]
    parser = parser_of("trainer.preview" if is_preview else program)
    try:
        options = parser.parse_args(list(words[1:] if words[:1] == ["preview"] else words))
    except SystemExit as end:
        if end.code:
            raise LookupError(f"{program} {' '.join(words)} is refused") from None
        return argparse.Namespace(verb=words[0])  # --help of a verb
    if is_preview or program == "trainer.run" or options.verb in ("demo", "launch"):
        preset = getattr(options, "preset", None)
        settings = given(options, PretrainConfig)
        (load_preset(preset).config if preset else PretrainConfig)(**settings)
    if is_preview:
        options.verb = "preview"
    return options


@pytest.mark.parametrize("name", BY_PAGE)
def test_every_command_of_a_page_is_one_that_there_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in BY_PAGE[name]:
        found = own(command)
        if found is None:
            continue
        program, words = found
        if not command.in_block and len(words) == 1 and not words[0].startswith("-"):  # a verb that is only named
            assert words[0] in _COMMANDS, command
        else:
            checked(program, words)


WRONG = ("simclr-tui begin", "simclr-tui ls --sor knn", "simclr-tui launch --epochs none", "rm -rf /")


@pytest.mark.parametrize("line", [*WRONG, "simclr-tui launch --warmup-epochs 600"])
def test_a_wrong_command_is_noticed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = commands_of("a page", f"```\n{line}\n```\n")
    with pytest.raises((LookupError, UsageError)):
        checked(*(own(command) or ("", [])))


def test_commands_are_found_in_blocks_and_in_sentences() -> None:
    text = "Do `simclr-tui stop RUN …`.\n\n```sh\na b && c > d   # e\n```\n\n```text\nnot this\n```\n"
    assert [(command.words, command.in_block) for command in commands_of("a page", text)] == [
        (("a", "b"), True),
        (("c",), True),
        (("simclr-tui", "stop", "first"), False),
    ]


def test_a_line_that_no_shell_could_read_is_told_with_its_page() -> None:
    with pytest.raises(LookupError, match=r"a page: .*No closing quotation.*give its block a language"):
        list(commands_of("a page", "```\nsomebody's words\n```\n"))


def test_every_block_is_of_a_language_that_is_known() -> None:
    for page in pages():
        languages = {language for language, _ in blocks(page.read_text(encoding="utf-8"))}
        assert languages <= {*SHELL, *NOT_TYPED, PYTHON}, page.name


@pytest.mark.parametrize("name", PAGES_WITH_COMMANDS)
def test_the_quick_commands_of_a_page_do_what_they_are_for(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (command for command in BY_PAGE[name] if command.in_block):
        found = own(command)
        if command.words[0] == "sqlite3":
            query(here, command)
        if found is None or found[0] != "simclr-tui" or why_not_done(found[1]):
            continue
        words = found[1]
        if words[0] == "launch" and "--dry-run" not in words:
            words.append("--dry-run")
        if words[0] == "import" and "--runs-dir" not in words:  # on another machine
            words += ["--runs-dir", "elsewhere"]
        words = [word for word in words if word != "--follow"]
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["simclr-tui", *words])
            code = code_of(main, words)
        said = capsys.readouterr()
        assert code in ((0, 1) if words[0] == "doctor" else (0,)), f"{command}\n{said.err}"
        assert said.out, command


def why_not_done(words: Sequence[str]) -> str | None:
    """The reason why a command is only parsed."""
    if not words:
        return ONLY_PARSED[""]
    line = " ".join(words)
    longer = [
        why
        for key, why in ONLY_PARSED.items()
        if " " in key and line.startswith(key.split()[0]) and key.partition(" ")[2] in line
    ]
    return longer[0] if longer else ONLY_PARSED.get(words[0])


def query(here: Path, command: Command) -> None:
    """What the `sqlite3` shell would do: `sqlite3 -readonly FILE SQL`."""
    flag, file, sql = command.words[1:]
    assert flag == "-readonly"
    connection = sqlite3.connect(f"file:{here / file}?mode=ro", uri=True)
    connection.execute(sql).fetchall()
    connection.close()


def test_what_is_only_parsed_is_a_verb_and_the_tests_that_do_it_are_there() -> None:
    root = Path(__file__).parents[2]
    for words, why in {**ONLY_PARSED, **OTHER_PROGRAMS}.items():
        if words in ONLY_PARSED and words:
            assert words.split()[0] in _COMMANDS
        for place in (word.rstrip(",;") for word in why.split() if word.startswith("tests/")):
            assert (root / place).exists(), place
    done = {found[1][0] for found in map(own, all_commands()) if found and not why_not_done(found[1])}
    assert done >= {"ls", "show", "metrics", "compare", "export", "import", "launch", "tag", "queue", "log", "doctor"}
