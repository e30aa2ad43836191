"""The help lists every verb once, below a heading."""

import re

import pytest

from simclr_tui.__main__ import _COMMANDS, main
from simclr_tui.commands.verb_help import GROUPS


def test_every_verb_is_listed_once_below_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out.partition("Verbs:\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^    (\S+)", text, flags=re.MULTILINE)
    assert sorted(listed) == sorted(_COMMANDS)
    assert re.findall(r"^  (\S.*)$", text, flags=re.MULTILINE) == list(GROUPS)
    assert {name for names in GROUPS.values() for name in names} == set(_COMMANDS), "each has a heading of its own"
