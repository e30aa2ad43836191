"""The server: who is let in, and a dashboard through its WebSocket, with real dashboards on real stores."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from simclr_tui.browser.access import Access
from simclr_tui.browser.server import BrowserServer, _take
from tests.simclr_tui.browser.visitor import SIZE, TOKEN, Visitor, cookie
from tests.simclr_tui.support import Holder
from trainer.store.reader import StoreReader


class Site:
    """A server in this process, and a client that keeps no cookies of its own."""

    def __init__(self, server: BrowserServer, listening: BaseTestServer, client: aiohttp.ClientSession) -> None:
        self.server = server
        self.host = f"127.0.0.1:{listening.port}"
        self.client = client
        self.own = {"Host": self.host, "Origin": f"http://{self.host}", **cookie(self.host)}

    async def get(self, path: str, **headers: str) -> tuple[int, str, aiohttp.ClientResponse]:
        async with self.client.get(f"http://{self.host}{path}", headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer

    async def status_of_socket(self, headers: dict[str, str]) -> int:
        """What the handshake is answered with."""
        try:
            async with self.client.ws_connect(f"http://{self.host}/ws", headers=headers) as socket:
                return socket._response.status
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    async def visit(self, size: tuple[int, int] = SIZE) -> Visitor:
        """Open a page."""
        url = f"http://{self.host}/ws?width={size[0]}&height={size[1]}"
        return Visitor(await self.client.ws_connect(url, headers=self.own))


@pytest_asyncio.fixture
async def site(runs: Path) -> AsyncIterator[Site]:
    server = BrowserServer(runs, Access(TOKEN, is_loopback=True), "simclr-tui <work> & co")
    async with (
        TestServer(server.application()) as listening,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
    ):
        yield Site(server, listening, client)
        await server.close()


def dashboards_of(runs: Path) -> list[psutil.Process]:
    """Dashboards' processes of a runs folder."""
    return [one for one in psutil.process_iter(["cmdline"]) if str(runs) in (one.info["cmdline"] or [])]


async def test_without_the_token_nothing_is_shown_and_the_page_asks_for_it(site: Site) -> None:
    for path in ("/", "/?token=", "/?token=wrong", "/static/textual.js", "/ws", "/nothing"):
        status, text, answer = await site.get(path)
        assert status == 401, path
        assert "paste its token" in text
        assert "Set-Cookie" not in answer.headers
    assert "That is not the token." in (await site.get("/?token=wrong"))[1]
    assert await site.status_of_socket({**site.own, "Cookie": ""}) == 401
    assert await site.status_of_socket({**site.own, **cookie(site.host, "another-token-it-is")}) == 401


async def test_the_token_gives_a_cookie_that_no_script_and_no_other_site_can_use(site: Site) -> None:
    status, text, answer = await site.get(f"/?token={TOKEN}")
    assert status == 200
    given = answer.headers["Set-Cookie"]
    assert given.startswith(cookie(site.host)["Cookie"])
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(given.split("; "))
    assert TOKEN not in given + text
    assert 'http-equiv="refresh" content="0; url=./"' in text


async def test_with_the_cookie_there_is_the_page_and_all_that_it_needs_is_the_servers_own(site: Site) -> None:
    status, text, answer = await site.get("/", **cookie(site.host))
    assert status == 200
    assert "<title>simclr-tui &lt;work&gt; &amp; co</title>" in text
    assert "//" not in text.replace("<!DOCTYPE", ""), "nothing comes from another server"
    for name in ("page.css", "page.js", "xterm.css", "textual.js", "font.ttf"):
        assert f"static/{name}" in text or name == "font.ttf"
        async with site.client.get(f"http://{site.host}/static/{name}", headers=cookie(site.host)) as found:
            assert found.status == 200
            assert len(await found.read()) > 100
    assert (await site.get("/static/server.py", **cookie(site.host)))[0] == 404
    assert (await site.get("/static/..%2F__init__.py", **cookie(site.host)))[0] == 404
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"connect-src 'self' ws://{site.host}" in policy
    assert "frame-ancestors 'none'" in policy
    assert (answer.headers["X-Frame-Options"], answer.headers["Referrer-Policy"]) == ("DENY", "no-referrer")


async def test_a_name_that_was_made_to_point_here_is_refused_with_the_right_cookie_too(site: Site) -> None:
    port = site.host.partition(":")[2]
    for path in ("/", f"/?token={TOKEN}", "/static/textual.js"):
        status, text, _ = await site.get(path, Host=f"evil.example:{port}", **cookie(site.host))
        assert status == 403
        assert "host name" in text
    evil = {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}", **cookie(site.host)}
    assert await site.status_of_socket(evil) == 403


async def test_a_page_of_another_site_opens_no_websocket_with_the_right_cookie_too(site: Site, runs: Path) -> None:
    for origin in ("http://evil.example", "null", "http://localhost:1", f"https://{site.host}"):
        assert await site.status_of_socket({**site.own, "Origin": origin}) == 403
    without = {name: value for name, value in site.own.items() if name != "Origin"}
    assert await site.status_of_socket(without) == 403
    assert dashboards_of(runs) == []


