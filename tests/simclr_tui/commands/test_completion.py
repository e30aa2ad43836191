"""What a person gets at a tab, asked of the shells themselves, with a real store and the real program."""

import argparse
import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import shtab

from simclr_tui.commands.completion import script
from simclr_tui.commands.parser import command_parser
from simclr_tui.commands.run_names import say_run_names
from simclr_tui.commands.verb_options import verbs_of
from tests.simclr_tui.support import add_run
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

FUNCTION = """
ask() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
  _shtab_simclr_tui
  echo "${COMPREPLY[*]}"
}
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in PATH with `simclr-tui` in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "simclr-tui"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m simclr_tui "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def named(runs: Path) -> dict[str, str]:
    """Ids by name of three runs, one of whose names is a command."""
    store = RunStore.open(runs)
    ids = {name: add_run(store, name) for name in ("first", "second", "$(touch pwned)")}
    store.close()
    return ids


def bash(text: str, questions: Sequence[Sequence[str]], cwd: Path) -> list[list[str]]:
    """What bash offers for each of some lines, the last word of which is being typed."""
    lines = "\n".join(f"ask {shlex.join(words)}" for words in questions)
    (cwd / "script").write_text(f"{text}\n{FUNCTION}\n{lines}\n")
    done = subprocess.run(["bash", "--norc", "script"], cwd=cwd, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split() for line in done.stdout.splitlines()]


def test_bash_completes_verbs_options_words_files_and_the_names_of_runs(
    runs: Path, named: dict[str, str], program: Path, tmp_path: Path
) -> None:
    folder = ["--runs-dir", str(runs)]
    hostile = named["$(touch pwned)"]
    (tmp_path / "first.tar").touch()
    answers = {
        ("pa",): ["pause"],
        ("pause", *folder, "fir"): ["first"],
        ("pause", *folder, ""): [hostile, "second", "first"],
        (*folder, "compare", "first", "sec"): ["second"],
        ("queue", *folder, "up", "fi"): ["first"],
        ("benchmark", *folder, "--of", "sec"): ["second"],
        ("launch", "--augment", ""): ["kornia", "torchvision", "fused"],
        ("launch", "--preset", "stl10-f"): ["stl10-fast"],
        ("evaluate", *folder, "first", "--what", "l"): ["layers", "labels"],
        ("export", *folder, "first", "--to", ""): ["csv", "jsonl", "parquet", "tensorboard", "archive", "encoder"],
        ("preview", "--imag"): ["--images", "--image-size"],
        ("import", "fir"): ["first.tar"],
        ("pause", "--runs-dir", str(tmp_path / "nowhere"), ""): [],
    }
    found = bash(script("bash"), [["simclr-tui", *words] for words in answers], tmp_path)
    assert dict(zip(answers, found, strict=True)) == answers
    assert not (tmp_path / "pwned").exists()


def test_shtabs_own_way_of_asking_a_command_would_run_a_runs_name(
    runs: Path, named: dict[str, str], program: Path, tmp_path: Path
) -> None:
    parser = argparse.ArgumentParser(prog="simclr-tui")
    names = "printf '%s\\n' " + shlex.quote("$(touch pwned)")
    parser.add_argument("run").complete = shtab.cmd(names)  # type: ignore[attr-defined]
    bash(shtab.complete(parser, shell="bash"), [["simclr-tui", ""]], tmp_path)
    assert (tmp_path / "pwned").exists()


def test_bash_completes_every_option_that_the_help_of_every_verb_names(tmp_path: Path) -> None:
    verbs = {verb: parser for verb, parser in verbs_of(command_parser()).choices.items() if verb != "preview"}
    found = bash(script("bash"), [["simclr-tui", verb, "-"] for verb in verbs], tmp_path)
    for (verb, parser), words in zip(verbs.items(), found, strict=True):
        shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
        assert set(words) == {option for action in shown for option in action.option_strings}, verb


def test_names_are_told_by_next_to_nothing(runs: Path, named: dict[str, str]) -> None:
    code = (
        "import sys; from simclr_tui.__main__ import main\n"
        f"main(['--run-names', '--runs-dir', {str(runs)!r}])\n"
        "print('heavy:', *(name for name in ('torch', 'textual', 'rich', 'numpy', 'shtab') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [named["$(touch pwned)"], "second", "first", "heavy:"]


@pytest.mark.parametrize(
    "name", ["two words", "-x", "~", "a;b", "a`b`", "a'b", "*", "!", "#a", "a\\b", "é", ":x", "a=b"]
)
def test_a_name_that_is_no_plain_word_is_told_by_its_id(
    runs: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "plain")
    store.update_run(run_id, name=name)
    store.close()
    say_run_names(runs)
    assert capsys.readouterr().out == f"{run_id}\n"
    reader = StoreReader.open(runs)
    assert reader.names(1) == [(run_id, name)]
    reader.close()


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
def test_fish_completes_verbs_words_and_the_names_of_runs(
    runs: Path, named: dict[str, str], program: Path, tmp_path: Path
) -> None:
    (tmp_path / "script").write_text(script("fish"))
    folder = f"--runs-dir {shlex.quote(str(runs))}"
    lines = ["simclr-tui pau", "simclr-tui launch --augment ", f"simclr-tui pause {folder} "]
    code = "source script\n" + "\n".join(f'complete -C "{line}"; echo' for line in lines)
    done = subprocess.run(["fish", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    offered = [[line.split("\t")[0] for line in part.splitlines()] for part in done.stdout.split("\n\n")]
    assert offered[:2] == [["pause"], ["kornia", "torchvision", "fused"]]
    assert set(offered[2]) == {"first", "second", named["$(touch pwned)"]}
    assert not (tmp_path / "pwned").exists()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed here")
def test_zsh_completes_verbs_words_and_the_names_of_runs(
    runs: Path, named: dict[str, str], program: Path, tmp_path: Path
) -> None:
    (tmp_path / "script").write_text(script("zsh"))
    completed = {
        'autoload -Uz compinit; compinit -D; eval "$(<script)"; echo $((6 * 7))\n': "42",
        "simclr-tui pau\t": "pause ",
        f"\x15simclr-tui pause --runs-dir {shlex.quote(str(runs))} sec\t": "second ",
        "\x15simclr-tui launch --augment torchv\t": "torchvision ",
    }
    assert typed_into("zsh", "dumb", tmp_path, completed) == completed
    assert not (tmp_path / "pwned").exists()


@pytest.mark.skipif(shutil.which("tcsh") is None, reason="tcsh is not installed here")
def test_tcsh_completes_verbs_words_and_the_names_of_runs(
    runs: Path, named: dict[str, str], program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMCLR_TUI_RUNS", str(runs))
    (tmp_path / "script").write_text(script("tcsh"))
    completed = {
        "source script; expr 6 '*' 7\n": "42",
        "simclr-tui pau\t": "pause ",
        "\x15simclr-tui pause sec\t": "second ",
        "\x15simclr-tui launch --augment torchv\t": "torchvision ",
    }
    assert typed_into("tcsh", "xterm", tmp_path, completed) == completed
    assert not (tmp_path / "pwned").exists()


def typed_into(shell: str, term: str, cwd: Path, wanted: dict[str, str]) -> dict[str, str]:
    """What an interactive shell without anybody's settings adds to each line that is typed: what is wanted, or all."""
    environment = {**os.environ, "TERM": term, "HOME": str(cwd), "ZDOTDIR": str(cwd)}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execvpe(shell, [shell, "-f", "-i"], environment)
    found = {}
    for line, word in wanted.items():
        os.write(terminal, line.encode())
        said, until = b"", time.monotonic() + 20
        while word.encode() not in said and time.monotonic() < until:
            if select.select([terminal], [], [], 0.1)[0]:
                said += os.read(terminal, 65536)
        found[line] = word if word.encode() in said else said.decode(errors="replace")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    return found
