"""What belongs together: disjoint sets that grow by joining."""

from __future__ import annotations

__all__ = ["UnionFind"]


class UnionFind:
    """Disjoint sets of names (union-find with path halving; the smallest name represents a set).

    Examples
    --------
    >>> sets = UnionFind()
    >>> sets.join("b", "a")
    >>> sets.find("b"), sets.find("c")
    ('a', 'c')
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Return the representative of the set that holds `name`."""
        parent = self._parent
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        """Make one set of the sets that hold `one` and `other`."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low
