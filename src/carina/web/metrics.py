"""Metrics in Prometheus' text format, for a token alone: counts and times, nothing of any patient or user."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import quantiles
from threading import Lock
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from carina import __version__
from carina.archive import Accounts, Study
from carina.archive.figures import service_figures
from carina.errors import CarinaError
from carina.service import JobQueue
from carina.web.api_access import ACCESS, TokenGuard, TokenVisitor
from carina.web.credentials import Throttle
from carina.web.permissions import Permission

__all__ = ["CountingThrottle", "router"]

router = APIRouter(tags=["health"], responses=ACCESS)

_See = Annotated[TokenVisitor, Depends(TokenGuard(Permission.see_health, "health:read"))]
_FILM_STATES: Final = ("received", "queued", "read", "refused", "failed", "reported", "prior")
_OWED: Final = ("make", "send", "store", "commitment", "priors")
_OWED_STATES: Final = ("waiting", "failed")
_JOB_STATES: Final = ("queued", "running", "failed", "lost")
_HOUR: Final = 3600.0
_TWO: Final = 2


class CountingThrottle(Throttle):
    """A throttle that counts failed sign-ins since the application started, wrong API tokens among them.

    Parameters
    ----------
    accounts : Accounts
    """

    def __init__(self, accounts: Accounts) -> None:
        super().__init__(accounts)
        self.failures = 0
        self._counting = Lock()

    def failed(self, name: str, address: str, device: str | None) -> None:
        """Count a failure."""
        with self._counting:
            self.failures += 1
        super().failed(name, address, device)


class _Figures(Collector):
    """Everything that is told of a service study, collected when it is asked for."""

    def __init__(self, study: Study, queue: JobQueue, failures: int) -> None:
        self._study = study
        self._queue = queue
        self._failures = failures

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        figures, now = service_figures(self._study.archive.engine, span=_HOUR), time.time()
        yield GaugeMetricFamily("carina_up", "1 while the application answers from its database.", 1)
        build = GaugeMetricFamily("carina_build_info", "Version that answers.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        films = GaugeMetricFamily("carina_films", "Films of all organisations, by state.", labels=["state"])
        for state in _FILM_STATES:
            films.add_metric([state], figures.films.get(state, 0))
        yield films
        oldest = 0.0 if figures.oldest_waiting is None else max(0.0, now - figures.oldest_waiting)
        words = "Time that the film which waits longest for the model has waited; 0 where none does."
        yield GaugeMetricFamily("carina_oldest_waiting_film_seconds", words, oldest)
        yield from self._queued()
        yield from _latency(figures.latencies)
        outbox = GaugeMetricFamily("carina_outbox", "What is owed, by kind and state.", labels=["kind", "state"])
        for kind in _OWED:
            for state in _OWED_STATES:
                outbox.add_metric([kind, state], figures.outbox.get((kind, state), 0))
        yield outbox
        jobs = GaugeMetricFamily("carina_study_jobs", "Jobs of the study pages, by state.", labels=["state"])
        for state in _JOB_STATES:
            jobs.add_metric([state], figures.jobs.get(state, 0))
        yield jobs
        words = "Failed sign-ins, wrong codes and wrong API tokens since the application started."
        yield CounterMetricFamily("carina_sign_in_failures", words, self._failures)

    def _queued(self) -> Iterator[Metric]:
        try:
            length, answers = self._queue.length(), 1
        except CarinaError:
            length, answers = 0, 0
        yield GaugeMetricFamily("carina_queue_up", "1 while the queue of jobs answers.", answers)
        yield GaugeMetricFamily("carina_queue_length", "Jobs in the queue.", length)


def _latency(seconds: tuple[float, ...]) -> Iterator[Metric]:
    words = "Results of the last hour, the newest 1,000 at most."
    yield GaugeMetricFamily("carina_recent_results", words, len(seconds))
    made = GaugeMetricFamily(
        "carina_recent_result_latency_seconds", "Time from receipt to result of these.", labels=["quantile"]
    )
    if seconds:
        cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) >= _TWO else [seconds[0]] * 99
        for name, value in (("0.5", cuts[49]), ("0.95", cuts[94]), ("1", max(seconds))):
            made.add_metric([name], value)
    yield made


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics."}},
)
def metrics(request: Request, visitor: _See) -> Response:
    """Return metrics in Prometheus' text format."""
    del visitor
    state, registry = request.app.state, CollectorRegistry(auto_describe=False)
    throttle = state.throttle
    failures = throttle.failures if isinstance(throttle, CountingThrottle) else 0
    registry.register(_Figures(state.study, state.queue, failures))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
