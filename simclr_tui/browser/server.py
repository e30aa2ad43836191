"""The server of the pages: who comes in gets a dashboard of their own, which ends with the page.

textual-serve gives the half of this that runs in the browser: xterm.js and what it sends. Its own server starts apps
through a shell, lets the page of any site open the WebSocket, loads a font from elsewhere, and waits for good for an
app whose pictures nobody takes.
"""

import asyncio
import contextlib
import html
import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from simclr_tui.browser.access import Access, cookie_name
from simclr_tui.browser.dashboard_process import DashboardProcess, bounded

MOST_DASHBOARDS = 16
"""Open at once; each is a process with some 100 MB of memory."""

_HEARTBEAT_SECONDS = 15.0
"""A browser that answers no ping for so long is gone, such as that of a laptop that was closed."""
_LARGEST_MESSAGE = 4 << 20
_PAGE = files("simclr_tui.browser") / "page"
_TERMINAL = files("textual_serve") / "static"
_FILES = {
    "page.css": (_PAGE, "page.css", "text/css"),
    "page.js": (_PAGE, "page.js", "text/javascript"),
    "xterm.css": (_TERMINAL, "css/xterm.css", "text/css"),
    "textual.js": (_TERMINAL, "js/textual.js", "text/javascript"),
    "font.ttf": (_TERMINAL, "fonts/RobotoMono-VariableFont_wght.ttf", "font/ttf"),
}
_HEADERS = {
    # xterm.js writes its styles into the page, and draws its letters from what it has made itself.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src 'self' data: blob:; connect-src 'self' {socket}; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BrowserServer:
    """Pages of a runs folder's dashboard."""

    def __init__(self, runs: Path, access: Access, title: str) -> None:
        """Args: the runs folder, who may come in, and what the tab of the browser is called."""
        self._runs = runs
        self._access = access
        self._title = title
        self._sockets: set[web.WebSocketResponse] = set()
        self._starting = 0
        self._dashboards: set[DashboardProcess] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def application(self) -> web.Application:
        """What is served."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._index)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/static/{name}", self._file)
        app.on_response_prepare.append(_add_headers)
        return app

    @property
    def open_dashboards(self) -> int:
        """Dashboards whose processes have not ended, or are only being started."""
        return self._starting + len(self._dashboards)

    async def close(self) -> None:
        """Close every page, and wait until each dashboard has ended; what one finishes is waited for."""
        self._is_closing = True
        await asyncio.gather(*map(_send_away, self._sockets), return_exceptions=True)
        while self.open_dashboards:
            await asyncio.sleep(0.05)

    def hurry(self) -> None:
        """Don't let dashboards finish what was asked for."""
        for dashboard in self._dashboards:
            dashboard.hurry()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Let those through who may come in."""
        host = request.headers.get("Host")
        if host is None or not self._access.knows_host(host):
            raise web.HTTPForbidden(text="This host name is not one of the server's; open the address that it printed.")
        given = request.query.get("token")
        if request.path == "/" and given is not None and self._access.token is not None:
            return self._greet(host) if self._access.is_token(given) else _ask("That is not the token.")
        if not self._access.lets_in(request.cookies.get(cookie_name(host))):
            return _ask("")
        return await handler(request)

    def _greet(self, host: str) -> web.Response:
        """Give the cookie, and open the page anew without the token in its address.

        By the page and not by a redirect: where somebody came by a link of another site, browsers keep a cookie that
        is SameSite=Strict out of all redirects.
        """
        response = _page("greet.html")
        response.set_cookie(
            cookie_name(host),
            self._access.cookie(),
            httponly=True,
            samesite="Strict",
            secure=self._access.is_encrypted,
            path="/",
        )
        return response

    async def _index(self, _request: web.Request) -> web.Response:
        return _page("index.html", title=self._title)

    async def _file(self, request: web.Request) -> web.Response:
        found = _FILES.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        folder, name, type_ = found
        content = await asyncio.to_thread((folder / name).read_bytes)
        return web.Response(body=content, content_type=type_, headers={"Cache-Control": "private, max-age=3600"})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        """Show a dashboard to a page of ours until either goes."""
        if not self._access.is_own_page(request.headers.get("Origin"), request.headers["Host"]):
            raise web.HTTPForbidden(text="Only a page of this server may open its WebSocket.")
        if self._is_closing:
            raise web.HTTPServiceUnavailable(text="The server ends.")
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS, max_msg_size=_LARGEST_MESSAGE)
        if self.open_dashboards >= MOST_DASHBOARDS:
            await socket.prepare(request)
            await _refuse(socket, f"{MOST_DASHBOARDS} dashboards are open; close one, then open it again here")
            return socket
        self._starting += 1  # before anything is waited for: a browser that is opened again opens its pages all at once
        try:
            await socket.prepare(request)
            dashboard = await self._started(request, socket)
        finally:
            self._starting -= 1
        if dashboard is not None:
            await self._show(dashboard, socket)
        return socket

    async def _started(self, request: web.Request, socket: web.WebSocketResponse) -> DashboardProcess | None:
        """The dashboard for a page; None where there can be none, which the page is told."""
        width, height = (bounded(request.query.get(side), usual) for side, usual in (("width", 80), ("height", 24)))
        try:
            dashboard = await DashboardProcess.start(self._runs, width, height, socket.send_bytes)
        except OSError as error:
            await _refuse(socket, f"no dashboard can be started: {error.strerror}")
            return None
        self._dashboards.add(dashboard)
        return dashboard

    async def _show(self, dashboard: DashboardProcess, socket: web.WebSocketResponse) -> None:
        """Let a page and its dashboard speak with each other until either goes."""
        self._sockets.add(socket)
        watching = asyncio.create_task(_close_after(dashboard, socket))
        try:
            if self._is_closing:
                await _send_away(socket)
            await _take(socket, dashboard)
        finally:
            watching.cancel()
            self._sockets.discard(socket)
            ending = asyncio.create_task(self._end(dashboard))
            self._ending.add(ending)  # the loop itself keeps no task alive
            ending.add_done_callback(self._ending.discard)

    async def _end(self, dashboard: DashboardProcess) -> None:
        try:
            await dashboard.end()
        finally:
            self._dashboards.discard(dashboard)


async def _send_away(socket: web.WebSocketResponse) -> None:
    await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends")


async def _refuse(socket: web.WebSocketResponse, why: str) -> None:
    """Say it in the page's terminal: no page can read what the handshake of its WebSocket is refused with."""
    await socket.send_bytes(f"{why}\r\n".encode())
    await socket.close()


async def _close_after(dashboard: DashboardProcess, socket: web.WebSocketResponse) -> None:
    await dashboard.over()
    await socket.close()


async def _take(socket: web.WebSocketResponse, dashboard: DashboardProcess) -> None:
    """Hand on what a page sends until it goes; one that sends something else is shown out."""
    async for message in socket:
        try:
            kind, *values = json.loads(message.data) if message.type is WSMsgType.TEXT else [None]
            await _hand_on(str(kind), values[0] if values else None, socket, dashboard)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"not what a page of this server sends")


async def _hand_on(kind: str, value: Any, socket: web.WebSocketResponse, dashboard: DashboardProcess) -> None:
    if kind == "stdin":
        await dashboard.type(value)
    elif kind == "resize":
        await dashboard.tell("resize", width=bounded(value["width"], 80), height=bounded(value["height"], 24))
    elif kind in ("focus", "blur"):
        await dashboard.tell(kind)
    elif kind == "ping":
        with contextlib.suppress(ConnectionError):
            await socket.send_json(["pong", value])
    else:
        raise ValueError(kind)


def _ask(why: str) -> web.Response:
    """The page that asks for the token."""
    response = _page("token.html", why=why)
    response.set_status(401)
    return response


def _page(name: str, **words: str) -> web.Response:
    text = (_PAGE / name).read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", html.escape(value))
    return web.Response(text=text, content_type="text/html")


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    # 'self' does not mean WebSockets to every browser (Safari before 15.4).
    scheme = "wss" if request.headers.get("X-Forwarded-Proto") == "https" else "ws"
    socket = f"{scheme}://{request.headers.get('Host', '')}"
    is_plain = all(letter.isalnum() or letter in "-.:[]/_" for letter in socket)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value.format(socket=socket if is_plain else "'none'"))
