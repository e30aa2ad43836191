"""`serve`: the dashboard in a browser, on this machine alone unless told otherwise."""

import argparse
import asyncio
import os
import secrets
import signal
import socket
import stat
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from simclr_tui.browser.access import TOKEN_BYTES, Access, checked_public, checked_token
from simclr_tui.browser.listening import Place, find_place, listen, shown_host
from simclr_tui.commands.output import say
from simclr_tui.commands.serving_parser import TOKEN_VARIABLE
from simclr_tui.feed import check_store
from trainer.errors import ExitCode, UsageError
from trainer.paths import typed_path
from trainer.quote import printable

if TYPE_CHECKING:
    from aiohttp import web

    from simclr_tui.browser.server import BrowserServer

_PACKAGES = ("aiohttp", "textual_serve")
_LONGEST_TOKEN_FILE = 4096


def serve(options: argparse.Namespace, runs: Path) -> int:
    """Serve pages until a signal; the code of that signal.

    Raises:
        UsageError: an option is wrong, or the extra is not installed.
        NotListeningError: the port can't be had.
        StoreError: the store can't be used.
    """
    if any(find_spec(package) is None for package in _PACKAGES):
        raise UsageError("serve needs `pip install 'simclr-tui[serve]'`")
    place = find_place(options.host, options.port)
    public = checked_public(options.public_url) if options.public_url else None
    if options.no_token and (public or not place.is_loopback):
        what = "--public-url" if place.is_loopback else f"--host {options.host}"
        raise UsageError(f"--no-token: with {what} others could control the runs; leave one of the two out")
    own = None if options.no_token else _own_token(options.token_file)
    token = None if options.no_token else own or secrets.token_urlsafe(TOKEN_BYTES)
    check_store(runs)
    sockets = listen(place)
    access = Access(token, place.is_loopback, public)
    return asyncio.run(_serve(runs, access, sockets, _words(runs, access, place, sockets, is_own=own is not None)))


def _own_token(file: str | None) -> str | None:
    """The token of a file or of the environment, out of which it is taken: dashboards and trainers need it not."""
    from_environment = os.environ.pop(TOKEN_VARIABLE, "")
    if file is None:
        return checked_token(from_environment, f"${TOKEN_VARIABLE}") if from_environment else None
    path = typed_path(file)
    try:
        with path.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(_LONGEST_TOKEN_FILE).decode("utf-8", "replace").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise UsageError(f"--token-file: {printable(file)}: {reason}; name a file with the token in it") from None
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"--token-file: others may read {printable(file)}; `chmod 600` it")
    return checked_token(text, f"--token-file: {printable(file)}")


def _words(runs: Path, access: Access, place: Place, sockets: list[socket.socket], *, is_own: bool) -> list[str]:
    """What is said at the start, the address first."""
    port = sockets[0].getsockname()[1]
    here = f"{shown_host(place.addresses[0])}:{port}"
    address = access.public or f"http://{here}"
    query = f"?token={access.token}" if access.token and not is_own else ""
    words = [f"{address}/{query}", f"  shows the runs of {printable(str(runs))}; Ctrl-C ends it, and runs go on"]
    if is_own:
        words.append("  asks for your token, or add ?token=… to the address")
    if access.token is None:
        words.append("  asks for no token: every user and every program of this machine can control the runs")
    machine = socket.gethostname()
    if access.public:
        words.append(f"  the proxy reaches it at http://{here}")
    elif place.is_loopback:
        words.append(f"  from another machine: ssh -L {port}:{here} {machine}, then the same address there")
    if not place.is_loopback:
        words.append(
            f"  warning: others can connect. It is plain HTTP, so that whoever is on the way can read the token, and "
            f"whoever has the token acts as you. Safer: leave --host out, and `ssh -L {port}:127.0.0.1:{port} "
            f"{machine}` on the other machine"
        )
    return words


async def _serve(runs: Path, access: Access, sockets: list[socket.socket], words: list[str]) -> int:
    from aiohttp import web

    from simclr_tui.browser.server import BrowserServer

    server = BrowserServer(runs, access, f"simclr-tui {printable(runs.parent.name)} on {socket.gethostname()}")
    # No access log: an address with the token would stand in it.
    runner = web.AppRunner(server.application(), access_log=None, handle_signals=False)
    await runner.setup()
    asked: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(ending, asked.put_nowait, ending)
    for one in sockets:
        await web.SockSite(runner, one).start()
    for line in words:
        say(line)
    sys.stdout.flush()
    number = await asked.get()
    await _end(server, runner, asked)
    return ExitCode.SIGINT if number == signal.SIGINT else ExitCode.SIGTERM


async def _end(server: "BrowserServer", runner: "web.AppRunner", asked: "asyncio.Queue[int]") -> None:
    """Close all pages; a second signal waits for nothing that a dashboard still finishes."""
    for site in tuple(runner.sites):
        await site.stop()
    closing = asyncio.create_task(server.close())
    again = asyncio.create_task(asked.get())
    await asyncio.wait((closing, again), return_when=asyncio.FIRST_COMPLETED)
    if not closing.done():
        server.hurry()
    await closing
    again.cancel()
    await runner.cleanup()
