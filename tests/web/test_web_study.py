"""Study pages: who sees which study, approvals, jobs, reports in their frame, comparing, the reading model."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from carina.archive import create_study
from carina.service import FilmWorker
from carina.web import create_app

REASON = "It was checked against the films of this year."
DATE = "2026-01-02"


@pytest.fixture
def named(tmp_path: Path) -> dict[str, Any]:
    """A research study with one run, shown to one organisation."""
    runs = tmp_path / "runs"
    (runs / "tables").mkdir(parents=True)
    (runs / "tables" / "films.csv").write_text("path,label,patient_id\n", "utf-8")
    with create_study(tmp_path / "research", "research") as made:
        made.archive.audit("removal_verified", {"leaks": 0})
    cohort = tmp_path / "research" / "cohort"
    cohort.mkdir()
    record = {"films": 74, "patients": 34, "labels": {"viral": 14}, "splits": {"test": 8}, "public_films": 0}
    record |= {"disjoint": {"shared_patients": 0}, "coverage_gaps": ["no viral film where age is 0 to <5"]}
    (cohort / "cohort.json").write_text(json.dumps({**record, "made": DATE, "sentences": ["<b>A rule</b>."]}), "utf-8")
    (cohort / "flow.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "utf-8")
    (cohort / "coverage.csv").write_text("parameter,value,label,films,patients\nsex,F,viral,9,7\n", "utf-8")
    rejected = "table,file,line,column,reason\nadmissions,a.csv,2,birth_date,must be a date\n"
    (tmp_path / "research" / "rejected_records.csv").write_text(rejected, "utf-8")
    return {
        "name": "zzz-study",
        "title": "The ZZZ study",
        "folder": str(tmp_path / "research"),
        "runs": str(runs),
        "organisations": ["ZZZ District"],
    }


@pytest.fixture
def desk(make_desk: Callable[..., Any], named: dict[str, Any]) -> Any:
    return make_desk(research={"studies": [named, {**named, "name": "zzz-other", "organisations": ["ZZZ Elsewhere"]}]})


def _evaluation(runs: Path, name: str, films: int, shift: float, model: str = "a" * 64) -> Path:
    """An evaluation of made-up films: half pneumonia, scores a ramp; `shift` turns some negatives up."""
    folder = runs / name
    folder.mkdir()
    labels = ["normal", "viral"] * (films // 2)
    scores = [0.2 + 0.6 * (label == "viral") + shift * (place % 4 == 0) for place, label in enumerate(labels)]
    frame = pl.DataFrame(
        {
            "image_id": [f"i{place}" for place in range(films)],
            "patient": [f"p{place}" for place in range(films)],
            "label": labels,
            "contrasts.pneumonia": scores,
        }
    )
    frame.write_parquet(folder / "films.parquet")
    number: dict[str, Any] = {
        "contrast": "pneumonia",
        "measure": "sensitivity",
        "cell": "all",
        "denominator": "all_films",
    }
    number |= {"films_used": "first_films", "value": 0.9, "low": 0.8, "high": 0.95, "level": 0.95, "headline": True}
    number |= {"group": "contrast", "events": 18, "n": 20, "verdict": "supported", "note": None}
    metrics = {
        "task": {"name": "pneumonia", "classes": ["normal", "bacterial", "viral", "covid19"]},
        "model": {"model_sha256": model},
        "created": "2026-01-02T00:00:00",
        "numbers": [number],
        "thresholds": {"pneumonia": {"low": 0.5, "high": 0.5}},
        "audit": {"pneumonia": {"verdict": "supported", "because": []}},
        "table": {"sha256": "t" * 64, "patients": films},
        "sentences": [],
    }
    (folder / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    return folder


def test_a_study_is_shown_to_the_organisations_that_the_settings_name(desk: Any) -> None:
    client, token = desk.client("researcher")
    page = client.get("/studies").text
    assert "The ZZZ study" in page
    assert "zzz-other" not in page
    for method, path in (("get", ""), ("get", "/flow.svg"), ("post", "/jobs"), ("post", "/approvals")):
        sent = {"data": {"form_token": token}} if method == "post" else {}
        theirs = getattr(client, method)(f"/studies/zzz-other{path}", **sent)
        none = getattr(client, method)(f"/studies/zzz-none{path}", **sent)
        assert (theirs.status_code, theirs.text) == (404, none.text)


def test_the_page_shows_cohort_coverage_quality_and_is_noted(desk: Any) -> None:
    client, _ = desk.client("researcher")
    text = client.get("/studies/zzz-study").text
    for each in ("74", "34", "No patient is in two splits", "no viral film where age", "must be a date", "birth_date"):
        assert each in text
    assert "&lt;b&gt;A rule" in text
    assert desk.study.archive.audit_log()[-1].event == "study_seen"
    drawing = client.get("/studies/zzz-study/flow.svg")
    assert drawing.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in drawing.headers["content-security-policy"]
    assert "script-src" not in drawing.headers["content-security-policy"]  # default-src 'none' holds for scripts


def test_an_approval_is_kept_replaced_and_never_changed(desk: Any) -> None:
    client, token = desk.client("researcher")
    sent = {"form_token": token, "kind": "ethics", "reference": "ZZZ/20/1", "body": "<i>Committee</i>"}
    assert client.post("/studies/zzz-study/approvals", data={**sent, "decided_on": DATE}).status_code == 303
    bad = client.post("/studies/zzz-study/approvals", data={**sent, "decided_on": "2999-01-01"})
    assert (bad.status_code, "by today" in bad.text) == (400, True)
    later = {**sent, "decided_on": "2026-02-01", "replaces": "1", "withdrawn": "yes", "note": "ended"}
    assert client.post("/studies/zzz-study/approvals", data=later).status_code == 303
    assert client.post("/studies/zzz-study/approvals", data=later).status_code == 400  # 1 was replaced
    text = client.get("/studies/zzz-study").text
    assert "&lt;i&gt;Committee" in text
    assert "replaced by 2" in text
    assert "does not check it" in text
    with desk.study.archive.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="append-only"):
        connection.execute(sa.text("UPDATE study_approvals SET body = 'nobody'"))
    events = [each.event for each in desk.study.archive.audit_log()]
    assert events.count("approval_recorded") == 2
    assert desk.study.archive.verify_audit() == []


def test_a_job_is_ordered_from_lists_watched_and_cancelled(desk: Any) -> None:
    client, token = desk.client("researcher")
    page = client.get("/studies/zzz-study").text
    assert 'name="verb" value="train"' in page
    order = {"form_token": token, "verb": "texture", "table": "tables/films.csv", "out": "/tmp/evil"}  # noqa: S108 - as an attacker would
    assert client.post("/studies/zzz-study/jobs", data={**order, "table": "/etc/passwd"}).status_code == 400
    answer = client.post("/studies/zzz-study/jobs", data=order)
    address = answer.headers["location"]
    (job,) = desk.study.jobs.jobs("zzz-study")
    assert job.choices == {"table": "tables/films.csv", "regions": "all nine", "lungs": "found"}
    state = client.get(f"{address}/progress")
    assert "It is next" in state.text
    assert f"{address}/progress?polls=2" in client.get(f"{address}/progress?polls=1").text
    assert "hx-get" not in client.get(f"{address}/progress?polls=300").text  # an open page does not ask for ever
    assert client.post(f"{address}/cancel", data={"form_token": token}).status_code == 303
    assert "hx-get" not in client.get(address).text
    other, other_token = desk.client("administrator")
    assert other.post(f"{address}/again", data={"form_token": other_token}).status_code == 403
    assert client.post(f"{address}/again", data={"form_token": token}).status_code == 303
    assert client.post(f"{address}/again", data={"form_token": token}).status_code == 400


def test_a_report_is_framed_without_scripts_and_kept_as_a_file(desk: Any, named: dict[str, Any]) -> None:
    run = _evaluation(Path(named["runs"]), "evaluate-1", 40, 0.0)
    content = "<style>p{color:red}</style><script>alert(1)</script><p>Report</p>"
    (run / "report.html").write_text(content, "utf-8")
    client, _ = desk.client("researcher")
    page = client.get("/studies/zzz-study/runs/evaluate-1")
    assert re.search(r"<iframe[^>]* sandbox></iframe>", page.text)
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    framed = client.get("/studies/zzz-study/runs/evaluate-1/report")
    policy = framed.headers["content-security-policy"]
    style = base64.b64encode(hashlib.sha256(b"p{color:red}").digest()).decode()
    assert f"style-src 'sha256-{style}';" in policy
    assert "script-src" not in policy
    assert policy.startswith("default-src 'none'")
    assert "sandbox;" in policy
    assert framed.headers["x-frame-options"] == "SAMEORIGIN"
    kept = client.get("/studies/zzz-study/runs/evaluate-1/report.html")
    assert kept.headers["content-disposition"] == 'attachment; filename="report-evaluate-1.html"'
    assert client.get("/studies/zzz-study/runs/../report").status_code == 404
    assert [each.event for each in desk.study.archive.audit_log()].count("report_seen") == 2


def test_two_evaluations_are_compared_film_by_film(desk: Any, named: dict[str, Any]) -> None:
    runs = Path(named["runs"])
    _evaluation(runs, "evaluate-1", 40, 0.0)
    _evaluation(runs, "evaluate-2", 48, 0.5, model="b" * 64)
    client, _ = desk.client("researcher")
    text = client.get("/studies/zzz-study/compare?first=evaluate-1&second=evaluate-2").text
    assert "40 films are in both" in text
    assert "8 only in the second" in text
    # 10 of 20 negatives are called positive by the second alone: specificity 1.0 and 0.5
    row = re.search(r"<td>Specificity</td>(.*?)</tr>", text, re.DOTALL)
    assert row is not None
    assert re.findall(r">([+-]?\d\.\d{3})<", row[1])[:2] == ["1.000", "0.500"]
    assert "-0.500 (" in row[1]
    assert client.get("/studies/zzz-study/compare?first=evaluate-1&second=../research").status_code == 404


def test_what_an_evaluation_withholds_does_not_come_out_by_comparing_it(desk: Any, named: dict[str, Any]) -> None:
    runs = Path(named["runs"])
    _evaluation(runs, "evaluate-1", 40, 0.0)
    second = _evaluation(runs, "evaluate-2", 40, 0.5) / "metrics.json"
    metrics = json.loads(second.read_text("utf-8"))
    metrics["numbers"][0] |= {"value": None, "low": None, "high": None, "note": "withheld: no shortcut audit"}
    second.write_text(json.dumps(metrics), "utf-8")
    client, _ = desk.client("researcher")
    text = client.get("/studies/zzz-study/compare?first=evaluate-1&second=evaluate-2").text
    assert "withheld: no shortcut audit" in text
    assert "0.500" not in text


@pytest.fixture
def proposed(desk: Any, named: dict[str, Any], make_bundle: Callable[..., Path]) -> Callable[..., Any]:
    def make(run: str = "train-1", **changes: Any) -> Any:
        make_bundle(Path(named["runs"]) / run / "bundle", **{"name": "newer", **changes})
        client, token = desk.client("researcher")
        return client.post("/models", data={"form_token": token, "study": "zzz-study", "run": run, "reason": "better"})

    return make


def test_a_second_person_lets_a_model_read_and_workers_follow(desk: Any, proposed: Callable[..., Any]) -> None:
    with FilmWorker(desk.study, desk.settings) as worker:
        first = desk.film(1)
        worker.read(1, first.entry_id)
        assert proposed(version=7).status_code == 303
        client, token = desk.client("administrator")
        assert "newer 7" in client.get("/models").text
        without = client.post("/models/1/activate", data={"form_token": token})
        assert (without.status_code, "audit does not support" in without.text) == (400, True)
        done = client.post("/models/1/activate", data={"form_token": token, "reason": REASON})
        assert done.status_code == 303
        second = desk.film(2, patient="ZZZ0024")
        worker.read(1, second.entry_id)
        made = [desk.study.desk.result(each.entry_id, organisation_id=1).reading["model"] for each in (first, second)]
        assert [(each["name"], each["version"]) for each in made] == [("tiny", "1"), ("newer", "7")]
        back = {"form_token": token, "to": "settings", "reason": REASON}
        assert client.post("/models/roll-back", data={**back, "reason": "short"}).status_code == 400
        assert client.post("/models/roll-back", data=back).status_code == 303
        third = desk.film(3, patient="ZZZ0032")
        worker.read(1, third.entry_id)
        assert desk.study.desk.result(third.entry_id, organisation_id=1).reading["model"]["name"] == "tiny"
    events = [each.event for each in desk.study.archive.audit_log()]
    assert {"model_proposed", "model_activated", "model_rolled_back"} <= set(events)


def test_who_proposed_alone_must_write_why(desk: Any, named: dict[str, Any], make_bundle: Callable[..., Path]) -> None:
    bundle = make_bundle(Path(named["runs"]) / "train-1" / "bundle", name="newer")
    audit = Path(named["runs"]) / "audit-1"
    audit.mkdir()
    network = json.loads((bundle / "bundle.json").read_text("utf-8"))["sha256"]["model.onnx"]
    said = {"model": {"model_sha256": network}, "verdicts": {"pneumonia": {"verdict": "supported"}}}
    (audit / "audit.json").write_text(json.dumps(said), "utf-8")
    client, token = desk.client("administrator")
    sent = {"form_token": token, "study": "zzz-study", "run": "train-1", "reason": "better"}
    assert client.post("/models", data=sent).status_code == 303
    assert client.post("/models/1/activate", data={"form_token": token}).status_code == 400
    assert client.post("/models/1/activate", data={"form_token": token, "reason": REASON}).status_code == 303
    active = desk.study.models.active()
    assert (active.verdicts, active.decision_reason) == ({"pneumonia": "supported"}, REASON)
    assert client.post("/models/1/activate", data={"form_token": token, "reason": REASON}).status_code == 400


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("thresholds", "never calibrated"),
        ("network", "it was changed"),
        ("task", "task of the service"),
        ("bound", "thresholds belong to one model"),
    ],
)
def test_a_model_that_does_not_hold_is_refused_with_its_reason(
    desk: Any, proposed: Callable[..., Any], named: dict[str, Any], spoil: str, said: str
) -> None:
    if spoil == "network":
        proposed()
        model = Path(named["runs"]) / "train-1" / "bundle" / "model.onnx"
        model.write_bytes(model.read_bytes() + b"\0")
        client, token = desk.client("researcher")
        sent = {"form_token": token, "study": "zzz-study", "run": "train-1", "reason": "better"}
        answer = client.post("/models", data=sent)
    elif spoil == "task":
        from carina.tasks import default_task  # noqa: PLC0415 - here alone

        other = default_task().model_dump(mode="json") | {"name": "zzz"}
        answer = proposed(task=other)
    elif spoil == "bound":
        place = proposed() and Path(named["runs"]) / "train-1" / "bundle" / "bundle.json"
        said_there = json.loads(place.read_text("utf-8"))
        said_there["calibration"]["model_sha256"] = "0" * 64
        place.write_text(json.dumps(said_there), "utf-8")
        client, token = desk.client("researcher")
        sent = {"form_token": token, "study": "zzz-study", "run": "train-1", "reason": "better"}
        answer = client.post("/models", data=sent)
    else:
        answer = proposed(calibration=None)
    assert answer.status_code == 400
    assert said in answer.text
    assert desk.study.models.active() is None


def test_every_page_says_which_model_was_activated(
    desk: Any, proposed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(desk.study, desk.settings, secure=False)
    monkeypatch.setattr(app.state.model, "_looked", float("-inf"))
    assert app.state.model["name"] == "tiny"
    proposed()
    proposal = desk.study.models.activation(1)
    desk.study.models.activate(proposal, by=1, reason=REASON)  # by another process
    assert app.state.model["name"] == "tiny"
    app.state.model.refresh()
    assert app.state.model["name"] == "newer"
    assert set(app.state.model) >= {"name", "version", "sha256", "points", "classes"}


def test_administrators_of_another_organisation_do_not_change_what_reads(
    make_desk: Callable[..., Any], named: dict[str, Any]
) -> None:
    desk = make_desk(research={"studies": [named], "models_of": "ZZZ Elsewhere"})
    client, token = desk.client("administrator")
    sent = {"form_token": token, "to": "settings", "reason": REASON}
    assert client.post("/models/roll-back", data=sent).status_code == 403
