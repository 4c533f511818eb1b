"""What is to be told apart: classes, label sets, groups, contrasts and decisions, read from a task file (M2, M37)."""

from carina.tasks.decision import Decision, Threshold, decide
from carina.tasks.inputs import InputKind, input_kinds
from carina.tasks.label_column import LabelColumn, LabelRule
from carina.tasks.task import Contrast, DecisionRule, Task, default_task, load_task, task_from_dict

__all__ = [
    "Contrast",
    "Decision",
    "DecisionRule",
    "InputKind",
    "LabelColumn",
    "LabelRule",
    "Task",
    "Threshold",
    "decide",
    "default_task",
    "input_kinds",
    "load_task",
    "task_from_dict",
]
