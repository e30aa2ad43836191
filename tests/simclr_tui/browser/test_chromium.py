"""A real browser: what a person sees and does on the page."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from PIL import Image
from playwright.async_api import Page, async_playwright

from simclr_tui.browser.access import Access
from simclr_tui.browser.server import BrowserServer
from tests.simclr_tui.browser.visitor import TOKEN
from trainer.config import PretrainConfig
from trainer.presets import load_preset
from trainer.start import new_pretrain_run, start_run
from trainer.state import run_state
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in _NAMES if (found := shutil.which(name))), None)
_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_CELL = (10, 21)
"""Pixels of a cell, nearly: the page's font at 16 px."""
_OPEN = """url => new Promise(done => {
    const socket = new WebSocket(url);
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
})"""

pytestmark = [
    pytest.mark.screens,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome (apt-get install chromium)"),
]


class Seen:
    """A page in a browser, and all that it asked for and complained about."""

    def __init__(self, page: Page, server: BrowserServer, address: str) -> None:
        """Listens to the page."""
        self.page, self.server, self.address = page, server, address
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)

    async def open(self) -> None:
        """Open the address that the server prints, and wait for the dashboard."""
        await self.page.goto(f"{self.address}/?token={TOKEN}")
        await self.page.wait_for_selector("body.-first-byte", timeout=30_000)

    async def click(self, column: float, line: float) -> None:
        """Press the mouse on a cell."""
        await self.page.mouse.click(column * _CELL[0], (line + 0.5) * _CELL[1])


@pytest_asyncio.fixture
async def seen(runs: Path) -> AsyncIterator[Seen]:
    server = BrowserServer(runs, Access(TOKEN, is_loopback=True), "simclr-tui work on a-machine")
    async with TestServer(server.application()) as listening, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
        context = await browser.new_context(viewport={"width": 1200, "height": 760})
        page = await context.new_page()
        yield Seen(page, server, f"http://127.0.0.1:{listening.port}")
        await browser.close()
        await server.close()


@contextmanager
def live_run(runs: Path) -> Iterator[str]:
    """A real trainer that has taken a step, by the id of its run."""
    store = RunStore.open(runs)
    config: PretrainConfig = load_preset("demo").config(epochs=500, device="cpu")
    run_id = new_pretrain_run(store, config, preset="demo", name="alive")
    trainer = start_run(store, run_id)
    begun = time.monotonic()
    while not store.run(run_id).step:
        assert time.monotonic() - begun < 90
        time.sleep(0.1)
    store.close()
    try:
        yield run_id
    finally:
        trainer.kill()
        trainer.wait()


async def wait_for_state(runs: Path, run_id: str, state: str) -> None:
    """Wait until the store and the run's lock say so."""
    reader = StoreReader.open(runs)
    async with asyncio.timeout(60):
        while run_state(reader.run(run_id), runs) != state:
            await asyncio.sleep(0.1)
    reader.close()


def colours(picture: Path) -> int:
    """How many colours a picture has."""
    return len(np.unique(np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3), axis=0))


async def test_a_live_run_is_clicked_and_paused_and_the_page_asks_nobody_else(
    seen: Seen, runs: Path, some_runs: dict[str, str], tmp_path: Path
) -> None:
    with live_run(runs) as run_id:
        await seen.open()
        assert seen.page.url == f"{seen.address}/", "the token has left the address"
        assert await seen.page.title() == "simclr-tui work on a-machine"
        await asyncio.sleep(2.0)
        kept = Path(os.environ.get("PICTURES", tmp_path))
        await seen.page.screenshot(path=kept / "watching.png")
        assert colours(kept / "watching.png") > 50, "there are letters, lines and curves"
        await seen.page.keyboard.press("End")  # to a run that has ended, from which only the click leads back
        await asyncio.sleep(0.5)
        await seen.click(8, 3)
        await asyncio.sleep(0.5)
        await seen.page.keyboard.press("p")
        await wait_for_state(runs, run_id, "paused")
        await asyncio.sleep(1.5)
        await seen.page.screenshot(path=kept / "paused.png")
        assert all(asked.startswith(f"{seen.address}/") for asked in seen.asked), seen.asked
        assert seen.complaints == []


async def test_what_is_copied_is_in_the_browsers_clipboard_and_a_closed_page_ends_its_dashboard(
    seen: Seen, runs: Path, some_runs: dict[str, str], tmp_path: Path
) -> None:
    await seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await seen.open()
    await asyncio.sleep(2.0)
    await seen.page.keyboard.press("y")
    await asyncio.sleep(1.0)
    await seen.page.keyboard.press("Enter")
    async with asyncio.timeout(10):
        while (await seen.page.evaluate("navigator.clipboard.readText()")) not in some_runs.values():
            await asyncio.sleep(0.1)
    await seen.page.set_viewport_size({"width": 700, "height": 500})
    await asyncio.sleep(1.5)
    kept = Path(os.environ.get("PICTURES", tmp_path))
    await seen.page.screenshot(path=kept / "small.png")
    assert seen.complaints == []
    await seen.page.keyboard.press("q")
    await seen.page.wait_for_selector("body.-closed")
    await seen.page.screenshot(path=kept / "ended.png")
    assert await seen.page.is_visible("#again")
    await seen.page.click("#again")
    await seen.page.wait_for_selector("body.-first-byte")
    assert seen.server.open_dashboards == 1
    await seen.page.close()
    async with asyncio.timeout(20):
        while seen.server.open_dashboards:
            await asyncio.sleep(0.1)


async def test_a_page_of_another_site_cannot_reach_it_in_a_browser_that_has_the_cookie(
    seen: Seen, runs: Path, some_runs: dict[str, str]
) -> None:
    await seen.page.goto(f"{seen.address}/?token={TOKEN}")
    await seen.page.wait_for_url(f"{seen.address}/")
    await seen.page.wait_for_selector("body.-first-byte", timeout=30_000)
    evil = await seen.page.context.new_page()
    await evil.route("http://evil.example/", lambda route: route.fulfill(body="<p>evil</p>", content_type="text/html"))
    await evil.goto("http://evil.example/")
    assert await evil.evaluate(_OPEN, f"{seen.address.replace('http', 'ws')}/ws") == "refused"
    assert await seen.page.evaluate(_OPEN, f"{seen.address.replace('http', 'ws')}/ws") == "open"
