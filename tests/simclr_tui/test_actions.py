"""Handles of trainers that the dashboard started."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from simclr_tui.actions import Actions


class _Starting:
    """A trainer that has not ended; while it is asked, a thread starts another one."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions

    def poll(self) -> None:
        """Has not ended."""
        self._actions._children.append("another")  # type: ignore[arg-type]


def test_a_trainer_that_is_started_while_others_are_reaped_is_not_forgotten(tmp_path: Path) -> None:
    actions = Actions(tmp_path, lambda _: None)
    children: list[Any] = actions._children
    children.append(_Starting(actions))
    actions.reap()
    assert "another" in children


def test_what_has_ended_is_let_go_and_leaves_no_zombie(tmp_path: Path) -> None:
    actions = Actions(tmp_path, lambda _: None)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    going = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    actions._children += [ended, going]
    while Path(f"/proc/{ended.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        pass
    actions.reap()
    assert actions._children == [going]
    assert not Path(f"/proc/{ended.pid}").exists()
    going.kill()
    going.wait()
