"""Real servers on loopback that take notices: a webhook and a mail server."""

import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Hook:
    """A webhook that takes JSON."""

    def __init__(self) -> None:
        """It listens at once."""
        self.got: list[dict[str, Any]] = []
        self.asked = 0
        """Requests that were answered."""
        self.status = 200
        self.hangs = threading.Event()
        """Set while a request gets no answer."""
        self.ends = threading.Event()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                while hook.hangs.is_set() and not hook.ends.wait(0.05):
                    pass
                if hook.status == 200:
                    hook.got.append(body)
                self.send_response(hook.status)
                self.end_headers()
                hook.asked += 1

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        """As an address of Apprise, with a secret in it."""
        return f"json://me:hush-hush@127.0.0.1:{self._server.server_port}/a-secret-path"

    @property
    def titles(self) -> list[str]:
        """Of what was taken."""
        return [one["title"] for one in self.got]

    def close(self) -> None:
        """Listen no more."""
        self.ends.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def hook() -> Iterator[Hook]:
    """A webhook for a test."""
    server = Hook()
    try:
        yield server
    finally:
        server.close()


class _Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs to leave a letter."""

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb == "DATA":
                self._say("354 go on")
                lines: list[str] = []
                while (text := self.rfile.readline().decode()) not in (".\r\n", ""):
                    lines.append(text)
                self.server.letters.append("".join(lines))  # type: ignore[attr-defined]
            if verb == "QUIT":
                self._say("221 bye")
                return
            self._say("250 fine")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail() -> Iterator[tuple[str, list[str]]]:
    """A mail server: an address that goes through it, and the letters that it has taken."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail) as server:
        server.daemon_threads = True
        letters: list[str] = []
        server.letters = letters  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        port = server.server_address[1]
        yield f"mailto://127.0.0.1:{port}?from=runs@example.org&to=me@example.org&mode=insecure", letters
        server.shutdown()
        thread.join()


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
