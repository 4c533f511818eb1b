"""The page of films: complete by itself, safe with hostile names, bounded."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from carina.errors import OutputError, TableError
from carina.report import PageOptions, read_readings, write_page

NOW = datetime(2020, 8, 20, 9, 30, tzinfo=UTC)


def _line(**changes: Any) -> dict[str, Any]:
    return {
        "file": "films/one.png",
        "model": "pneumonia 1.0.0",
        "probabilities": {"normal": 0.1, "bacterial": 0.7, "viral": 0.15, "covid19": 0.05},
        "contrasts": {"pneumonia": 0.9, "covid19_given_pneumonia": None},
        "prediction_set": ["bacterial", "viral"],
        "decision": "bacterial",
        "reason": "pneumonia 0.90 is at or above 0.43",
        "quality": {"accepted": True, "corrected": [], "reasons": []},
        "lungs": None,
        "boxes": [],
        "heatmap": None,
        "error": None,
        "seconds": 0.03,
        **changes,
    }


def _folder(tmp_path: Path, *lines: dict[str, Any], tail: str = "") -> Path:
    (tmp_path / "predictions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return tmp_path


def _page(folder: Path, **options: Any) -> str:
    write_page(folder, folder / "page.html", PageOptions(now=NOW, **options))
    return (folder / "page.html").read_text(encoding="utf-8")


class _Tags(HTMLParser):
    """Collects elements and their attributes as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _film(path: Path, value: int = 60) -> None:
    pixels = np.tile(np.linspace(value, 250, 160, dtype=np.uint8), (160, 1))
    cv2.imwrite(str(path), pixels)


def test_page_names_model_date_and_purpose(tmp_path: Path) -> None:
    text = _page(_folder(tmp_path, _line()))
    assert "pneumonia 1.0.0" in text
    assert "20 August 2020, 09:30 UTC" in text
    assert "Research use only" in text


def test_page_asks_no_other_host(tmp_path: Path) -> None:
    _film(tmp_path / "heat.png")
    text = _page(_folder(tmp_path, _line(heatmap="heat.png")))
    for _, attributes in _Tags(text).found:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:image/", "#")) or not value
    assert not re.search(r"url\(|@import|https?:", text)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"' onmouseover='x"
    line = _line(
        file=f"/films/{evil}.png",
        model=evil,
        reason=evil,
        decision=evil,
        probabilities={evil: 0.9},
        prediction_set=[evil],
        contrasts={evil: 0.2},
        quality={"accepted": True, "corrected": [evil], "reasons": []},
    )
    refused = _line(decision="refused", error={"code": evil, "message": evil}, quality=None)
    text = _page(_folder(tmp_path, line, refused))
    tags = _Tags(text).found
    assert [name for name, _ in tags].count("script") == 1
    assert not any(key.startswith("on") for _, attributes in tags for key in attributes)


