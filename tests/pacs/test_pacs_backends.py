"""The node on PostgreSQL and Redis, as several machines would share them; and a Redis that goes away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pacs_peers import Orthanc, Redis, RunningNode, until

from carina.archive import open_study


def test_results_arrive_with_postgresql_and_redis(
    *,
    orthanc: Orthanc,
    redis: Redis,
    postgres_url: str,
    make_node: Callable[..., RunningNode],
    storescu: Callable[..., Any],
    phantoms: list[Path],
) -> None:
    node = make_node(orthanc.dicom, archive=postgres_url, queue=redis.url)
    assert storescu(node.port, phantoms[0]).returncode == 0
    until(lambda: len(orthanc.series()) == 5, 240)


def test_a_film_is_taken_and_read_though_redis_went_away(
    *,
    orthanc: Orthanc,
    redis: Redis,
    make_node: Callable[..., RunningNode],
    storescu: Callable[..., Any],
    phantoms: list[Path],
) -> None:
    node = make_node(orthanc.dicom, queue=redis.url)
    redis.stop()
    assert storescu(node.port, phantoms[0]).returncode == 0
    with open_study(node.folder, "service") as study:
        assert len(study.desk.waiting()) == 1
    redis.start()
    until(lambda: len(orthanc.series()) == 5, 240)
