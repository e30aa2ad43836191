"""The real program in a pseudo-terminal: colours, traffic, size, a slow link, and ends that nobody asked for."""

import base64
import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.simclr_tui.pseudo_terminal import SGR, Picture, Terminal
from tests.simclr_tui.support import Holder
from trainer.paths import CONFIG_VARIABLE

pytestmark = pytest.mark.screens

IDLE_BYTES_PER_SECOND = 100
SLOW_BYTES_PER_SECOND = 2000


def styles(written: bytes) -> set[int]:
    """Every number of every SGR; those of a colour in 256 or true colour are taken as one."""
    return {int(number) for found in SGR.findall(written) for number in found.split(b";") if number}


def settled(terminal: Terminal, *texts: str) -> None:
    """Read until it shows something and then stands still."""
    terminal.read_until(*texts)
    while len(terminal.read(0.7)) > IDLE_BYTES_PER_SECOND:
        pass


def without_clock(picture: Picture) -> list[str]:
    return [re.sub(r"\d\d:\d\d:\d\d", "", line) for line in picture.lines]


def test_its_size_is_the_terminals_whatever_a_shell_has_exported(runs: Path, some_runs: dict[str, str]) -> None:
    """As with `docker exec -e COLUMNS=… -e LINES=…`, or readline, which sets both."""
    with Terminal(runs, COLUMNS="60", LINES="15") as terminal:
        settled(terminal, "resting", "events")
        at = len(terminal.output)
        terminal.resize(100, 30)
        terminal.wait(lambda: "quit" in shown(terminal.output[at:], 100, 30)[29])
        assert shown(terminal.output[at:], 100, 30)[0].rstrip()[-8:].replace(":", "").isdecimal(), "the clock"
        assert len(shown(terminal.output[at:], 100, 30)[0].rstrip()) > 90


def shown(written: bytes, width: int, height: int) -> list[str]:
    picture = Picture(width, height)
    picture.write(written)
    return picture.lines


def test_without_colours_it_stands_still_for_few_bytes_and_survives_a_storm_of_sizes(
    runs: Path, some_runs: dict[str, str]
) -> None:
    with Terminal(runs, NO_COLOR="1") as terminal:
        settled(terminal, "resting", "broken", "events")
        begun = time.monotonic()
        still = terminal.read(0.5) + terminal.read(3.0) + terminal.read(0.5)
        assert len(still) / (time.monotonic() - begun) < IDLE_BYTES_PER_SECOND
        for size in [(80, 24), (200, 50), (40, 12), (120, 36), (119, 35)] * 3:
            terminal.resize(*size)
            terminal.read(0.02)
        at = len(terminal.output)
        terminal.resize(100, 30)
        terminal.read(1.0)
        settled(terminal, "resting")
        assert styles(terminal.output) <= {0, 1, 3, 4, 7}, "bold, italic, underlined and reversed are no colours"
        stormed = Picture(100, 30)
        stormed.write(terminal.output[at:])
        at = len(terminal.output)
        terminal.resize(60, 20)
        terminal.resize(100, 30)
        terminal.wait(lambda: b"broken" in terminal.output[at:])  # the terminal may have lost what it showed
        terminal.press("q")
        terminal.wait(terminal.has_ended)
    with Terminal(runs, size=(100, 30), NO_COLOR="1") as fresh:
        settled(fresh, "resting", "events")
        wanted = Picture(100, 30)
        wanted.write(fresh.output)
    assert any("resting" in line for line in wanted.lines)
    assert without_clock(stormed) == without_clock(wanted)


def test_with_16_colours_no_other_is_written_a_copy_is_and_sigterm_leaves_the_terminal_as_it_was(
    runs: Path, some_runs: dict[str, str]
) -> None:
    with Terminal(runs, size=(80, 24), TERM="xterm-16color", COLORTERM=None) as terminal:
        settled(terminal, "resting", "broken")
        terminal.press("y")
        terminal.read_until("copy of waiting")
        terminal.press("\r")
        terminal.read_until(f"\x1b]52;c;{base64.b64encode(some_runs['waiting'].encode()).decode()}\a")
        found = styles(terminal.output)
        assert found & {31, 91, 33, 93, 96}, "there are colours"
        assert not found & {38, 48}, "none of 256 and no true colour"
        os.kill(terminal.pid, signal.SIGTERM)
        terminal.wait(terminal.has_ended, seconds=10)
        assert terminal.exit_code == 128 + signal.SIGTERM
        assert b"\x1b[?1049l" in terminal.output


def test_the_background_is_asked_for_a_death_rings_and_a_lost_terminal_hurts_no_run(
    runs: Path, some_runs: dict[str, str]
) -> None:
    with Holder(runs, some_runs["waiting"]) as survivor, Terminal(runs) as terminal:
        terminal.read_until("\x1b]11;?")
        terminal.press("\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62;c")
        with Holder(runs, some_runs["resting"]) as holder:
            settled(terminal, "2 running", "\x1b[22;2t", "]2;simclr-tui · 2 running")
            assert b"48;2;246;247;248" in terminal.output, "the light theme"
            assert b"\a" not in re.sub(rb"\x1b\][^\a]*\a", b"", terminal.output)
            holder.kill()
            terminal.read_until("\x1b]9;resting was interrupted", "\x1b]777;notify;simclr-tui;resting was interrupted")
            assert b"\a" in re.sub(rb"\x1b\][^\a]*\a", b"", terminal.output), "the bell"
        terminal.hang_up()
        begun = time.monotonic()
        while not terminal.has_ended():
            assert time.monotonic() - begun < 10
            time.sleep(0.05)
        assert terminal.exit_code == 128 + signal.SIGHUP
        assert survivor.process.poll() is None


def test_over_a_slow_link_it_answers_takes_no_more_memory_and_ends_with_the_newest_picture(
    runs: Path, some_runs: dict[str, str]
) -> None:
    with Terminal(runs) as terminal:
        settled(terminal, "resting", "broken", "events")
        process = psutil.Process(terminal.pid)
        before, at = process.memory_info().rss, len(terminal.output)
        for _ in range(15):
            terminal.press("\t")  # the run has the whole screen, or the list is there again: 10 kB each time
            terminal.read(0.1, at_most=SLOW_BYTES_PER_SECOND // 5)
            time.sleep(0.2)
        assert process.memory_info().rss - before < 20 << 20
        assert len(terminal.output) - at < 5 * SLOW_BYTES_PER_SECOND
        at = len(terminal.output)
        settled(terminal)
        assert len(terminal.output) - at < 48 << 10, "pictures that were left out are not sent afterwards"
        terminal.press("q")
        terminal.wait(terminal.has_ended)
        assert terminal.exit_code == 0


@pytest.mark.parametrize("text", ['theme = "simclr-drak"', "[keys]\nrun.pause = 3"])
def test_a_wrong_settings_file_is_a_sentence_before_anything_is_shown(
    text: str, runs: Path, some_runs: dict[str, str]
) -> None:
    file = Path(os.environ[CONFIG_VARIABLE]) / "simclr-tui" / "settings.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with Terminal(runs) as terminal:
        terminal.wait(terminal.has_ended)
        assert terminal.exit_code == 2
        assert f"simclr-tui: {file}: ".encode() in terminal.output
        assert b"\x1b[?1049h" not in terminal.output
        assert b"Traceback" not in terminal.output
