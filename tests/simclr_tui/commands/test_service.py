"""The systemd unit, read back by the rules of systemd.syntax(7), systemd.unit(5) and systemd.service(5)."""

import getpass
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simclr_tui.__main__ import main
from simclr_tui.commands.service import quoted, unit
from trainer.errors import UsageError

ODD = '/srv/my runs/100 % of "them"/a\\b/$HOME/ünï;#'


def words_of(line: str) -> list[str]:
    """The words of a line, by the slow obvious way: quotes, backslashes, then specifiers."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    letters = iter(line)
    for letter in letters:
        if letter == "\\":
            escaped = next(letters)
            assert escaped in '\\"', escaped
            word = (word or "") + escaped
        elif quote:
            quote, word = ("", word) if letter == quote else (quote, (word or "") + letter)
        elif letter in "\"'" and word in (None, ":"):
            quote, word = letter, word or ""
        elif letter == " ":
            words += [] if word is None else [word]
            word = None
        else:
            assert letter not in "\"'", line
            word = (word or "") + letter
    assert not quote, line
    return [specified(one) for one in [*words, *([] if word is None else [word])]]


def specified(word: str) -> str:
    """A word with its specifiers replaced; only the one for a percent sign may be there."""
    assert word.count("%") == 2 * word.count("%%"), word
    return word.replace("%%", "%")


def parsed(text: str) -> dict[str, list[tuple[str, str]]]:
    """The sections of a unit with their assignments; comments are left out."""
    sections: dict[str, list[tuple[str, str]]] = {}
    here: list[tuple[str, str]] = []
    for line in text.splitlines():
        if not line or line[0] in "#;":
            continue
        assert not line.endswith("\\")
        if line[0] == "[":
            here = sections.setdefault(line.strip("[]"), [])
        else:
            name, _, value = line.partition("=")
            here.append((name, value))
    return sections


@pytest.mark.parametrize("runs", ["/home/ada/runs", ODD])
@pytest.mark.parametrize("python", ["/opt/venv/bin/python", "/opt/my $venv 5%/bin/python"])
def test_it_resumes_all_runs_of_the_folder_with_the_same_interpreter(python: str, runs: str) -> None:
    sections = parsed(unit(Path(python), Path(runs), None))
    service = dict(sections["Service"])
    words = words_of(service["ExecStart"])
    # The colon before the program switches variables off, so that a dollar stays one.
    assert words == [f":{python}", "-m", "simclr_tui", "--runs-dir", runs, "resume", "--all"]
    assert dict(sections["Install"]) == {"WantedBy": "default.target"}


def test_systemd_ends_no_trainer_when_all_are_started_or_the_unit_is_stopped() -> None:
    service = dict(parsed(unit(Path("/p"), Path("/r"), None))["Service"])
    assert service["Type"] == "oneshot"
    assert service["RemainAfterExit"] == "yes"
    assert service["KillMode"] == "process"


def test_another_folder_of_locks_is_the_units_too() -> None:
    service = dict(parsed(unit(Path("/p"), Path("/r"), "/lo cks/%d"))["Service"])
    assert words_of(service["Environment"]) == ["SIMCLR_TUI_LOCKS=/lo cks/%d"]
    assert "Environment" not in dict(parsed(unit(Path("/p"), Path("/r"), None))["Service"])


@given(st.lists(st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f"), min_size=1)))
def test_any_words_come_back_as_they_were(words: list[str]) -> None:
    assert words_of(" ".join(map(quoted, words))) == words


def test_quoting_by_blanks_alone_would_lose_words() -> None:
    """The negative control."""
    assert words_of(f'"{"/a b"}"') == ["/a b"]
    with pytest.raises(AssertionError):
        words_of(f'"{ODD}"')


@pytest.mark.parametrize("word", ["/a\nb", "/a\x00b", "/a\x7f", "/\udcff"])
def test_a_path_that_no_unit_can_name_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="can't be named in a systemd unit; choose a path without control characters"):
        quoted(word)


@pytest.mark.parametrize("python", ["/a'b/python", '/a"b/python', "/a\\b/python"])
def test_an_interpreter_that_systemd_does_not_start_is_refused(python: str) -> None:
    with pytest.raises(UsageError, match="its path has a quote or a backslash; move it"):
        unit(Path(python), Path("/r"), None)


def test_it_is_printed_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SIMCLR_TUI_LOCKS")
    assert main(["service", "--runs-dir", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().out == unit(Path(sys.executable), tmp_path / "runs", None)
    assert list(tmp_path.iterdir()) == []


def test_installed_it_says_the_two_commands_that_enable_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    line = ["--runs-dir", str(tmp_path / "runs"), "service", "--install"]
    assert main(line) == 0
    path = tmp_path / "config/systemd/user/simclr-tui.service"
    said = capsys.readouterr().out
    assert str(path) in said
    assert "  systemctl --user enable simclr-tui.service\n  loginctl enable-linger\n" in said
    assert parsed(path.read_text())
    assert main(line) == 0
    path.write_text("somebody else's")
    assert main(line) == 2
    assert path.read_text() == "somebody else's"
    assert "says something else; look at it, and move it away first" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert main(["service", "--install"]) == 2
    assert "can't be written" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("name", ["plain", "my venv, 100 % of $HOME", "ünï;#"])
def test_systemd_itself_finds_nothing_wrong_with_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "simclr-tui.service"
    python = tmp_path / name / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    path.write_text(unit(python, tmp_path / f'{name} and "quoted" \\', str(tmp_path / name)))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={
            "XDG_RUNTIME_DIR": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "USER": getpass.getuser(),
            "HOME": str(tmp_path),
        },
    )
    # The machine of the tests may have no systemd running; what it says of the unit counts.
    about_it = [line for line in done.stderr.splitlines() if "simclr-tui" in line or str(tmp_path) in line]
    assert about_it == []
