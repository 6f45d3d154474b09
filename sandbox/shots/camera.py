"""Opens pages of the dashboard as a reader would, waits until they are drawn, and photographs them from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page

WIDE, NARROW = 1400, 390
_HEIGHT, _TALLEST = 900, 6_000
_SLOW_MS = 300_000  # a busy machine took more than a minute for the first page
_QUIET_MS = 1_200
_DRAWN = """
    () => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
        && document.querySelectorAll('[data-testid=stSkeleton], [data-testid=stAppSkeleton]').length === 0
        && [...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(one => one.querySelector('.main-svg'))"""
_LENGTH = "() => document.querySelector('[data-testid=stMain]').scrollHeight"


Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Look:
    """How a page is looked at."""

    scheme: Scheme
    width: int

    @property
    def name(self) -> str:
        return f"{self.scheme}-{self.width}"


_SCHEMES: tuple[Scheme, ...] = ("light", "dark")
LOOKS = tuple(Look(scheme, width) for scheme in _SCHEMES for width in (WIDE, NARROW))


def photograph(
    browser: Browser, url: str, places: Sequence[tuple[str, str]], look: Look, folder: Path
) -> Iterator[Path]:
    """A picture of each place, a name and a link below `url`; yields each as it is written."""
    context = browser.new_context(
        viewport={"width": look.width, "height": _HEIGHT},
        color_scheme=look.scheme,
        timezone_id="Europe/Berlin",
    )
    context.set_default_timeout(_SLOW_MS)
    page = context.new_page()
    for name, link in places:
        page.set_viewport_size({"width": look.width, "height": _HEIGHT})
        page.goto(f"{url}/{link}")
        settle(page)
        # The page scrolls inside: what is below is drawn, and photographed, once the window is as tall as it.
        page.set_viewport_size({"width": look.width, "height": min(_TALLEST, max(_HEIGHT, page.evaluate(_LENGTH)))})
        settle(page)
        path = folder / f"{name}-{look.name}.png"
        page.screenshot(path=path)
        yield path
    context.close()


def settle(page: Page) -> None:
    """Wait until the page has been drawn, and stayed so for a moment."""
    for _ in range(2):
        page.wait_for_selector("[data-testid=stMain]")
        page.wait_for_function(_DRAWN)
        page.wait_for_timeout(_QUIET_MS)
