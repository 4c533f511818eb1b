"""The viewer in a browser, under the pages' own content security policy."""

from __future__ import annotations

import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the browser's tests need playwright")
uvicorn = pytest.importorskip("uvicorn", reason="the web needs the extra 'web'")

from carina.archive import DeskResult  # noqa: E402 - after the extras were asked for
from carina.service import receive_film  # noqa: E402 - as above

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian's package chromium)"),
]
ROWS, COLUMNS = 300, 400
BOX = {"x": 60, "y": 50, "width": 80, "height": 40, "score": 0.9}


def _film(desk: Any, *, read: bool = True) -> str:
    """A black film with one bright field, where its reading has a box and its layer is red."""
    pixels = np.full((ROWS, COLUMNS), 30, np.uint8)
    pixels[50:90, 60:140] = 250
    content = cv2.imencode(".png", pixels)[1].tobytes()
    film, _ = receive_film(desk.study, content, organisation_id=1, source="upload", settings=desk.settings)
    if read:
        layer = np.zeros((ROWS // 10, COLUMNS // 10, 4), np.uint8)
        layer[5:9, 6:14] = (0, 0, 255, 255)
        path = desk.study.store.put(cv2.imencode(".png", layer)[1].tobytes(), folder="results", suffix=".png").path
        said = {"decision": "viral", "probabilities": {"normal": 0.2, "viral": 0.8}, "model": {}, "boxes": [BOX]}
        said |= {"film": {"rows": ROWS, "columns": COLUMNS}, "heatmap_shows": {"of": "viral"}}
        said["model"] = {"name": "tiny", "version": "1", "sha256": "f" * 12}
        result = DeskResult("f" * 64, said, {"heat-viral": path}, 0.1, time.time())
        desk.study.desk.finish(film, result, urgency=0.8, longest_wait=60)
    return str(film.entry_id)


@contextmanager
def _answering(app: Any) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)


@pytest.fixture
def browse() -> Iterator[Callable[..., Any]]:
    """Open a film's page as a radiologist: `browse(desk, entry)`; gives the page and what the browser complained of."""
    with playwright.sync_playwright() as engine:
        browsers, answering = [], []

        def make(desk: Any, entry: str, *flags: str, width: int = 1300, touch: bool = False) -> tuple[Any, list[str]]:
            browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])
            browsers.append(browser)
            running = _answering(desk.app)
            address = running.__enter__()
            answering.append(running)
            room = browser.new_context(viewport={"width": width, "height": 1000}, has_touch=touch)
            token = desk.client("radiologist")[0].cookies["carina"]
            room.add_cookies([{"name": "carina", "value": token, "url": address}])
            page, complaints = room.new_page(), []
            page.on("console", lambda line: complaints.append(line.text) if "404" not in line.text else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"{address}/films/{entry}")
            page.wait_for_selector(".pane.live", timeout=20_000)
            return page, complaints

        yield make
        for each in browsers:
            each.close()
        for each in answering:
            each.__exit__(None, None, None)


def _bright(page: Any) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is bright on the film's canvas, CSS pixels of the window."""
    page.wait_for_timeout(250)
    picture = page.locator("#pane-film .glass").screenshot()
    grey = np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE))
    rows, columns = np.nonzero(grey > 200)
    place = page.locator("#pane-film .glass").bounding_box()
    return (
        place["x"] + float(columns.min()),
        place["y"] + float(rows.min()),
        place["x"] + float(columns.max()) + 1,
        place["y"] + float(rows.max()) + 1,
    )


def _hide_layers(page: Any) -> None:
    """Leave the film alone in the picture: no layers, and no banner that stays in sight."""
    page.locator(".warning").evaluate("each => { each.style.position = 'static'; }")
    for name in ("boxes", "heat"):
        page.locator(f'.switch[value="{name}"]').uncheck()


_CORNERS = """each => {
  const { x, y, width, height } = each.getBBox();
  const there = each.getScreenCTM();
  const ends = [[x, y], [x + width, y + height]].map((at) => new DOMPoint(...at).matrixTransform(there));
  return [Math.min(...ends.map((p) => p.x)), Math.min(...ends.map((p) => p.y)),
          Math.max(...ends.map((p) => p.x)), Math.max(...ends.map((p) => p.y))];
}"""


def _box(page: Any) -> list[float]:
    """The same of the box, without its line."""
    page.locator('.switch[value="boxes"]').check()
    found: list[float] = page.locator(".overlay rect").evaluate(_CORNERS)
    page.locator('.switch[value="boxes"]').uncheck()
    return found


@pytest.mark.parametrize("keys", ["", "r", "-rr", "-R"])
def test_boxes_lie_on_what_they_mark_however_the_film_is_turned(
    make_desk: Callable[..., Any], browse: Callable[..., Any], keys: str
) -> None:
    desk = make_desk()
    page, complaints = browse(desk, _film(desk))
    _hide_layers(page)
    page.locator("#pane-film").focus()
    for key in keys:
        page.keyboard.press(key)
    assert _bright(page) == pytest.approx(_box(page), abs=2.5)
    assert complaints == []


