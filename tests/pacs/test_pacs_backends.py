"""The node on PostgreSQL and Redis, as several machines would share them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pacs_peers import Orthanc, Redis, RunningNode, until


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
