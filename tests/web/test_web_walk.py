"""The pages walked in Chromium as each role: both widths, light and dark, axe-core's rules, and keys alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")
pytest.importorskip("uvicorn", reason="the web needs the extra 'web'")
pytest.importorskip("matplotlib", reason="the study page's flow diagram needs the extra 'study'")
pytest.importorskip("playwright.sync_api", reason="the browser's tests need playwright")
pytest.importorskip("axe_playwright_python", reason="the browser's tests need axe-playwright-python")

from api_ways import answering
from playwright.sync_api import sync_playwright
from walk_browser import CHROMIUM, DESK, LARGEST_PICTURE, TABLET, Walk
from walk_ways import PASSWORD, SECRET, District, district

from carina.archive import ROLES
from carina.web import GRANTED, guards
from carina.web.credentials import one_time_code

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # on a machine that does much else
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian's package chromium)"),
]
# what a role may fetch that is no page: pictures, parts of pages, and reports, which run nothing, so that axe cannot
NO_PAGES = {
    *("/", "/films/{entry_id}/film.png", "/films/{entry_id}/pixels", "/films/{entry_id}/layers/{name}"),
    *("/films/{entry_id}/texture", "/studies/{study}/flow.svg", "/studies/{study}/jobs/{job_id}/progress"),
    *("/studies/{study}/runs/{run}/report", "/studies/{study}/runs/{run}/report.html"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    made = district(tmp_path_factory.mktemp("walk"))
    yield made
    made.study.close()


@pytest.fixture(scope="module")
def address(made: District) -> Iterator[str]:
    with answering(made.app) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def walk(made: District, address: str, chromium: Any) -> Iterator[Callable[..., Walk]]:
    """Open a window, as somebody who is signed in where a name is given: `walk("lead", TABLET)`."""
    rooms = []

    def make(name: str | None = None, size: dict[str, int] = DESK) -> Walk:
        room = chromium.new_context(viewport=size)
        rooms.append(room)
        if name is not None:
            room.add_cookies([{"name": "carina", "value": made.cookie(name), "url": address}])
        return Walk(room.new_page(), address)

    yield make
    for each in rooms:
        each.close()


def _pages(made: District, role: str) -> list[str]:
    """Address of every page that the role's permissions open, of films in each state."""
    named = {"study": "zzz-study", "run": "evaluate-2", "job_id": made.job}
    query = {"/studies/{study}/compare": "?first=evaluate-1&second=evaluate-2"}
    found = []
    for (method, path), held in guards(made.app).items():
        of_programs = path.startswith(("/api/", "/dicomweb/", "/metrics"))
        if method == "GET" and held in GRANTED[role] and path not in NO_PAGES and not of_programs:  # type: ignore[index]  # a role
            films = ("ZZZ0016-1", "refused", "waiting") if "{entry_id}" in path else ("waiting",)
            found += [path.format(entry_id=made.films[film].entry_id, **named) + query.get(path, "") for film in films]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_every_page_of_a_role_is_without_fault(made: District, walk: Callable[..., Walk], role: str) -> None:
    window = walk()
    window.sign_in(f"zzz.{role}", PASSWORD, one_time_code(SECRET, int(time.time() // 30)))
    pages = _pages(made, role)
    assert len(pages) >= 8
    found = []
    for path in pages:
        assert window.open(path) == 200, path
        found += window.look()
    assert found + window.complaints == []


def test_the_pages_before_signing_in_are_without_fault(made: District, walk: Callable[..., Walk]) -> None:
    window, found = walk(), []
    for path in ("/sign-in", "/account-request"):
        assert window.open(path) == 200
        found += window.look()
    user = made.study.accounts.user("zzz.reader")
    assert user is not None
    step = made.study.accounts.begin_session(user, "password")
    window.page.context.add_cookies([{"name": "carina", "value": step, "url": window.address}])
    assert window.open("/second-factor") == 200
    found += window.look()
    assert found + window.complaints == []


def test_a_film_is_found_looked_at_and_judged_by_keys_alone(made: District, walk: Callable[..., Walk]) -> None:
    window, film = walk(), made.films["ZZZ0024-0"]
    page, keys = window.page, window.page.keyboard
    window.sign_in("zzz.reader", PASSWORD, one_time_code(SECRET, int(time.time() // 30)))
    assert page.url.endswith("/worklist")
    keys.press("Tab")
    keys.press("Enter")  # skip to the content
    window.press_to(f'a[href="/films/{film.entry_id}"]')
    keys.press("Enter")
    page.wait_for_selector(".pane.live")
    window.press_to("#pane-film")
    keys.press("i")
    keys.press("h")
    assert page.locator('[data-act="invert"]').get_attribute("aria-pressed") == "true"
    assert page.locator(".layer.heat:visible").count() == 0
    window.press_to('input[name="agrees"]')
    keys.press("Space")
    window.press_to("textarea")
    keys.type("as I see it")
    window.press_to("text=Keep, and close the film")
    keys.press("Enter")
    page.get_by_text("What doctors said").wait_for()
    (said,) = made.study.desk.reads(film.entry_id, organisation_id=1)
    assert (said.user, said.agrees, said.comment) == ("zzz.reader", True, "as I see it")
    assert window.complaints == []


def test_pictures_of_the_documentation(made: District, walk: Callable[..., Walk], tmp_path: Path) -> None:
    """Kept in the folder that CARINA_PICTURES names, such as docs/images."""
    folder = Path(os.environ.get("CARINA_PICTURES", tmp_path))
    film = f"/films/{made.films['ZZZ0016-0'].entry_id}"
    low, narrow = {**DESK, "height": 660}, {**TABLET, "height": 860}
    for name, path, who, size, height in (
        ("worklist", "/worklist", "reader", DESK, 800),
        ("film", film, "reader", low, 960),
        ("tablet", film, "reader", narrow, 1100),
        ("study", "/studies/zzz-study#cohort", "researcher", DESK, 900),
        ("users", "/users", "lead", DESK, 640),
    ):
        window = walk(who, size)
        assert window.open(path) == 200
        window.keep(folder / f"{name}.png", height)
        assert (folder / f"{name}.png").stat().st_size <= LARGEST_PICTURE
        assert window.complaints == []
