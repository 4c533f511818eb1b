"""Equity: what is shown by group and what can be computed from it; access programmes and their badges."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carina.archive import EQUITY_SCHEMA, NewProgramme, Person
from carina.errors import ArchiveError
from carina.evidence.equity import equity_table, periods

GROUPS = ("Maori", "Pacific", "Asian", "European", None)


def _films(counts: dict[str | None, int], *, ill: int = 2) -> pl.DataFrame:
    """So many people of each group, every `ill`-th called viral, all read at once and judged by nobody."""
    rows = []
    for group, count in counts.items():
        for place in range(count):
            decision = "viral" if place % ill == 0 else "normal"
            who = f"{group}{place}"
            rows.append((who, 0.0, None, "read", decision, 60.0, None, None, group, None, None, "F", 40.0))
    return pl.DataFrame(rows, schema=EQUITY_SCHEMA, orient="row")


def test_shares_by_ethnicity_are_counted_by_hand_with_exact_intervals() -> None:
    table = equity_table(_films({"Maori": 40, "European": 60}))
    (ethnicity,) = (each for each in table.dimensions if each.name == "ethnicity")
    maori = ethnicity.rows[0]
    assert (maori.group, maori.people) == ("Maori", 40)
    share = maori.measures["not_normal"]
    assert (share.events, share.trials) == (20, 40)
    # Clopper-Pearson of 20 of 40 at 95 %: R 4.3, binom.test(20, 40)$conf.int
    assert (share.low, share.high) == pytest.approx((0.3380178, 0.6619822), abs=1e-6)


def test_waits_are_medians_with_the_order_statistics_of_the_tables() -> None:
    waits = pl.Series([float(minute) * 60 for minute in range(1, 16)] + [60.0] * 15)
    films = _films({"Maori": 15, "European": 15}).with_columns(waits.alias("read_at"))
    (ethnicity,) = (each for each in equity_table(films).dimensions if each.name == "ethnicity")
    # ranks 4 and 12 of 15: Conover 1999, table A3 at p = 0.5 (0.0176 below)
    assert ethnicity.rows[0].waits == {"read": (8 * 60.0, 4 * 60.0, 12 * 60.0)}


def test_a_person_counts_once_with_the_first_film() -> None:
    once = _films({"Maori": 20, "European": 20})
    table = equity_table(pl.concat([once, once.with_columns(pl.lit("normal").alias("decision"))]))
    assert table.total.people == 40
    assert table.total.measures["not_normal"].events == 20


def test_a_group_of_few_takes_the_next_smallest_with_it() -> None:
    table = equity_table(_films({"Maori": 30, "Pacific": 25, "European": 60, None: 9}))
    (ethnicity,) = (each for each in table.dimensions if each.name == "ethnicity")
    # 124 in all less those shown would be the 9: the 25 are held back too, and leave 34
    assert {row.group: row.people for row in ethnicity.rows} == {
        "Maori": 30,
        "Pacific": None,
        "European": 60,
        "not recorded": None,
    }


def test_fewer_than_ten_in_all_are_not_shown_at_all() -> None:
    table = equity_table(_films({"Maori": 9}))
    assert (table.total.people, table.total.measures, table.dimensions) == (None, {}, ())


def test_that_everybody_or_nobody_of_a_group_is_ill_is_not_told() -> None:
    table = equity_table(_films({"Maori": 30, "Pacific": 40, "European": 60}, ill=1000))
    assert all("not_normal" not in row.measures for each in table.dimensions for row in each.rows)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 60), min_size=5, max_size=5),
    marks=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.sampled_from([True, False, None])), min_size=8, max_size=8
    ),
)
def test_no_sum_or_difference_of_what_is_shown_is_a_small_cell(
    counts: list[int], marks: list[tuple[bool, bool, bool | None]]
) -> None:
    endless = itertools.cycle(marks)
    rows = []
    for group, count in zip(GROUPS, counts, strict=True):
        for place in range(count):
            ill, read, agrees = next(endless)
            judged = None if agrees is None else 10.0
            said = "viral" if ill else "normal"
            who = f"{group}{place}"
            called = said if read else None
            sex = "F" if place % 3 else "M"
            rows.append(
                (who, 0.0, None, "read", called, 9.0 if read else None, judged, agrees, group, None, None, sex, 40.0)
            )
    table = equity_table(pl.DataFrame(rows, schema=EQUITY_SCHEMA, orient="row"))
    for dimension in table.dimensions:
        shown = [row for row in dimension.rows if row.people is not None]
        names = dimension.measures
        for row in shown:
            assert set(row.measures) == set(names)
            _none_small(row.people or 0, [row.measures[name].events for name in names])
        if dimension.held_back:
            assert dimension.held_back > 1
            rest = (table.total.people or 0) - sum(row.people or 0 for row in shown)
            left = [
                table.total.measures[name].events - sum(row.measures[name].events for row in shown) for name in names
            ]
            _none_small(rest, left)


def _none_small(people: int, events: list[int]) -> None:
    assert people >= 10
    for count in events:
        assert count == 0 or count >= 10
        assert people == count or people - count >= 10


def test_periods_are_shown_once_they_are_over_and_never_overlap() -> None:
    found = periods(date(2025, 11, 20), date(2026, 7, 31), "month")
    assert found[0] == (date(2026, 6, 1), date(2026, 7, 1))
    assert found[-1] == (date(2025, 11, 1), date(2025, 12, 1))
    assert all(later[0] == earlier[1] for later, earlier in itertools.pairwise(found))
    assert periods(date(2026, 7, 1), date(2026, 9, 30), "quarter") == []


def _aged(desk: Any, days: int) -> None:
    """Let every film have been received so many days ago."""
    import sqlalchemy as sa  # noqa: PLC0415 - a test alone moves time

    with desk.study.archive.engine.connect() as connection, connection.begin():
        connection.execute(sa.text(f"UPDATE desk_films SET received_at = received_at - {days * 86400}"))  # noqa: S608 - a number


def test_the_page_holds_small_numbers_back_and_is_noted(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(research={"period": "month"})
    client, _ = desk.client("researcher")
    assert "No month is over yet" in client.get("/equity").text
    for seed in range(1, 4):
        desk.film(seed, patient=f"ZZZ00{16 + 8 * seed}", decision="viral")
    _aged(desk, 40)
    text = client.get("/equity").text
    assert "Fewer than 10 people" in text
    assert desk.study.archive.audit_log()[-1].event == "equity_seen"
    doctor, _ = desk.client("radiologist")
    assert doctor.get("/equity").status_code == 403


def test_an_evaluation_by_group_is_shown_without_small_cells(make_desk: Callable[..., Any], tmp_path: Path) -> None:
    run = tmp_path / "runs" / "evaluate-1"
    run.mkdir(parents=True)
    numbers = []
    for cell, group, size in (("all", "contrast", 300), *((f"ethnicity={one}", "subgroup", 100) for one in GROUPS[:3])):
        for measure in ("sensitivity", "specificity"):
            wrong = 3 if cell == "ethnicity=Asian" else 20
            wrong = 43 if cell == "all" else wrong
            number: dict[str, Any] = {
                "group": group,
                "contrast": "pneumonia",
                "measure": measure,
                "cell": cell,
                "n": size,
            }
            number |= {"events": size - wrong, "value": 1 - wrong / size, "low": 0.5, "high": 0.99, "verdict": None}
            numbers.append({**number, "films_used": "first_films", "denominator": "all_films", "note": None})
    task = {"name": "pneumonia", "classes": ["normal", "bacterial", "viral", "covid19"]}
    (run / "metrics.json").write_text(json.dumps({"task": task, "numbers": numbers}), "utf-8")
    named = {"name": "zzz", "folder": str(tmp_path), "runs": str(tmp_path / "runs"), "organisations": ["ZZZ District"]}
    desk = make_desk(research={"studies": [named]})
    text = desk.client("researcher")[0].get("/equity").text
    # 3 of the Asian group were missed; it and the next one, from which it could be had, are held back
    assert "ethnicity: Asian" not in text
    assert "97 of 100" not in text
    assert "4 numbers are held back" in text
    assert text.count("80 of 100") == 2


def test_a_programme_covers_by_its_rule_from_its_beginning_on(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    before = desk.film(1, patient="ZZZ0016")
    client, token = desk.client("administrator")
    free = {"form_token": token, "name": "Free reading", "sentence": "No charge.", "ethnicity_Maori": "yes"}
    assert client.post("/programmes", data=free).status_code == 303
    people = [Person("ZZZ0016", "Maori", "F", "1980-01-01"), Person("ZZZ0024", "Asian", "M", None)]
    assert desk.study.programmes.link(people, organisation_id=1) == 1
    second, other = desk.film(2, patient="ZZZ0016"), desk.film(3, patient="ZZZ0024")
    late = desk.film(4, patient="ZZZ0032")
    covered = desk.study.programmes.covered(
        [each.entry_id for each in (before, second, other, late)], organisation_id=1
    )
    assert {entry: [(one.name, one.how) for one in each] for entry, each in covered.items()} == {
        second.entry_id: [("Free reading", "rule")]
    }
    desk.study.programmes.link([Person("ZZZ0032", "Maori", None, None)], organisation_id=1)  # records came later
    assert late.entry_id in desk.study.programmes.covered([late.entry_id], organisation_id=1)
    assert "fewer than 10" in client.get("/programmes").text
    assert client.post("/programmes/1/end", data={"form_token": token}).status_code == 303
    assert client.post("/programmes/1/end", data={"form_token": token}).status_code == 404
    events = [each.event for each in desk.study.archive.audit_log()]
    assert {"programme_begun", "people_linked", "programmes_applied", "programme_ended"} <= set(events)


def test_a_programme_never_changes_the_order_of_reading(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    desk.study.programmes.add(NewProgramme("Free", "No charge.", ("Maori",)), organisation_id=1, by=1)
    desk.study.programmes.link([Person("ZZZ0016", "Maori", None, None)], organisation_id=1)
    first, second = desk.film(1, patient="ZZZ0024"), desk.film(2, patient="ZZZ0016")
    assert desk.study.programmes.covered([second.entry_id], organisation_id=1)
    assert first.due_at < second.due_at
    assert second.due_at - second.received_at == pytest.approx(first.due_at - first.received_at)


def test_a_referrer_asks_for_a_programme_on_an_own_film_alone(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    number = desk.study.programmes.add(NewProgramme("Free", "No charge."), organisation_id=1, by=1)
    film = desk.film(1)
    client, token = desk.client("referrer")
    sent = {"form_token": token, "programme": str(number)}
    assert client.post(f"/films/{film.entry_id}/programmes", data=sent).status_code == 303
    assert client.post(f"/films/{film.entry_id}/programmes", data=sent).status_code == 303
    assert client.post(f"/films/{'0' * 32}/programmes", data=sent).status_code == 404
    assert client.post(f"/films/{film.entry_id}/programmes", data={**sent, "programme": "9"}).status_code == 400
    assert "Free (asked for)" in client.get(f"/films/{film.entry_id}").text
    assert "Free (asked for)" in client.get("/worklist").text
    (covered,) = desk.study.programmes.covered([film.entry_id], organisation_id=1)[film.entry_id]
    assert covered.how == "request"
    assert desk.study.programmes.counts(1) == {number: {"request": (1, 1)}}
    assert [each.event for each in desk.study.archive.audit_log()].count("programme_requested") == 1
    assert desk.study.programmes.covered([film.entry_id], organisation_id=2) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "name"),
        ({"oldest": 10, "youngest": 20}, "youngest first"),
        ({"oldest": 500}, "between 0 and 130"),
        ({"on_request": False}, "cover someone"),
    ],
)
def test_a_programme_that_makes_no_sense_is_refused(
    make_desk: Callable[..., Any], changes: dict[str, Any], said: str
) -> None:
    desk = make_desk()
    values: dict[str, Any] = {"name": "Free", "sentence": "No charge.", **changes}
    with pytest.raises(ArchiveError, match=said):
        desk.study.programmes.add(NewProgramme(**values), organisation_id=1, by=1)


def test_people_are_linked_from_an_extract_by_the_command_line(
    make_desk: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415 - here alone

    from carina.cli.main import app  # noqa: PLC0415 - here alone

    desk = make_desk()
    desk.film(1, patient="ZZZ0016")
    extract = tmp_path / "ipm.csv"
    columns = "nhi,event_id,admitted_at,sex,birth_date,ethnicity,codes"
    rows = (
        "ZZZ0016,E1,2026-01-02 08:00,F,1980-01-01,11,J18.9",
        "ZZZ0016,E2,2026-02-02 08:00,F,1980-01-01,21;11,J18.9",
        "ZZZ0024,E3,2026-02-02 08:00,M,1990-01-01,,J18.9",
    )
    extract.write_text("\n".join((columns, *rows)) + "\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    begun = time.perf_counter()
    done = CliRunner().invoke(
        app, ["people", str(desk.study.folder), "--organisation", "ZZZ District", "--admissions", str(extract)]
    )
    assert done.exit_code == 0, done.output
    assert time.perf_counter() - begun < 20
    assert desk.study.programmes.person("ZZZ0016", organisation_id=1) == Person("ZZZ0016", "Maori", "F", "1980-01-01")
    assert desk.study.programmes.person("ZZZ0024", organisation_id=1).ethnicity is None
    assert "ZZZ0016" not in done.output
