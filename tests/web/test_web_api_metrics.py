"""Metrics of the service: what they say, to whom, and that they say nothing of any patient."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the web needs the extra 'web'")
pytest.importorskip("httpx2", reason="the web's tests need httpx2")
pytest.importorskip("prometheus_client", reason="the web needs the extra 'web'")

from api_ways import client_of
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from carina.archive import OwedItem
from carina.archive.figures import service_figures


def _told(desk: Any) -> tuple[dict[tuple[str, ...], float], str]:
    answer = client_of(desk, "administrator", "health:read").get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = [each for family in text_string_to_metric_families(answer.text) for each in family.samples]
    return {(each.name, *each.labels.values()): each.value for each in samples}, answer.text


def test_metrics_count_films_work_and_failures_and_name_nobody(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    waiting = desk.film(1)
    read = desk.film(2, decision="viral")
    exchange = desk.study.archive.exchange
    for title in ("ONE", "TWO"):
        exchange.owe(OwedItem("store", title, "1.2.840.10008.5.1.4.1.1.7", "2.25.1"))
    exchange.give_up(exchange.due(("store",))[0].item_id, "it is gone")
    for _ in range(2):
        TestClient(desk.app).get("/metrics", headers={"Authorization": "Bearer carina_wrong"})
    told, text = _told(desk)
    assert {state: told["carina_films", state] for state in ("received", "read", "refused")} == {
        "received": 1,
        "read": 1,
        "refused": 0,
    }
    assert 0 <= told["carina_oldest_waiting_film_seconds",] <= time.time() - waiting.received_at
    assert (told["carina_outbox", "store", "waiting"], told["carina_outbox", "store", "failed"]) == (1, 1)
    assert (told["carina_queue_up",], told["carina_recent_results",]) == (1, 1)
    assert told["carina_recent_result_latency_seconds", "0.5"] >= 0
    assert told["carina_sign_in_failures_total",] == 2
    for value in (read.patient_id, read.patient_name, read.entry_id, "zzz.", "ZZZ District"):
        assert value not in text


def test_metrics_open_to_a_token_alone_even_on_the_machine_itself(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    signed_in, _ = desk.client("administrator")
    assert signed_in.get("/metrics").status_code == 401
    for name, scope in (("administrator", "results:read"), ("radiologist", "health:read")):
        assert client_of(desk, name, scope).get("/metrics").status_code == 403


def test_a_queue_that_is_away_is_told_and_costs_no_other_figure(
    make_desk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk()

    def away() -> int:
        raise ConnectionError

    monkeypatch.setattr(desk.app.state.queue._huey, "pending_count", away)
    told, _ = _told(desk)
    assert (told["carina_queue_up",], told["carina_up",]) == (0, 1)


def test_latency_is_the_time_from_receipt_to_result_of_recent_films(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    film = desk.film(1, decision="viral")
    result = desk.study.desk.result(film.entry_id, organisation_id=1)
    engine = desk.study.archive.engine
    assert service_figures(engine).latencies == (result.made_at - film.received_at,)
    assert service_figures(engine, now=time.time() + 7200).latencies == ()
