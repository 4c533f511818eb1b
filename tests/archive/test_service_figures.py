"""Figures of a service study: counted over all organisations, in either database."""

from __future__ import annotations

import time

from carina.archive import DeskResult, NewFilm, OwedItem, Study
from carina.archive.figures import service_figures


def test_figures_count_what_there_is_and_how_long_it_took(study: Study) -> None:
    home = study.accounts.add_organisation("ZZZ District").organisation_id
    films = [
        study.desk.receive(
            NewFilm(f"{number:064x}", f"received/{number}.dcm", "upload"), organisation_id=home, longest_wait=60
        )[0]
        for number in range(3)
    ]
    result = DeskResult("f" * 64, {"decision": "viral"}, {}, 0.1, films[0].received_at + 2.5)
    study.desk.finish(films[0], result, urgency=0.5, longest_wait=60)
    exchange = study.archive.exchange
    for title in ("ONE", "TWO", "THREE"):
        exchange.owe(OwedItem("store", title, "1.2", "2.25.1"))
    one, two, _ = exchange.due(("store",))
    exchange.give_up(one.item_id, "it is gone")
    exchange.sent(two.item_id)
    study.jobs.order(study="zzz", verb="audit", choices={}, run="r", organisation_id=home, user_id=_user(study, home))
    figures = service_figures(study.archive.engine)
    assert figures.films == {"received": 2, "read": 1}
    assert figures.oldest_waiting == films[1].received_at
    assert figures.latencies == (2.5,)
    assert figures.outbox == {("store", "waiting"): 1, ("store", "failed"): 1}
    assert figures.jobs == {"queued": 1}
    assert service_figures(study.archive.engine, now=time.time() + 7200).latencies == ()


def test_an_empty_study_has_nothing_to_tell(study: Study) -> None:
    figures = service_figures(study.archive.engine)
    assert (figures.films, figures.oldest_waiting, figures.latencies) == ({}, None, ())


def _user(study: Study, home: int) -> int:
    user = study.accounts.add_user("zzz.lead", organisation_id=home, role="researcher", password_hash="x")  # noqa: S106 - no password
    return user.user_id