def test_dragging_the_window_inverting_and_resetting(make_desk: Callable[..., Any], browse: Callable[..., Any]) -> None:
    desk = make_desk()
    page, complaints = browse(desk, _film(desk, read=False))
    told = page.locator("#said")
    assert told.inner_text() == "zoom 1.0, level 50, window 100"
    place = page.locator("#pane-film").bounding_box()
    page.mouse.move(place["x"] + 200, place["y"] + 200)
    page.mouse.down()
    page.mouse.move(place["x"] + 80, place["y"] + 260)
    page.mouse.up()
    level, width = map(int, re.findall(r"(?:level|window) (\d+)", told.inner_text()))
    assert (level, width) == (60, 80)
    page.get_by_role("button", name="Invert").click()
    assert page.get_by_role("button", name="Invert").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Reset").click()
    assert told.inner_text() == "zoom 1.0, level 50, window 100"
    assert complaints == []


def test_the_wheel_zooms_where_the_pointer_is(make_desk: Callable[..., Any], browse: Callable[..., Any]) -> None:
    desk = make_desk()
    page, _ = browse(desk, _film(desk))
    _hide_layers(page)
    left, top, _, _ = before = _bright(page)
    page.mouse.move(left, top)
    page.mouse.wheel(0, -300)
    after = _bright(page)
    assert after[:2] == pytest.approx(before[:2], abs=4)
    assert after[2] - after[0] > 1.3 * (before[2] - before[0])


def test_keys_work_on_the_film_alone(make_desk: Callable[..., Any], browse: Callable[..., Any]) -> None:
    desk = make_desk()
    page, _ = browse(desk, _film(desk))
    page.locator("textarea").first.focus()
    page.keyboard.type("i r +")
    assert page.locator("#said").inner_text() == "zoom 1.0, level 50, window 100"
    page.locator("#pane-film").focus()
    page.keyboard.press("p")
    assert page.locator('[data-tool="pan"]').get_attribute("aria-pressed") == "true"
    page.keyboard.press("h")
    assert page.locator('.switch[value="heat"]').is_checked() is False
    assert page.locator(".layer.heat").is_hidden()


def test_a_layer_is_as_strong_as_asked(make_desk: Callable[..., Any], browse: Callable[..., Any]) -> None:
    desk = make_desk()
    page, _ = browse(desk, _film(desk))
    page.locator('[data-strength="heat"]').fill("25")
    assert page.locator(".layer.heat").evaluate("each => getComputedStyle(each).opacity") == "0.25"


def test_two_fingers_zoom_on_a_tablet(make_desk: Callable[..., Any], browse: Callable[..., Any]) -> None:
    desk = make_desk()
    page, complaints = browse(desk, _film(desk), width=820, touch=True)
    place = page.locator("#pane-film").bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, apart: float | None) -> None:
        points = [] if apart is None else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 40)
    for apart in (60, 90, 120):
        touch("touchMove", apart)
    touch("touchEnd", None)
    zoom = re.search(r"zoom ([\d.]+)", page.locator("#said").inner_text())
    assert zoom is not None
    assert 2 < float(zoom[1]) < 4  # three times as far apart
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []


def test_the_prior_film_lies_beside_it_and_moves_alike(
    make_desk: Callable[..., Any], browse: Callable[..., Any]
) -> None:
    desk = make_desk()
    desk.film(1)
    page, complaints = browse(desk, desk.film(2).entry_id)
    page.locator("#prior").select_option(index=1)
    page.wait_for_selector("#pane-prior.live", timeout=20_000)
    page.locator("#pane-film").focus()
    assert page.locator("#said").inner_text().startswith("zoom 1.0")  # whole in half the room, too
    page.locator("#linked").check()
    page.locator("#pane-film").focus()
    page.keyboard.press("i")
    page.locator("#pane-prior").focus()
    assert page.get_by_role("button", name="Invert").get_attribute("aria-pressed") == "true"
    assert complaints == []


def test_without_a_graphics_card_the_film_is_drawn_all_the_same(
    make_desk: Callable[..., Any], browse: Callable[..., Any]
) -> None:
    desk = make_desk()
    page, complaints = browse(desk, _film(desk), "--disable-3d-apis")
    _hide_layers(page)
    page.locator("#pane-film").focus()
    page.keyboard.press("r")
    assert _bright(page) == pytest.approx(_box(page), abs=2.5)
    assert complaints == []


def test_films_are_sent_one_by_one_and_refusals_told(
    make_desk: Callable[..., Any], browse: Callable[..., Any], tmp_path: Any
) -> None:
    desk = make_desk(web={"upload_bytes": 200_000})
    page, complaints = browse(desk, _film(desk))
    page.get_by_role("link", name="Send films").click()
    picture = cv2.imencode(".png", np.full((64, 64), 90, np.uint8))[1].tobytes()
    for name, content in (("film.png", picture), ("notes.txt", b"no film" * 50), ("large.dcm", bytes(300_000))):
        (tmp_path / name).write_bytes(content)
    page.locator("input[name=films]").set_input_files([tmp_path / n for n in ("film.png", "notes.txt", "large.dcm")])
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("1 new, 0 here already, 2 refused.").wait_for(timeout=10_000)
    lines = page.locator("#outcomes li").all_inner_texts()
    assert any("film.png: received" in each for each in lines)
    assert any("notes.txt" in each and "neither DICOM nor a picture" in each for each in lines)
    assert any("large.dcm" in each and "larger than an upload may be" in each for each in lines)
    assert complaints == []
