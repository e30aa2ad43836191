"""`simclr-tui notify`: what is set up, a first file, and whether a notice arrives; never an address."""

import json
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from tests.trainer.notices.servers import closed_port, hook
from trainer.addresses import notify_file
from trainer.notices import delivery
from trainer.store import RunStore


def set_up(text: str) -> Path:
    """The person's file."""
    file = notify_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_without_a_file_it_says_how_to_make_one_and_makes_it_for_one_person_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["notify"]) == 0
    assert capsys.readouterr().out == (
        f"no address is set up; `simclr-tui notify --init` writes {notify_file()} with examples\n"
    )
    assert main(["notify", "--test"]) == 2
    assert main(["notify", "--init"]) == 0
    assert notify_file().stat().st_mode & 0o777 == 0o600
    assert main(["notify"]) == 0
    assert "below the line [to]" in capsys.readouterr().out
    assert main(["notify", "--init"]) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_user_without_a_home_is_told_what_to_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    assert main(["notify"]) == 2
    assert "XDG_CONFIG_HOME: this user has no home folder; set it" in capsys.readouterr().err


def test_it_shows_names_and_services_and_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    file = set_up('per_hour = 3\n[to]\nphone = "ntfys://ntfy.sh/hush-hush"\n')
    assert main(["notify"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == str(file)
    assert "phone  ntfys" in out
    assert "at most 3 notices an hour" in out
    assert main(["notify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["to"], found["per_hour"], found["trouble"]) == ({"phone": "ntfys"}, 3, "")
    assert "hush" not in out + str(found)


def test_a_test_notice_arrives_and_where_one_does_not_the_code_is_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with hook() as server:
        away = f"json://me:hush-hush@127.0.0.1:{closed_port()}/a-secret-path"
        set_up(f'[to]\nhook = "{server.url}"\naway = "{away}"\n')
        assert main(["notify", "--test"]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(maxsplit=2) for line in lines[1:]] == [
            ["hook", "json", "was taken by its server"],
            ["away", "json", "its server takes no connection"],
        ]
        assert server.titles == ["simclr-tui notify --test"]
    monkeypatch.setattr(delivery, "deliver", lambda message, to: {address.name: "" for address in to})
    assert main(["notify", "--test", "--json"]) == 0
    taken = {"arrived": True, "reason": None}
    assert json.loads(capsys.readouterr().out) == {"hook": taken, "away": taken}


def test_a_missing_package_and_a_file_for_all_to_read_are_sentences_with_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = set_up('[to]\nphone = "ntfys://ntfy.sh/hush-hush"\n')
    with monkeypatch.context() as patched:
        patched.setattr("importlib.util.find_spec", lambda name: None)
        assert main(["notify", "--test"]) == 1
        assert "pip install 'simclr-tui[notify]'" in capsys.readouterr().err
    file.chmod(0o644)
    assert main(["notify"]) == 2
    err = capsys.readouterr().err
    assert f"chmod 600 {file}" in err
    assert "hush" not in err


def test_whoever_launches_a_run_learns_at_once_that_nobody_will_be_told(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Child:
        pid = 1

    monkeypatch.setattr("simclr_tui.commands.starting.start_run", lambda *_, **__: Child())
    line = ["--runs-dir", str(runs), "launch", "--preset", "demo"]
    assert main(line) == 0
    assert capsys.readouterr().err == ""
    file = set_up("whom = 3\n")
    assert main(line) == 0
    assert f"simclr-tui: nobody will be told what becomes of this run: {file}" in capsys.readouterr().err
