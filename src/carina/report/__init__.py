"""What a reader sees: self-contained pages of films and their readings."""

from __future__ import annotations

from carina.report.explain_page import write_explain_page
from carina.report.page import PageOptions, write_page
from carina.report.readings import FilmReading, Readings, read_readings

__all__ = ["FilmReading", "PageOptions", "Readings", "read_readings", "write_explain_page", "write_page"]
