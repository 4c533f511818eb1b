"""The film's pixels and pictures, its page, uploads and the worklist's counts."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset

from carina.imaging.phantom import phantom_dicom, phantom_film
from carina.service import receive_film


def _dicom(rows: int, columns: int, *, bits: int = 16) -> tuple[bytes, np.ndarray]:
    """A film whose grey runs from 0 to the highest value, and that ramp."""
    made: Dataset = phantom_dicom(phantom_film(1, size=64), patient="ZZZ0024")
    highest = 2**bits - 1
    ramp = np.rint(np.linspace(0, highest, rows * columns)).reshape(rows, columns).astype(np.uint16)
    made.Rows, made.Columns = rows, columns
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, bits, bits - 1
    for name in ("WindowCenter", "WindowWidth", "VOILUTSequence"):
        if name in made:
            delattr(made, name)
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = ramp.tobytes()
    content = io.BytesIO()
    made.save_as(content)
    return content.getvalue(), ramp


def _received(desk: Any, content: bytes) -> str:
    film, _ = receive_film(desk.study, content, organisation_id=1, source="upload", settings=desk.settings)
    return str(film.entry_id)


def _pixels(client: Any, address: str) -> np.ndarray:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    rows, columns = int(answer.headers["x-rows"]), int(answer.headers["x-columns"])
    assert int(answer.headers["x-bytes"]) == len(answer.content) == 2 * rows * columns
    return np.frombuffer(answer.content, "<u2").reshape(rows, columns)


def test_pixels_are_the_films_own_in_16_bits(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    content, ramp = _dicom(60, 90)
    client, _ = desk.client("radiologist")
    got = _pixels(client, f"/films/{_received(desk, content)}/pixels")
    assert got.shape == ramp.shape
    assert np.abs(got.astype(int) - ramp.astype(int)).max() <= 1


def test_pixels_are_no_longer_than_asked_for_and_that_is_bounded(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    entry = _received(desk, _dicom(60, 90)[0])
    client, _ = desk.client("radiologist")
    assert _pixels(client, f"/films/{entry}/pixels?side=45").shape == (30, 45)
    assert client.get(f"/films/{entry}/pixels?side=5000").status_code == 422


def test_a_film_that_was_turned_before_reading_is_shown_as_turned(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1)
    client, _ = desk.client("radiologist")
    before = _pixels(client, f"/films/{film.entry_id}/pixels")
    turned = desk.film(1, decision="viral", quality={"corrected": ["rotated_180", "inverted"]})
    assert turned.entry_id == film.entry_id
    after = _pixels(client, f"/films/{film.entry_id}/pixels")
    assert np.abs(after.astype(int) - (65535 - before[::-1, ::-1].astype(int))).max() <= 1


def test_every_look_at_pixels_is_in_the_audit_chain(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1)
    client, _ = desk.client("radiologist")
    client.get(f"/films/{film.entry_id}")
    client.get(f"/films/{film.entry_id}/pixels")
    said = [(entry.event, film.entry_id in entry.details) for entry in desk.study.archive.audit_log()]
    assert ("film_seen", True) in said
    assert ("film_picture_sent", True) in said


def test_the_picture_holds_the_window(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    entry = _received(desk, _dicom(64, 64)[0])
    client, _ = desk.client("radiologist")
    content = client.get(f"/films/{entry}/film.png?centre=0.5&width=0.5").content
    grey = np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)).ravel()
    place = np.linspace(0, 1, grey.size)
    assert (grey[place < 0.25] == 0).all()
    assert (grey[place > 0.75] == 255).all()
    middle = (place > 0.3) & (place < 0.7)
    assert np.abs(grey[middle] - 255 * (place[middle] - 0.25) / 0.5).max() < 2


def test_two_requests_for_one_film_decode_it_once(
    make_desk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from carina.web import pictures  # noqa: PLC0415 - to count

    desk = make_desk()
    film, read, counted = desk.film(1), pictures.read_film, []
    monkeypatch.setattr(pictures, "read_film", lambda *given: counted.append(1) or read(*given))
    client, _ = desk.client("radiologist")
    for name in ("film.png", "pixels", "film.png?width=0.5"):
        assert client.get(f"/films/{film.entry_id}/{name}").status_code == 200
    assert len(counted) == 1


def test_the_films_kept_in_memory_are_bounded(make_desk: Callable[..., Any]) -> None:
    from carina.web.pictures import FilmPictures  # noqa: PLC0415 - here alone

    desk = make_desk()
    films = [desk.film(seed) for seed in (1, 2, 3)]
    kept = FilmPictures(desk.study, desk.settings.limits, kept_bytes=2 * 2 * 128 * 128)
    for film in films:
        kept.png(film, 0.5, 1.0, 64)
    assert len(kept._films) == 2
    assert films[0].film_id not in kept._films


def test_the_page_offers_the_patients_earlier_films_and_nobody_elses(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    earlier, film, other = desk.film(1), desk.film(2), desk.film(3, patient="ZZZ0032")
    text = desk.client("radiologist")[0].get(f"/films/{film.entry_id}").text
    assert f'<option value="/films/{earlier.entry_id}/pixels">2026-01-01' in text
    assert other.entry_id not in text


def test_model_version_and_audit_stand_on_every_page(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision="viral")
    client, _ = desk.client("radiologist")
    for path in ("/worklist", f"/films/{film.entry_id}", "/upload"):
        text = client.get(path).text
        assert "Research use only" in text
        assert "Model tiny 1 (ffffffffffff)" in text
        assert "Shortcut audit: not audited" in text


def test_the_viewer_is_served_packed_and_holds_nothing_that_the_policy_refuses(make_desk: Callable[..., Any]) -> None:
    client, _ = make_desk().client("radiologist")
    packed = client.get("/static/viewer.js", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = client.get("/static/viewer.js", headers={"accept-encoding": "identity"})
    assert plain.text == packed.text
    assert len(gzip.compress(plain.content)) < 500_000
    assert "sourceMappingURL" not in plain.text
    assert not re.search(r"\beval\(|new Function\(|\.wasm\b", plain.text)


def test_a_texture_sheet_is_a_page_that_runs_nothing(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision="viral")
    client, _ = desk.client("radiologist")
    assert f'href="/films/{film.entry_id}/texture"' in client.get(f"/films/{film.entry_id}").text
    answer = client.get(f"/films/{film.entry_id}/texture")
    policy = answer.headers["content-security-policy"]
    # printf 'p{color:red}' | openssl dgst -sha256 -binary | base64
    assert "style-src 'sha256-p0bF+un5yUb9MBO6xRb8kPHlY2BdpHVtLiFkDrZPF64='" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "Texture of viral" in answer.text


def test_a_texture_sheet_is_asked_for_and_left_to_the_worker(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1)
    client, token = desk.client("referrer")
    assert client.get(f"/films/{film.entry_id}/texture").status_code == 404
    answer = client.post(f"/films/{film.entry_id}/texture", data={"form_token": token})
    assert answer.status_code == 303
    assert desk.study.sheets.waiting() == [(1, film.entry_id)]
    assert desk.app.state.queue.length() >= 1


# -- sending -----------------------------------------------------------------------------------------------------------


def _zip(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return content.getvalue()


def _send(desk: Any, *files: tuple[str, bytes], rows: bool = True) -> Any:
    client, token = desk.client("radiologist")
    headers = {"accept": "application/json", **({"x-rows-only": "yes"} if rows else {})}
    return client.post(
        "/upload", data={"form_token": token}, files=[("films", each) for each in files], headers=headers
    )


def test_a_script_gets_the_rows_alone(make_desk: Callable[..., Any]) -> None:
    answer = _send(make_desk(), ("a.dcm", _dicom(64, 64)[0]), ("<b>.txt", b"no film" * 50))
    assert answer.text.lstrip().startswith("<li")
    assert "<html" not in answer.text
    assert 'data-new="1"' in answer.text
    assert "&lt;b&gt;.txt" in answer.text
    assert "neither DICOM nor a picture" in answer.text


def test_the_films_of_a_zip_are_taken_and_a_bomb_is_refused_in_words(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    taken = _send(desk, ("films.zip", _zip(**{"1.dcm": _dicom(64, 64)[0], "2.dcm": _dicom(64, 80)[0]})))
    assert taken.text.count('data-new="1"') == 2
    bomb = _send(desk, ("bomb.zip", _zip(**{"1.dcm": bytes(30_000_000)})))
    assert "times its size" in bomb.text
    assert 'data-new="1"' not in bomb.text


def test_a_zip_of_an_upload_unpacks_to_no_more_than_uploads_may(make_desk: Callable[..., Any]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 30_000, np.uint8).tobytes()
    desk = make_desk(web={"unpacked_bytes": 20_000})
    assert "unpacks to 30000 bytes" in _send(desk, ("large.zip", _zip(**{"1.dcm": noise}))).text


def test_no_film_is_taken_while_the_disk_is_nearly_full(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(web={"reserve_bytes": 2**60})
    answer = _send(desk, ("a.dcm", _dicom(64, 64)[0]))
    assert answer.status_code == 507
    assert "nearly full" in answer.json()["error"]


def test_uploads_under_way_together_are_bounded(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(web={"uploads_bytes": 20_000})
    answer = _send(desk, ("a.dcm", _dicom(100, 200)[0]))
    assert answer.status_code == 503
    assert "Others send films" in answer.json()["error"]
    small = _send(desk, ("a.dcm", _dicom(32, 32)[0]))  # the room of the first is free again
    assert small.status_code == 200


# -- the worklist ------------------------------------------------------------------------------------------------------


def test_open_films_are_counted_and_the_count_is_bounded(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    for seed in (1, 2, 3):
        desk.film(seed, decision="viral" if seed > 1 else None)
    text = desk.client("radiologist")[0].get("/worklist").text
    assert "<b>3</b> open" in text
    assert "<b>2</b> read" in text
    everything = {"organisation_id": 1, "referrer_id": None}
    assert desk.study.desk.count_open(**everything, most=2) == 2


def test_the_list_can_be_turned_to_the_longest_waiting(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    films = [desk.film(seed, decision="viral", urgency=seed / 4) for seed in (1, 2, 3)]
    client, token = desk.client("radiologist")

    def order(name: str) -> list[str]:
        text = client.post("/worklist", data={"form_token": token, "order": name}).text
        return re.findall(r'<a href="/films/([0-9a-f]{32})">', text)

    ids = [film.entry_id for film in films]
    assert order("waiting") == ids
    assert order("received") == order("due") == ids[::-1]


def test_a_page_by_keyset_goes_on_where_the_last_ended(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(web={"rows": 5})
    ids = [desk.film(seed).entry_id for seed in range(1, 8)]
    client, token = desk.client("radiologist")
    first = client.post("/worklist", data={"form_token": token, "order": "waiting"}).text
    after = re.search(r'name="after" value="([^"]+)"', first)
    assert after is not None
    second = client.post("/worklist", data={"form_token": token, "order": "waiting", "after": after[1]}).text
    listed = [re.findall(r'<a href="/films/([0-9a-f]{32})">', text) for text in (first, second)]
    assert listed == [ids[:5], ids[5:]]


def test_a_search_finds_reported_films_too(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision="viral")
    client, token = desk.client("radiologist")
    client.post(f"/films/{film.entry_id}/judgement", data={"form_token": token, "agrees": "yes"})
    assert film.entry_id not in client.get("/worklist").text
    assert film.entry_id in client.post("/worklist", data={"form_token": token, "search": "zzz0016"}).text
