"""Hands a notice to the process that sends it, and takes back what came of each address."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from trainer.addresses import Address

SEND_SECONDS = 30.0
"""That an address may take."""

_START_SECONDS = 20.0
"""For the interpreter and Apprise on a cold or busy disk."""

_TYPES = {"finished": "success", "failed": "failure", "interrupted": "failure", "warning": "warning"}
"""Kinds of notice as Apprise calls them; the rest is `info`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What a person reads."""

    kind: str
    """One of trainer.addresses.KINDS, or `test`."""
    title: str
    """Short enough for a telephone's first line."""
    body: str
    """A few lines of plain text."""


def deliver(message: Message, to: Iterable[Address], *, seconds: float = SEND_SECONDS) -> dict[str, str]:
    """Send a message to all addresses at the same time; by their names "", or why one did not take it.

    Takes no longer than `seconds` and what an interpreter needs to start, whatever the servers do.
    """
    urls = {address.name: address.url for address in to}
    wish = {"to": urls, "title": message.title, "body": message.body, "seconds": seconds}
    wish["type"] = _TYPES.get(message.kind, "info")
    came = dict.fromkeys(urls, "the process that sends it was lost")
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "trainer.notices.send"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError as error:
        return dict.fromkeys(urls, f"no process could be started to send it ({error.strerror})")
    with child:
        try:
            answers = child.communicate(json.dumps(wish), timeout=seconds + _START_SECONDS)[0]
        except subprocess.TimeoutExpired:
            child.kill()
            answers = child.communicate()[0]
    for line in answers.splitlines():
        with contextlib.suppress(ValueError, KeyError):
            found = json.loads(line)
            came[found["name"]] = str(found["reason"])
    return {name: came[name] for name in urls}
