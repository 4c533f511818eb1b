"""Losses on class logits with label sets and groups (film table contract, M2, M25, M36)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from carina.tasks import Task

__all__ = ["FilmLoss"]


class FilmLoss(nn.Module):
    """Negative log-likelihood of the labels along the task's hierarchy.

    The likelihood of a film labelled with a set of classes is the sum of their probabilities. It factors along the
    groups, P(group) x P(class | group), and the two factors are weighted apart:

    - the *root* factor by `root_weights` of the film. A source whose films all lie on one side of the root (a
      COVID-19-only collection, say) can teach the root nothing but the source; its films weigh little there (M36);
    - the *inner* factor by `inner_weights`;
    - a film outside every group (a normal film) carries no evidence on the kind of disease: with `evenness` > 0 its
      distribution within each group is drawn towards even, so that the inner factor cannot live on the source alone.

    Parameters
    ----------
    task : Task
    evenness : float
        Weight of the last term, 0 to 1.
    smoothing : float
        Label smoothing, 0 to 0.5: the log-likelihood is mixed with the mean log-probability of the level's units.
    """

    def __init__(self, task: Task, *, evenness: float, smoothing: float) -> None:
        super().__init__()
        self.evenness, self.smoothing = evenness, smoothing
        group_of = {name: group for group, members in task.groups.items() for name in members}
        roots = list(dict.fromkeys(group_of.get(name, name) for name in task.classes))
        unit_of = torch.zeros(len(task.classes), len(roots))
        for number, name in enumerate(task.classes):
            unit_of[number, roots.index(group_of.get(name, name))] = 1.0
        self.unit_of: Tensor
        self.register_buffer("unit_of", unit_of)
        self.groups: list[tuple[int, list[int]]] = [
            (roots.index(group), [task.classes.index(name) for name in members])
            for group, members in task.groups.items()
        ]

    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        root_weights: Tensor,
        inner_weights: Tensor,
        silent: Tensor | None = None,
    ) -> Tensor:
        """Mean weighted loss of a batch.

        Parameters
        ----------
        logits : Tensor, (B, K)
        targets : Tensor of bool, (B, K)
            Classes that each film's label stands for.
        root_weights, inner_weights : Tensor, (B,)
            At least 0.
        silent : Tensor of bool, (B,), or None
            Films that say nothing: whatever their label, each level is drawn towards even.

        Returns
        -------
        Tensor
            Scalar.
        """
        log_p = logits.log_softmax(1)
        root = torch.stack([_log_sum(log_p, unit > 0) for unit in self.unit_of.T], 1)
        units = targets.float() @ self.unit_of > 0
        total = root_weights * self._level(root, units)
        quiet = _from_even(root)
        for unit, members in self.groups:
            within = log_p[:, members].log_softmax(1)
            chosen = targets[:, members]
            inside = chosen.any(1) & (units.sum(1) == 1)
            fallback = torch.where(inside[:, None], chosen, torch.ones_like(chosen))
            total = total + torch.where(inside, inner_weights * self._level(within, fallback), 0.0)
            even = _from_even(within)
            total = total + torch.where(units[:, unit], 0.0, self.evenness * root_weights * even)
            quiet = quiet + even
        return (total if silent is None else torch.where(silent, quiet, total)).mean()

    def _level(self, log_p: Tensor, allowed: Tensor) -> Tensor:
        likelihood = log_p.masked_fill(~allowed, -torch.inf).logsumexp(1)
        return -(1.0 - self.smoothing) * likelihood - self.smoothing * log_p.mean(1) * (~allowed).any(1)


def _from_even(log_p: Tensor) -> Tensor:
    """Divergence of the even distribution from these, (B,); 0 where they are even."""
    return -log_p.mean(1) - torch.log(torch.tensor(float(log_p.shape[1])))


def _log_sum(log_p: Tensor, chosen: Tensor | Sequence[bool]) -> Tensor:
    return log_p[:, chosen].logsumexp(1)