def test_policy_allows_the_pages_own_script_and_no_other(tmp_path: Path) -> None:
    import base64  # noqa: PLC0415 - used here alone
    import hashlib  # noqa: PLC0415 - as above

    text = _page(_folder(tmp_path, _line()))
    policy = next(a["content"] or "" for n, a in _Tags(text).found if a.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert script is not None
    assert style is not None
    assert policy.startswith("default-src 'none'")
    for block in (script[1], style[1]):
        # W3C CSP Level 3, 6.7.3.3: the base64 of the digest of the element's text.
        assert f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'" in policy


def test_refusal_prints_its_sentences(tmp_path: Path) -> None:
    gate = _line(
        decision="refused",
        probabilities=None,
        prediction_set=None,
        contrasts=None,
        quality={"accepted": False, "corrected": [], "reasons": ["the lungs are cut off", "it is blank"]},
    )
    file = _line(
        decision="refused",
        quality=None,
        probabilities=None,
        error={"code": "truncated", "message": "the file is cut off"},
    )
    text = _page(_folder(tmp_path, gate, file))
    for sentence in ("the lungs are cut off", "it is blank", "the file is cut off"):
        assert f"<li>{sentence}</li>" in text
    assert text.count("Not judged") == 3  # two cards and their button


def test_probabilities_and_set_are_in_words(tmp_path: Path) -> None:
    text = _page(_folder(tmp_path, _line(probabilities={"normal": 0.9997, "covid19": 0.0001, "bacterial": 0.0002})))
    assert "&gt; 99.9 %" in text
    assert "&lt; 0.1 %" in text
    assert "Cannot be ruled out: Bacterial pneumonia, Viral pneumonia." in text


def test_empty_set_is_said(tmp_path: Path) -> None:
    assert "no class of the calibration films" in _page(_folder(tmp_path, _line(prediction_set=[])))


def test_film_and_heatmap_are_both_embedded_and_can_be_mixed(tmp_path: Path) -> None:
    _film(tmp_path / "one.png")
    _film(tmp_path / "heat.png", 200)
    text = _page(_folder(tmp_path, _line(file=str(tmp_path / "one.png"), heatmap="heat.png")))
    assert text.count("data:image/jpeg;base64,") == 2
    assert 'class="mix"' in text


def test_caption_says_which_class_the_heatmap_shows(tmp_path: Path) -> None:
    _film(tmp_path / "one.png")
    line = _line(file=str(tmp_path / "one.png"), heatmap="one.png", heatmap_shows={"of": "viral", "maximum": 0.4})
    assert "What spoke for Viral pneumonia" in _page(_folder(tmp_path, line))
    line["heatmap_shows"]["maximum"] = 0.0
    assert "Nothing in the film spoke for \u201cViral pneumonia\u201d" in _page(_folder(tmp_path, line))


def _maps(path: Path, maps: Any, classes: tuple[str, ...] = ("normal", "viral")) -> None:
    np.savez(path, class_maps=maps, maxima=np.zeros(len(classes)), classes=np.array(classes))


def _heat(text: str) -> list[Any]:
    """Layers of the page, (h, w, 4) blue, green, red, opacity."""
    import base64  # noqa: PLC0415 - used here alone

    found = re.findall(r"data:image/png;base64,([^\"]+)", text)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_UNCHANGED) for one in found]


def test_every_class_has_its_own_layer_and_the_shown_one_is_on(tmp_path: Path) -> None:
    _film(tmp_path / "one.png")
    maps = np.zeros((2, 4, 4), np.float32)
    maps[1, 3, 0] = 5.0  # lower left corner speaks for viral; normal's map is constant
    _maps(tmp_path / "maps.npz", maps)
    line = _line(file=str(tmp_path / "one.png"), heatmap_shows={"of": "viral", "maps": "maps.npz", "maximum": 5.0})
    text = _page(_folder(tmp_path, line))
    normal, viral = _heat(text)
    assert normal[..., 3].max() == 0
    assert viral[-1, 0, 3] == viral[..., 3].max() > 100
    assert viral[0, :, 3].max() == viral[:, -1, 3].max() == 0
    # Plasma's last colour (matplotlib, CC0): red 240, green 249, blue 33.
    assert np.abs(viral[-1, 0, :3].astype(int) - [33, 249, 240]).max() <= 2
    shown = [attributes for _, attributes in _Tags(text).found if attributes.get("class") == "heat"]
    assert [("hidden" in attributes) for attributes in shown] == [True, False]


@pytest.mark.parametrize(
    "maps", [np.full((2, 4, 4), np.nan), np.zeros((2, 4)), np.zeros((3, 4, 4)), np.zeros((2, 600, 4))]
)
def test_maps_that_do_not_fit_are_left_out(tmp_path: Path, maps: Any) -> None:
    _film(tmp_path / "one.png")
    _maps(tmp_path / "maps.npz", maps)
    line = _line(file=str(tmp_path / "one.png"), heatmap_shows={"of": "viral", "maps": "maps.npz"})
    assert _heat(_page(_folder(tmp_path, line))) == []


