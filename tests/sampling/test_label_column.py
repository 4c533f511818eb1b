"""Labels that a task reads from another column of the film table."""

from __future__ import annotations

from pathlib import Path

import pytest

from carina.errors import TableError, TaskError
from carina.sampling import read_film_table
from carina.tasks import load_task, task_from_dict

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "tasks"
_HEADER = "path,label,patient_id,source,findings\n"


def _table(folder: Path, *rows: str) -> Path:
    path = folder / "films.csv"
    path.write_text(_HEADER + "\n".join(rows) + "\n")
    return path


def test_labels_come_from_the_column_the_task_names(tmp_path: Path) -> None:
    task = load_task(EXAMPLES / "findings.toml")
    path = _table(
        tmp_path,
        "1.png,pneumonia,p1,nih,Edema|Effusion|Pneumonia",
        "2.png,normal,p2,nih,No Finding",
        "3.png,pneumonia,p3,nih,Pneumonia",
        "4.png,covid19,p4,cxnet,Effusion",
        "5.png,pneumonia,p5,nih,",
    )
    table = read_film_table(path, task)
    assert table.labels == ["effusion", "none", "other_finding"]
    assert table.frame["label_of_table"].to_list() == ["pneumonia", "normal", "pneumonia"]
    assert table.outside == 1
    assert table.left_out == {"(blank)": 1}
    assert any("[labels.where]" in note for note in table.notes())


def test_the_column_label_may_then_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text("path,patient_id,source,findings\n1.png,p1,nih,Effusion\n2.png,p2,nih,No Finding\n")
    assert read_film_table(path, load_task(EXAMPLES / "findings.toml")).labels == ["effusion", "none"]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("path,patient_id,source", "1.png,p1,nih", "lacks findings"),
        ("path,patient_id,findings", "1.png,p1,Effusion", "lacks source"),
        ("path,patient_id,source,findings", "1.png,p1,mars,Effusion", r"no row of .* meets"),
    ],
)
def test_a_table_that_cannot_give_the_labels_is_refused(tmp_path: Path, header: str, row: str, message: str) -> None:
    path = tmp_path / "films.csv"
    path.write_text(f"{header}\n{row}\n")
    with pytest.raises(TableError, match=message):
        read_film_table(path, load_task(EXAMPLES / "findings.toml"))


def test_labels_outside_the_task_are_refused_with_the_task_file() -> None:
    values = {
        "name": "one",
        "version": 1,
        "input": "ct_slice",
        "classes": ["a", "b"],
        "decision": {"otherwise": "unsure"},
        "labels": {"column": "said", "rules": [{"label": "c", "any": ["x"]}]},
    }
    with pytest.raises(TaskError, match="labels that the task does not have"):
        task_from_dict(values)


def test_a_task_without_the_new_keys_is_written_as_it_always_was() -> None:
    written = load_task(EXAMPLES / "ct_slice.toml").model_dump(mode="json")
    assert "labels" not in written
    assert "input_rules" not in written


def test_the_real_films_give_the_counts_of_their_findings_column(films_folder: Path) -> None:
    table = read_film_table(films_folder / "cxr" / "images.csv", load_task(EXAMPLES / "findings.toml"))
    labels = table.labels
    # Counted with grep over the column: 384 "No Finding", 73 with "Effusion", 319 others of 776 nih films.
    assert {name: labels.count(name) for name in sorted(set(labels))} == {
        "effusion": 73,
        "none": 384,
        "other_finding": 319,
    }
