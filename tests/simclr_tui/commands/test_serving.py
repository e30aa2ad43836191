"""`simclr-tui serve`: its sentences, and its life as a real process."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from simclr_tui.__main__ import main
from simclr_tui.browser.access import Access
from simclr_tui.browser.listening import Place, listen
from simclr_tui.commands.serving import _own_token, _words
from tests.exits import code_of
from tests.processes import kill_all_of
from tests.simclr_tui.bench_store import add_benchmark
from tests.simclr_tui.browser.visitor import TOKEN, Visitor, cookie
from tests.simclr_tui.support import Holder
from trainer.benchmark_config import BenchmarkConfig
from trainer.store.runs import RunStore


class Server:
    """A real server process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Reads what it says at the start."""
        self.process = process
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while lines[-1].strip() and "another machine" not in lines[-1] and "warning" not in lines[-1]:
            lines.append(process.stdout.readline())
        self.said = "".join(lines)

    @property
    def address(self) -> str:
        """The address, without what follows the host."""
        return self.said.partition("/?")[0].splitlines()[0].rstrip("/")

    def dashboards(self) -> list[psutil.Process]:
        """The processes of its pages."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children()
        return found

    async def visit(self, client: aiohttp.ClientSession, token: str) -> Visitor:
        """Open a page, as a browser that has shown the token does."""
        host = self.address.removeprefix("http://")
        headers = {"Origin": self.address, **cookie(host, token)}
        return Visitor(await client.ws_connect(f"{self.address}/ws?width=100&height=30", headers=headers))