def test_maps_that_hold_objects_or_unpack_to_much_are_left_out(tmp_path: Path) -> None:
    _film(tmp_path / "one.png")
    line = _line(file=str(tmp_path / "one.png"), heatmap_shows={"of": "viral", "maps": "maps.npz"})
    np.savez(tmp_path / "maps.npz", class_maps=np.array([{}]), classes=np.array(["viral"]))
    assert _heat(_page(_folder(tmp_path, line))) == []
    np.savez_compressed(tmp_path / "maps.npz", class_maps=np.zeros((1, 2, 2**21)), classes=np.array(["viral"]))
    assert (tmp_path / "maps.npz").stat().st_size < 100_000
    assert _heat(_page(_folder(tmp_path, line))) == []
    (tmp_path / "maps.npz").write_bytes(b"PK no zip")
    assert _heat(_page(_folder(tmp_path, line))) == []


def test_corrected_film_is_shown_as_it_was_judged(tmp_path: Path) -> None:
    import base64  # noqa: PLC0415 - used here alone

    _film(tmp_path / "one.png", 0)  # dark at the left
    quality = {"accepted": True, "corrected": ["inverted", "rotated_90_clockwise"], "reasons": []}
    text = _page(_folder(tmp_path, _line(file=str(tmp_path / "one.png"), quality=quality)))
    content = re.search(r"data:image/jpeg;base64,([^\"]+)", text)
    assert content is not None
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(content[1]), np.uint8), cv2.IMREAD_GRAYSCALE)
    # Inverted, the left is bright; a quarter clockwise brings the left to the top.
    assert shown[:20].mean() > 200
    assert shown[-20:].mean() < 60
    assert "turned a quarter clockwise" in text


def test_heatmap_outside_the_folder_is_not_embedded(tmp_path: Path) -> None:
    inside = tmp_path / "readings"
    inside.mkdir()
    _film(tmp_path / "secret.png")
    assert "data:image/jpeg" not in _page(_folder(inside, _line(heatmap="../secret.png")))
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    assert "data:image/jpeg" not in _page(_folder(inside, _line(heatmap="link.png")))


def test_many_films_are_limited_with_a_sentence_and_counted_in_full(tmp_path: Path) -> None:
    folder = _folder(tmp_path, *[_line(file=f"films/{i}.png") for i in range(5000)])
    text = _page(folder, most=50)
    assert text.count("<article") == 50
    assert "Shown are films 1 to 50 of 5,000" in text
    assert "--start 51" in text
    later = _page(folder, start=4981, most=50)
    assert later.count("<article") == 20
    assert "films 4,981 to 5,000 of 5,000" in later


def test_half_written_last_line_is_counted_and_left_out(tmp_path: Path) -> None:
    readings = read_readings(_folder(tmp_path, _line(), tail='{"file": "two'))
    assert (readings.total, readings.unreadable) == (1, 1)


@pytest.mark.parametrize(
    "line",
    [
        '{"probabilities": {}}',
        "[]",
        "null",
        "NaN",
        "[" * 100_000,
        '{"file": "a", "probabilities": {"normal": 1.5}}',
        "\xff",
    ],
)
def test_line_that_is_no_reading_is_counted(tmp_path: Path, line: str) -> None:
    (tmp_path / "predictions.jsonl").write_bytes(line.encode("latin-1") + b"\n")
    assert read_readings(tmp_path).unreadable == 1


def test_no_readings_make_a_page_that_says_so(tmp_path: Path) -> None:
    assert "No films to show." in _page(_folder(tmp_path))


def test_folder_without_readings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"predictions\.jsonl"):
        write_page(tmp_path, tmp_path / "page.html")


def test_unwritable_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_page(_folder(tmp_path, _line()), tmp_path / "predictions.jsonl" / "page.html")
