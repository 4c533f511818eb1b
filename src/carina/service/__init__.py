"""Films at work: received, queued, read by workers; and the health of every link."""

from carina.service.health import Check, Health, check_health, health_check
from carina.service.queue import JobQueue
from carina.service.reading import FilmWorker, urgency_of
from carina.service.receive import Received, receive_files, receive_film

__all__ = [
    "Check",
    "FilmWorker",
    "Health",
    "JobQueue",
    "Received",
    "check_health",
    "health_check",
    "receive_files",
    "receive_film",
    "urgency_of",
]
