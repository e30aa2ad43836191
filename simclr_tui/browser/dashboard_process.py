"""One dashboard in a process of its own, spoken to as Textual's web driver wants it.

Packets both ways: a letter (D for what a terminal would get or send, M for a document of JSON), the length in four
bytes, most significant first, and the content (textual.drivers.web_driver).
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self

DRIVER = "textual.drivers.web_driver:WebDriver"
DRIVER_VARIABLE = "TEXTUAL_DRIVER"

_PRELUDE = b"__GANGLION__\n"
_PRELUDE_LINES = 10
_LARGEST_SIDE = 1000
"""Columns or lines of a terminal at most: a page that asks for more would only take memory."""
_LONGEST_SAID = 4096
_PATIENCE = 5.0
"""Seconds for a dashboard to begin its end, before it is asked by SIGTERM, and before it is killed."""

Take = Callable[[bytes], Awaitable[None]]
"""Takes a picture; a ConnectionError means that nobody is there any more."""

_OF_THE_TERMINAL = ("TMUX", "TMUX_PANE", "STY", "COLORFGBG", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "LINES")
"""Variables that speak of the terminal in which the server was started."""


def environment(around: Mapping[str, str], width: int, height: int) -> dict[str, str]:
    """The variables of a dashboard that is shown in a browser with so many cells."""
    rest = {name: value for name, value in around.items() if name not in _OF_THE_TERMINAL}
    return rest | {
        DRIVER_VARIABLE: DRIVER,
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
        "COLUMNS": str(width),
        "ROWS": str(height),
    }


def bounded(cells: Any, usual: int) -> int:
    """Columns or lines as a page has named them."""
    try:
        return max(1, min(_LARGEST_SIDE, int(cells)))
    except (TypeError, ValueError, OverflowError):
        return usual


class DashboardProcess:
    """A running dashboard."""

    def __init__(self, process: asyncio.subprocess.Process, take: Take) -> None:
        """Args: the process, with pipes for all three of its streams, and who takes its pictures."""
        self._process = process
        self._take = take
        self._sending: asyncio.Future[None] | None = None
        self._is_over = asyncio.Event()
        self._said = bytearray()
        self._listening = asyncio.create_task(self._listen())
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, runs: Path, width: int, height: int, take: Take) -> Self:
        """Start the dashboard of a runs folder, in a session of its own: Ctrl-C is for the server, which then ends it.

        Args:
            runs: the folder.
            width: of the terminal in columns.
            height: of the terminal in lines.
            take: is given what a terminal would get, and where no dashboard opened the reason.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simclr_tui", "--runs-dir", str(runs)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(os.environ, width, height),
            start_new_session=True,
        )
        return cls(process, take)

    @property
    def exit_code(self) -> int | None:
        """Of the process, negative for a signal; None while it lives."""
        return self._process.returncode

    async def over(self) -> None:
        """Wait until it has closed its screen; it may still finish what was asked for."""
        await self._is_over.wait()

    async def _read(self) -> None:
        """Hand its pictures on to its end, also when nobody takes them any more: its pipe must not fill up."""
        out = self._process.stdout
        assert out is not None
        try:
            if not await self._has_begun(out):
                await self._listening
                await self._hand_on(bytes(self._said).replace(b"\n", b"\r\n"))
                return
            while True:
                head = await out.readexactly(5)
                content = await out.readexactly(int.from_bytes(head[1:], "big"))
                if head[:1] == b"D":
                    await self._hand_on(content)
                elif head[:1] == b"M" and json.loads(content).get("type") == "exit":
                    self._is_over.set()
        except asyncio.IncompleteReadError:
            pass
        finally:
            self._is_over.set()

    async def _has_begun(self, out: asyncio.StreamReader) -> bool:
        for _ in range(_PRELUDE_LINES):
            line = await out.readline()
            if line == _PRELUDE or not line:
                return bool(line)
        return False

    async def _hand_on(self, picture: bytes) -> None:
        self._sending = asyncio.ensure_future(self._take(picture))
        try:
            await self._sending
        except ConnectionError:
            self._take = _nobody
        except asyncio.CancelledError:
            if self._take is not _nobody:  # else it is the end, which does not wait for a page that takes nothing
                raise

    async def _listen(self) -> None:
        """Hand on what it says beside its pictures to where the server says things, and keep the beginning."""
        err = self._process.stderr
        assert err is not None
        while piece := await err.read(4096):
            self._said += piece[: _LONGEST_SAID - len(self._said)]
            sys.stderr.write(piece.decode("utf-8", "replace"))
            sys.stderr.flush()

    async def type(self, text: str) -> None:
        """Let a person's keys, pastes and mouse through."""
        await self._send(b"D", text.encode("utf-8", "replace"))

    async def tell(self, type_: str, **values: Any) -> None:
        """Tell it something else: resize, focus, blur, quit."""
        await self._send(b"M", json.dumps({"type": type_, **values}).encode())

    async def _send(self, kind: bytes, content: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        if pipe.is_closing():
            return
        with contextlib.suppress(ConnectionError):  # it is ending by itself
            pipe.write(kind + len(content).to_bytes(4, "big") + content)
            await pipe.drain()

    async def end(self) -> None:
        """Close it as `q` does, and wait for its end.

        One that has closed and finishes what was asked for (a run that is given other settings is paused and goes on)
        is let. One that does not close is ended.
        """
        self._take = _nobody
        if self._sending is not None:
            self._sending.cancel()
        closing = asyncio.create_task(self._close())
        for end in (self._process.terminate, self._process.kill):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._is_over.wait()
                    break
            with contextlib.suppress(ProcessLookupError):
                end()
        await self._process.wait()
        closing.cancel()
        await asyncio.gather(closing, self._reading, self._listening, return_exceptions=True)

    async def _close(self) -> None:
        await self.tell("quit")
        assert self._process.stdin is not None
        self._process.stdin.close()

    def hurry(self) -> None:
        """End it in the middle of what it finishes."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()


async def _nobody(_picture: bytes) -> None:
    """Take nothing."""
