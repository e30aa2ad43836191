"""Where addresses are read from, who may read them, and that none is ever shown."""

import os
import traceback
from pathlib import Path

import pytest

from trainer.addresses import (
    TEMPLATE,
    USUAL_KINDS,
    Address,
    NotifyError,
    notify_file,
    read_notify,
    trouble,
)

SECRET = "ntfys://ntfy.sh/hush-hush"


def write(text: str, *, mode: int = 0o600) -> Path:
    """The person's file."""
    file = notify_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_without_a_file_nobody_is_told() -> None:
    assert read_notify({}).to == ()
    assert trouble() == ""


def test_the_file_has_names_and_addresses_kinds_and_a_limit() -> None:
    file = write(f'on = ["failed", "paused"]\nper_hour = 3\n[to]\nphone = "{SECRET}"\nmail = "mailtos://a:b@c.org"\n')
    found = read_notify({})
    assert [(one.name, one.service) for one in found.to] == [("phone", "ntfys"), ("mail", "mailtos")]
    assert (found.on, found.per_hour, found.source) == (("failed", "paused"), 3, str(file))
    assert found.to[0].url == SECRET


def test_the_first_file_says_what_holds_and_its_examples_are_addresses() -> None:
    write(TEMPLATE)
    assert read_notify({}).to == ()
    lines = TEMPLATE.splitlines()
    write("\n".join(line.removeprefix("# ") if "=" in line and line.startswith("# ") else line for line in lines))
    found = read_notify({})
    assert (len(found.to), found.on, found.per_hour) == (4, USUAL_KINDS, 20)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused_with_the_command_that_mends_it(mode: int) -> None:
    file = write(f'[to]\nphone = "{SECRET}"\n', mode=mode)
    with pytest.raises(NotifyError) as caught:
        read_notify({})
    assert f"chmod 600 {file}" in str(caught.value)
    assert str(caught.value) == trouble()
    file.chmod(0o400)
    assert read_notify({}).to == (Address("phone", SECRET),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("to = 3", "to: it has to be a table"),
        (f'[to]\nphone = "{SECRET.partition("//")[2]}"', "to.phone: it has to be an address"),
        ("[to]\nphone = 3", "to.phone: it has to be an address"),
        (f'[to]\n"{SECRET}" = "{SECRET}"', "to: a name there is no word"),
        (f"[to]\nphone = {SECRET}", "TOML"),
        (f'[to]\nphone = "{SECRET}"\nphone = "{SECRET}"', "TOML"),
        ('on = "failed"', "on: it has to be a list"),
        ('on = ["hush"]', "on: it has to be a list"),
        ("per_hour = 0", "per_hour: it has to be a whole number from 1 to 1000"),
        ("per_hour = true", "per_hour"),
        ("whom = 1", "there is no such setting"),
    ],
)
def test_a_mistake_is_a_sentence_with_the_file_and_without_the_address(text: str, words: str) -> None:
    file = write(text)
    with pytest.raises(NotifyError) as caught:
        read_notify({})
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_the_environment_comes_first_with_addresses_a_file_or_nothing(tmp_path: Path) -> None:
    write(f'[to]\nphone = "{SECRET}"\n')
    two = read_notify({"SIMCLR_TUI_NOTIFY": f" {SECRET}  json://a/b\njson://c "})
    assert [(one.name, one.url) for one in two.to] == [
        ("ntfys", SECRET),
        ("json", "json://a/b"),
        ("json-2", "json://c"),
    ]
    assert two.on == USUAL_KINDS
    assert read_notify({"SIMCLR_TUI_NOTIFY": "off"}).to == ()
    assert [one.name for one in read_notify({"SIMCLR_TUI_NOTIFY": ""}).to] == ["phone"]
    other = tmp_path / "other.toml"
    other.write_text('[to]\nelse = "json://b"\n')
    other.chmod(0o600)
    assert [one.name for one in read_notify({"SIMCLR_TUI_NOTIFY": str(other)}).to] == ["else"]
    with pytest.raises(NotifyError, match="is not there; write it"):
        read_notify({"SIMCLR_TUI_NOTIFY": str(tmp_path / "missing")})
    with pytest.raises(NotifyError, match=r"\$SIMCLR_TUI_NOTIFY: word 2") as caught:
        read_notify({"SIMCLR_TUI_NOTIFY": f"{SECRET} hush"})
    assert "hush" not in str(caught.value)


def test_a_user_without_a_home_has_no_file_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    assert read_notify({}).to == ()
    with pytest.raises(NotifyError, match="give a path that begins with /"):
        read_notify({"SIMCLR_TUI_NOTIFY": "~no-such-user/notify.toml"})


def test_a_package_that_is_missing_is_said_with_the_command_that_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(f'[to]\nphone = "{SECRET}"\n')
    assert trouble() == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert trouble() == f"{file}: its addresses need a package more; `pip install 'simclr-tui[notify]'`"


def test_an_address_shows_its_name_and_service_alone() -> None:
    address = Address("phone", SECRET)
    assert "hush" not in repr(address) + str([address]) + f"{read_notify({'SIMCLR_TUI_NOTIFY': SECRET})}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused() -> None:
    os.chown(write("[to]\n"), 12345, -1)
    with pytest.raises(NotifyError, match="belongs to somebody else"):
        read_notify({})