@contextmanager
def serving(runs: Path, *words: str, **variables: str) -> Iterator[Server]:
    """A server on a free port that is killed at the end if it still lives."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simclr_tui", "serve", "--runs-dir", str(runs), "--port", "0", *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        yield Server(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        kill_all_of(runs)


async def test_ctrl_c_ends_the_server_and_its_dashboards_and_no_run(runs: Path, some_runs: dict[str, str]) -> None:
    with Holder(runs, some_runs["resting"]) as trainer, serving(runs) as server:
        token = re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=([\w-]{43})", server.said.splitlines()[0])
        assert token, server.said
        assert "ssh -L" in server.said
        assert not any(token[1] in word for word in psutil.Process(server.process.pid).cmdline())
        async with aiohttp.ClientSession() as client:
            page = await server.visit(client, token[1])
            await page.wait_for("resting", "running")
            (dashboard,) = server.dashboards()
            server.process.send_signal(signal.SIGINT)
            await page.wait_until_closed()
        assert server.process.wait(15) == 130
        assert not dashboard.is_running()
        assert trainer.process.poll() is None


@pytest.mark.screens
async def test_what_a_dashboard_still_finishes_is_waited_for_and_a_second_ctrl_c_leaves_it_undone(
    runs: Path, some_runs: dict[str, str]
) -> None:
    with closing(RunStore.open(runs)) as store:
        config = BenchmarkConfig(vary="cache=ram,none num_workers=0,2", base='{"image_size": 32}', rounds=10)
        add_benchmark(store, "bench", config, rounds=10)
        with Holder(runs, some_runs["resting"]), serving(runs, SIMCLR_TUI_TOKEN=TOKEN) as server:
            async with aiohttp.ClientSession() as client:
                page = await server.visit(client, TOKEN)
                await page.wait_for("▸■ resting", "bench")
                for key, seen in (("\x1b[B", "★ bench"), ("b", "a apply"), ("a", "▸ resting")):
                    await page.send("stdin", key)
                    await page.wait_for(seen)
                await page.send("stdin", "\r")
                await page.wait(lambda: bool(store.pending_commands(some_runs["resting"])))  # which nobody obeys
                server.process.send_signal(signal.SIGINT)
                await page.wait_until_closed()
            await asyncio.sleep(2)
            assert server.process.poll() is None, "it waits"
            (dashboard,) = server.dashboards()
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(15) == 130
            assert not dashboard.is_running()


@pytest.mark.screens
async def test_a_server_that_is_killed_leaves_no_dashboard_and_touches_no_run(
    runs: Path, some_runs: dict[str, str]
) -> None:
    with Holder(runs, some_runs["resting"]) as trainer, serving(runs, SIMCLR_TUI_TOKEN=TOKEN) as server:
        async with aiohttp.ClientSession() as client:
            page = await server.visit(client, TOKEN)
            await page.wait_for("resting", "running")
            (dashboard,) = server.dashboards()
            assert "SIMCLR_TUI_TOKEN" not in dashboard.environ()
            server.process.kill()
            await asyncio.to_thread(dashboard.wait, 15)
            await page.wait_until_closed()
        assert trainer.process.poll() is None


@pytest.mark.screens
def test_with_a_token_of_ones_own_it_is_not_printed_and_sigterm_is_143(runs: Path, some_runs: dict[str, str]) -> None:
    with serving(runs, "--host", "0.0.0.0", SIMCLR_TUI_TOKEN=TOKEN) as server:
        assert TOKEN not in server.said
        assert f"http://{socket.gethostname()}:" in server.said
        assert "plain HTTP" in server.said
        server.process.terminate()
        assert server.process.wait(15) == 143


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--no-token", "--host", "0.0.0.0"], "--no-token: with --host 0.0.0.0 others could control the runs"),
        (["--no-token", "--public-url", "https://x.example"], "--no-token: with --public-url others could control"),
        (["--token-file", "{open}"], "--token-file: others may read"),
        (["--token-file", "{short}"], "a token has at least 16 letters"),
        (["--token-file", "{nothing}"], "No such file"),
        (["--public-url", "x"], "--public-url: 'x' is no address"),
        (["--port", "70000"], "'70000' is no port from 0 to 65535"),
        (["--host", "no.such.invalid"], "--host: 'no.such.invalid'"),
    ],
)
def test_a_wrong_option_is_a_sentence_and_2(
    words: list[str], sentence: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, mode, text in (("open", 0o644, TOKEN), ("short", 0o600, "short")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(mode)
    given = [word.format(**{name: tmp_path / name for name in ("open", "short", "nothing")}) for word in words]
    assert code_of(main, ["serve", "--runs-dir", str(runs), *given]) == 2
    assert sentence in capsys.readouterr().err


def test_a_port_that_is_taken_is_a_sentence_and_1(
    runs: Path, some_runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--runs-dir", str(runs), "--port", port]) == 1
    assert f"port {port} of 127.0.0.1 is taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("public", "way"), [(None, "ssh -L"), ("https://x.example", "the proxy reaches it at http://")]
)
def test_the_way_there_leads_to_the_address_that_is_listened_on(runs: Path, public: str | None, way: str) -> None:
    place = Place(("127.0.0.2",), 0)
    sockets = listen(place)
    port = sockets[0].getsockname()[1]
    said = _words(runs, Access(TOKEN, is_loopback=True, public=public), place, sockets, is_own=False)
    sockets[0].close()
    assert said[0] == f"{public or f'http://127.0.0.2:{port}'}/?token={TOKEN}"
    assert way in said[-1]
    assert f"127.0.0.2:{port}" in said[-1]
    assert ("ssh" in said[-1]) == (public is None)


def test_without_the_extra_it_says_what_to_install(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("simclr_tui.commands.serving.find_spec", lambda _: None)
    assert main(["serve", "--runs-dir", str(runs)]) == 2
    assert "pip install 'simclr-tui[serve]'" in capsys.readouterr().err


def test_a_token_out_of_a_file_or_the_environment_is_taken_out_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMCLR_TUI_TOKEN", TOKEN)
    assert _own_token(None) == TOKEN
    assert _own_token(None) is None
    file = tmp_path / "token"
    file.write_text(f"{TOKEN[::-1]}\n", encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("SIMCLR_TUI_TOKEN", TOKEN)
    assert _own_token(str(file)) == TOKEN[::-1]
    assert "SIMCLR_TUI_TOKEN" not in os.environ
