"""What a walk through the pages does in Chromium: watch for complaints, look for faults, press keys."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from PIL import Image

CHROMIUM: Final = shutil.which("chromium")
DESK: Final = {"width": 1280, "height": 900}
TABLET: Final = {"width": 820, "height": 1180}
LARGEST_PICTURE: Final = 150_000
_WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
_AXE: Final = Axe()
_LONGEST: Final = 120_000  # milliseconds; a machine may do much else
_SHOWN: Final = """() => {
  const on = document.activeElement, style = getComputedStyle(on), box = on.getBoundingClientRect();
  return on.matches(":focus-visible") && style.outlineStyle !== "none" && box.width > 0 && box.right > 0;
}"""


@dataclass
class Walk:
    """A page of the browser, and everything about it that must not be: complaints, and requests to elsewhere."""

    page: Any
    address: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_LONGEST)
        self.page.on("console", lambda line: self.complaints.append(f"console: {line.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("requestfailed", self._fail)
        self.page.on("request", lambda request: self._see(request.url))

    def _fail(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the next page was opened meanwhile
            self.complaints.append(f"failed: {request.url}")

    def _see(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"elsewhere: {url}")

    def open(self, path: str) -> int:
        """Open a page and let its pictures come; the status."""
        answer = self.page.goto(self.address + path, wait_until="load")
        if self.page.locator("#viewer").count():
            self.page.wait_for_selector(".pane.live")
        return int(answer.status)

    def look(self) -> list[str]:
        """What is wrong with the page at both widths, on light and on dark ground; empty where nothing is."""
        found: list[str] = []
        where = self.page.url.removeprefix(self.address)
        for size in (DESK, TABLET):
            self.page.set_viewport_size(size)
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{where}: wider than {size['width']} pixels")
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found += [f"{where}, {size['width']}, {scheme}: {each}" for each in self._faults(scheme)]
        if self.page.locator("h1").count() != 1:
            found.append(f"{where}: not one first heading")
        return found

    def _faults(self, scheme: str) -> list[str]:
        # what a colour scheme changes is contrast alone
        run = {"type": "tag", "values": _WCAG} if scheme == "light" else {"type": "rule", "values": ["color-contrast"]}
        # a report's frame is sandboxed: no script, so not axe either, runs in it
        options = {"runOnly": run, "resultTypes": ["violations"], "iframes": False}
        said = _AXE.run(self.page, options=options).response["violations"]
        nodes = [(each["id"], node) for each in said for node in each["nodes"]]
        return [f"{name} {node['html'][:90]}: {' '.join(node['failureSummary'].split())}" for name, node in nodes]

    def press_to(self, what: str, most: int = 60) -> None:
        """Press Tab until an element has the focus: `press_to("#search")`; at every stop the focus must be seen."""
        wanted = self.page.locator(what).first
        for _ in range(most):
            self.page.keyboard.press("Tab")
            assert self.page.evaluate(_SHOWN), self.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
            if wanted.evaluate("each => each === document.activeElement"):
                return
        raise AssertionError(f"{what} is not reached by {most} presses of Tab")

    def sign_in(self, name: str, password: str, code: str) -> None:
        """Sign in without a mouse."""
        self.page.goto(f"{self.address}/sign-in")
        self.page.keyboard.type(name)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(password)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/second-factor")
        self.page.keyboard.type(code)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "/second-factor" not in url and "/sign-in" not in url)

    def keep(self, path: Path, height: int) -> None:
        """Keep the page from where it stands, so many pixels of it, as a picture of at most 256 colours."""
        self.page.wait_for_timeout(500)
        top = self.page.evaluate("scrollY")
        part = {"x": 0, "y": top, "width": self.page.viewport_size["width"], "height": height}
        seen = Image.open(io.BytesIO(self.page.screenshot(full_page=True, clip=part))).convert("RGB")
        seen.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
