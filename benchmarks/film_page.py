"""Time to the first picture of a film's page, and to its 16 bits in the viewer, in Chromium: 3,000 x 3,000 pixels.

The limit is 1 s to the first picture. Each page is opened with nothing kept: neither the film by the server nor
anything by the browser. The film is a phantom, stored uncompressed; server and browser share this machine.
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from carina.archive import create_study
from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.service import receive_film
from carina.settings import Settings
from carina.web import create_app, hash_password
from carina.web.pictures import FilmPictures

MODEL = {"name": "none", "version": "0", "sha256": "0" * 64, "points": [], "classes": ("normal", "viral")}
PAINTED = """async () => {
  const film = document.getElementById("film");
  await film.decode();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now();
}"""
DRAWN = "() => performance.getEntriesByName('film-drawn-pane-film')[0].startTime"


def film(side: int) -> bytes:
    """Make a phantom of a size, 16 bits allocated and 12 stored, uncompressed."""
    made = phantom_dicom(phantom_film(1, size=1024), patient="ZZZ0016")
    pixels = cv2.resize(made.pixel_array, (side, side), interpolation=cv2.INTER_LINEAR)
    noise = np.random.default_rng(1).integers(0, 8, pixels.shape)
    made.Rows = made.Columns = side
    made.PixelData = np.clip(pixels + noise, 0, 4095).astype("<u2").tobytes()
    content = io.BytesIO()
    made.save_as(content)
    return content.getvalue()


def opened(browser: Browser, address: str, token: str) -> tuple[float, float]:
    """Milliseconds from the click to the first picture and to the viewer's."""
    room = browser.new_context(viewport={"width": 1400, "height": 1000})
    room.add_cookies([{"name": "carina", "value": token, "url": address}])
    page = room.new_page()
    page.goto(address, wait_until="domcontentloaded")
    first = float(page.evaluate(PAINTED))
    page.wait_for_selector(".pane.live", timeout=30_000)
    drawn = float(page.evaluate(DRAWN))
    room.close()
    return first, drawn


def main() -> None:
    """Open the page again and again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=3000, help="rows and columns of the film")
    parser.add_argument("--times", type=int, default=10, help="how often the page is opened")
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("Chromium must be installed (Debian's package chromium)")
    settings = Settings()
    with tempfile.TemporaryDirectory() as place, create_study(Path(place) / "service", "service") as study:
        home = study.accounts.add_organisation("ZZZ District").organisation_id
        secret = hash_password("eleven geese and a goose")
        user = study.accounts.add_user("zzz.one", organisation_id=home, role="radiologist", password_hash=secret)
        study.accounts.set_password(user, secret, initial=False, by=user.user_id)
        token = study.accounts.begin_session(user, "full")
        content = film(given.side)
        got, _ = receive_film(study, content, organisation_id=home, source="upload", settings=settings)
        app: Any = create_app(study, settings, secure=False, model=MODEL)
        taken = []
        with socket.create_server(("127.0.0.1", 0)) as listening, sync_playwright() as engine:
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
            threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
            browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            address = f"http://127.0.0.1:{listening.getsockname()[1]}/films/{got.entry_id}"
            opened(browser, address, token)  # the browser's own start
            for _ in range(given.times):
                app.state.pictures = FilmPictures(study, settings.limits)
                taken.append(opened(browser, address, token))
            browser.close()
            server.should_exit = True
    first, drawn = np.array(taken).T
    print(f"film of {given.side} x {given.side}, {len(content) / 2**20:.0f} MiB, opened {given.times} times\n")
    print("| until | median, ms | most, ms |\n|---|---|---|")
    print(f"| first picture | {np.median(first):.0f} | {first.max():.0f} |")
    print(f"| all 16 bits in the viewer | {np.median(drawn):.0f} | {drawn.max():.0f} |")
    print(f"\nlimit 1000 ms to the first picture: {'met' if first.max() <= 1000 else 'missed'}")


if __name__ == "__main__":
    main()
