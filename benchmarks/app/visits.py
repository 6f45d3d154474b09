"""Visits of pages with a real browser: in a new session or by a click in one, how long until all of a page is drawn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from sandbox.children import Child
from sandbox.servers.base import system_program

_SLOW_MS = 180_000
_QUIET_MS = 500
"""A page stays as it is for so long before its last change counts as the last."""

_SCRIPT = files("benchmarks.app").joinpath("drawn.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Place:
    """A page: its title, its path (`{incident}` stands for one that a link tells), and what is drawn on it."""

    title: str
    path: str
    charts: int | None = None
    tables: int | None = None
    frames: int | None = None


@dataclass(frozen=True)
class Link:
    """What an address asks for besides its page: parameters of a window, and the id of an incident."""

    window: str = ""
    incident: str = ""


_PLAIN = Link()


@dataclass(frozen=True)
class Visit:
    """Seconds until it was drawn, and the processor time of the server until then."""

    seconds: float
    server_seconds: float


class Reader:
    """Opens the pages of one server. Every new session has a browser profile of its own: no cookie, nothing cached."""

    def __init__(self, browser: Browser, url: str, server: Child) -> None:
        self._browser = browser
        self._url = url
        self._server = server

    @contextmanager
    def session(self) -> Iterator[Page]:
        """A new one, in which nothing is open."""
        context = self._browser.new_context(viewport={"width": 1600, "height": 900}, timezone_id="UTC")
        context.set_default_timeout(_SLOW_MS)
        context.add_init_script(_SCRIPT)
        try:
            yield context.new_page()
        finally:
            context.close()

    def opened(self, page: Page, place: Place, link: Link = _PLAIN) -> Visit:
        """By its address."""
        before = self._cpu_seconds()
        path = place.path.format(incident=link.incident)
        page.goto(f"{self._url}/{path}{'&' if '?' in path else '?'}{link.window}", wait_until="commit")
        return self._drawn(page, place, before)

    def turned(self, page: Page, place: Place) -> Visit:
        """By a click on its name on top of the page before."""
        before = self._cpu_seconds()
        page.locator("header").get_by_role("link", name=place.title, exact=True).click()
        return self._drawn(page, place, before)

    def counted(self, page: Page, place: Place) -> Place:
        """The place as it is drawn now, with what is on it."""
        return Place(place.title, place.path, *page.evaluate("heliographCount()"))

    def _drawn(self, page: Page, place: Place, before: float) -> Visit:
        things = None if place.charts is None else [place.charts, place.tables, place.frames]
        wanted = [place.title, things, _QUIET_MS, _SLOW_MS]
        milliseconds = page.evaluate("wanted => heliographDrawn(...wanted)", wanted)
        return Visit(milliseconds / 1000, self._cpu_seconds() - before)

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system_program("chromium", hint="apt-get install chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        try:
            yield browser
        finally:
            browser.close()
