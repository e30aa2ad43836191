"""Notices that are handed over to real servers: taken, refused, not answered; and never with a secret in the answer."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from email import message_from_string
from email.header import decode_header, make_header
from pathlib import Path

import pytest

from tests.trainer.notices.servers import closed_port, hook, mail
from trainer.addresses import TEMPLATE, Address
from trainer.notices import send
from trainer.notices.delivery import Message, deliver
from trainer.proc import descendants

MESSAGE = Message(kind="finished", title="first has finished", body="kNN 78.9 %\nsimclr-tui show abc")


def test_a_webhook_and_a_mailbox_get_the_title_the_lines_and_the_kind() -> None:
    with hook() as server, mail() as (url, letters):
        assert deliver(MESSAGE, [Address("hook", server.url), Address("mail", url)]) == {"hook": "", "mail": ""}
    got = server.got[0]
    assert (got["title"], got["message"], got["type"]) == (MESSAGE.title, MESSAGE.body, "success")
    letter = message_from_string(letters[0])
    assert str(make_header(decode_header(letter["Subject"]))) == MESSAGE.title
    payloads = [part.get_payload(decode=True) for part in letter.walk() if part.get_content_type() == "text/plain"]
    assert isinstance(payloads[0], bytes)
    assert payloads[0].decode().splitlines()[:2] == MESSAGE.body.splitlines()


def test_one_that_hangs_holds_up_no_other_is_given_up_in_time_and_has_its_address_on_no_command_line() -> None:
    came: dict[str, str] = {}
    lines: list[bytes] = []
    with hook() as slow, hook() as quick:
        slow.hangs.set()
        to = [Address("slow", slow.url + "?rto=60&cto=60"), Address("quick", quick.url)]
        thread = threading.Thread(target=lambda: came.update(deliver(MESSAGE, to, seconds=2.0)))
        since = time.monotonic()
        thread.start()
        while thread.is_alive():
            lines += _command_lines()
            time.sleep(0.02)
        assert time.monotonic() - since < 2.0 + 20.0
        assert came == {"slow": send.SLOW, "quick": ""}
        assert quick.titles == [MESSAGE.title]
    assert any(b"trainer.notices.send" in line for line in lines)  # it was seen at all
    assert not any(b"hush" in line or b"json:" in line for line in lines)


def test_each_that_did_not_take_it_is_told_apart_and_no_secret_is_in_the_reason() -> None:
    with hook() as denying, hook() as broken:
        denying.status, broken.status = 403, 503
        addresses = [
            Address("denying", denying.url),
            Address("broken", broken.url),
            Address("nobody", f"json://me:hush-hush@127.0.0.1:{closed_port()}/a-secret-path"),
            Address("nowhere", "json://me:hush-hush@no-such-host.invalid/a-secret-path"),
            Address("unknown", "nonsense://hush-hush"),
        ]
        came = deliver(MESSAGE, addresses)
    assert came["denying"] == send.DENIED
    assert came["broken"] == send.BUSY
    assert came["nobody"] == send.REFUSED
    assert came["nowhere"] == send.NO_HOST
    assert came["unknown"] == send.UNKNOWN
    assert "secret" not in str(came)
    assert "hush" not in str(came)
    assert "hush" not in repr(addresses)


def test_what_has_no_known_sign_is_said_without_the_words_of_the_library() -> None:
    assert send.reason("Failed to send to hush-hush: error=418.") == "its server answered with the code 418"
    assert send.reason("Something of hush-hush is odd") == send.OTHER


def _command_lines() -> list[bytes]:
    """Those of this process's children, as everybody can read them."""
    found = []
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    return found


@pytest.mark.parametrize("breaking", ["import", "crash"])
def test_a_library_that_is_missing_or_breaks_is_an_answer(tmp_path: Path, breaking: str) -> None:
    broken = {"import": "raise ImportError('hush')", "crash": "raise RuntimeError('hush')"}[breaking]
    (tmp_path / "apprise.py").write_text(broken)
    wish = {"to": {"a": "json://hush"}, "title": "t", "body": "b", "type": "info", "seconds": 5}
    done = subprocess.run(
        [sys.executable, "-m", "trainer.notices.send"],
        input=json.dumps(wish),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert json.loads(done.stdout) == {"name": "a", "reason": send.MISSING if breaking == "import" else send.OTHER}
    assert "hush" not in done.stdout + done.stderr


def test_every_address_of_the_docs_and_of_the_first_file_is_one_that_the_library_knows() -> None:
    text = (Path(__file__).parents[3] / "docs" / "notices.md").read_text(encoding="utf-8") + TEMPLATE
    urls = re.findall(r'^#? ?\w+ = "(\w+://[^"]+)"', text, re.MULTILINE)
    assert len(urls) == 9
    known = "import json, sys, apprise; "
    known += "print(*[u for u in json.load(sys.stdin) if not apprise.Apprise().add(u)])"
    done = subprocess.run(
        [sys.executable, "-c", known], input=json.dumps(urls), capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
