"""A page's half of the WebSocket, and what it shows."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from simclr_tui.browser.access import Access, cookie_name
from tests.simclr_tui.pseudo_terminal import Picture

TOKEN = "token-of-these-tests"
SIZE = (100, 30)


class Visitor:
    """A page that is open."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Args: the WebSocket."""
        self.socket = socket
        self.written = b""
        self.answers: list[str] = []

    async def send(self, *words: Any) -> None:
        """Send a message as the page does."""
        await self.socket.send_json(list(words))

    async def read(self, seconds: float = 0.2) -> bool:
        """Take what comes; False once the server has closed."""
        try:
            message = await self.socket.receive(timeout=seconds)
        except TimeoutError:
            return True
        if message.type is aiohttp.WSMsgType.BINARY:
            self.written += message.data
        elif message.type is aiohttp.WSMsgType.TEXT:
            self.answers.append(message.data)
        return not self.socket.closed

    def shown(self, size: tuple[int, int] = SIZE) -> str:
        """What a person sees."""
        picture = Picture(*size)
        picture.write(self.written)
        return "\n".join(picture.lines)

    async def wait(self, condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Read until a condition holds."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < seconds, f"not within {seconds} s:\n{self.shown()}"
            await self.read()

    async def wait_for(self, *texts: str) -> None:
        """Read until all texts are shown."""
        await self.wait(lambda: all(text in self.shown() for text in texts))

    async def wait_until_closed(self, *, seconds: float = 30.0) -> None:
        """Read until the server has closed."""
        async with asyncio.timeout(seconds):
            while await self.read():
                pass


def cookie(host: str, token: str = TOKEN) -> dict[str, str]:
    """The header of a browser that has shown the token."""
    return {"Cookie": f"{cookie_name(host)}={Access(token, is_loopback=True).cookie()}"}