async def test_where_nothing_is_checked_a_page_of_another_site_would_come_in(runs: Path) -> None:
    class Open(Access):
        def is_own_page(self, origin: str | None, host: str) -> bool:
            return True

    server = BrowserServer(runs, Open(None, is_loopback=True), "")
    async with TestServer(server.application()) as listening, aiohttp.ClientSession() as client:
        site = Site(server, listening, client)
        assert await site.status_of_socket({"Host": site.host, "Origin": "http://evil.example"}) == 101
        await server.close()


async def test_a_run_is_watched_and_paused_by_keys_and_the_dashboard_goes_with_its_page(
    site: Site, runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX", "/tmp/nobody,1,0")
    run_id = some_runs["resting"]
    with Holder(runs, run_id, obeys=True) as trainer:
        page, other = await site.visit(), await site.visit((80, 24))
        await page.wait_for("resting", "running", "quit")
        await other.wait(lambda: "resting" in other.shown((80, 24)))
        assert len(dashboards_of(runs)) == 3, "a process for each page, and the trainer"
        await page.send("ping", "7")
        await page.send("blur")
        await page.send("focus")
        await page.wait(lambda: '["pong", "7"]' in page.answers)
        await page.wait_for("▸■ resting")
        await page.send("stdin", "p")
        await page.wait_for("paused")
        trainer.process.wait(10)
        await other.wait(
            lambda: "resting was paused from elsewhere" in other.shown((80, 24))
        )  # a notice where nobody asked for it
        await page.send("resize", {"width": 60, "height": 20})
        page.written = b""
        await page.wait(lambda: "resting" in page.shown((60, 20)))
        await page.send("stdin", "q")
        await page.wait_until_closed()
        await other.socket.close()
        async with asyncio.timeout(15):
            while dashboards_of(runs):
                await asyncio.sleep(0.05)
    reader = StoreReader.open(runs)
    assert reader.run(run_id).lifecycle == "paused"
    reader.close()
    sequences = page.written + other.written
    assert b"\x1bPtmux" not in sequences, "no tmux stands between"
    for osc in (b"2;", b"9;", b"11;?", b"777;"):
        assert b"\x1b]" + osc not in sequences, "no title, notice or question that a page has nothing for"


@pytest.mark.parametrize(
    "sent", ["no json", "[]", "{}", "7", '["resize", 7]', '["resize", {}]', '["stdin", 7]', '["run", "rm"]', b"\0bytes"]
)
async def test_who_sends_what_no_page_of_ours_sends_is_shown_out(sent: str | bytes) -> None:
    class Nothing:
        async def type(self, text: str) -> None:
            text.encode()

        async def tell(self, type_: str, **values: Any) -> None:
            pass

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await _take(socket, Nothing())  # type: ignore[arg-type]
        return socket

    app = web.Application()
    app.router.add_get("/", handle)
    async with (
        TestServer(app) as listening,
        aiohttp.ClientSession() as client,
        client.ws_connect(listening.make_url("/")) as socket,
    ):
        await (socket.send_bytes(sent) if isinstance(sent, bytes) else socket.send_str(sent))
        assert (await socket.receive(timeout=10)).data == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_the_reason_why_no_dashboard_opens_is_shown_on_the_page(site: Site, tmp_path: Path, capfd: Any) -> None:
    settings = tmp_path / "config" / "simclr-tui" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('theme = "none of them"\n', encoding="utf-8")
    page = await site.visit()
    await page.wait_until_closed()
    assert "theme" in page.shown((300, 5))
    assert "none of" in page.shown((300, 5))
    assert "settings.toml" in capfd.readouterr().err, "and where the server says things"


async def test_there_is_an_end_to_how_many_are_opened_also_all_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, runs: Path
) -> None:
    monkeypatch.setattr("simclr_tui.browser.server.MOST_DASHBOARDS", 1)
    pages = await asyncio.gather(*(site.visit() for _ in range(4)))
    async with asyncio.timeout(20):
        while sum(page.socket.closed for page in pages) < 3:
            await asyncio.gather(*(page.read() for page in pages if not page.socket.closed))
    assert len(dashboards_of(runs)) == 1
    refused = [page.shown() for page in pages if page.socket.closed]
    assert all("1 dashboards are open; close one, then open it again here" in words for words in refused)


async def test_a_dashboard_that_can_not_be_started_is_a_sentence_on_the_page(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "removed" / "python"))
    page = await site.visit()
    await page.wait_until_closed()
    assert "no dashboard can be started: No such file or directory" in page.shown((300, 5))
    async with asyncio.timeout(10):
        while site.server.open_dashboards:
            await asyncio.sleep(0.01)
    assert caplog.records == [], "no traceback where the server says things"
