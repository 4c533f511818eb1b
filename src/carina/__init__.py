"""Carina: chest-radiograph diagnosis that a hospital can trust."""

__version__ = "0.1.0"

__all__ = ["__version__"]
