"""A model against films: where it looks, what it finds, whether to believe it."""

from __future__ import annotations
