from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from carina.errors import TableError, TrainingError
from carina.sampling import contrast_ages, patient_key, read_film_table, require_two_classes
from carina.tasks import default_task

_TASK = default_task()
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str) -> Path:
        path = tmp_path / "films.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_ids_are_text_and_image_id_is_the_file_s_stem(write: Write) -> None:
    table = read_film_table(write("path,label,patient_id\nin/007.png,normal,0123\nin/1e5.png,viral,4\n"), _TASK)
    assert table.image_ids == ["007", "1e5"]
    assert table.patients == ["0123", "4"]


def test_a_user_s_column_named_row_is_kept(write: Write) -> None:
    table = read_film_table(write("path,label,patient_id,row\na.png,normal,1,of seats\n"), _TASK)
    assert table.frame["row"].to_list() == ["of seats"]


def test_parquet_and_csv_give_the_same_table(write: Write, tmp_path: Path) -> None:
    csv = write("path,label,patient_id,age\na.png,normal,1,40\nb.png,viral,2,\n")
    parquet = tmp_path / "films.parquet"
    pl.DataFrame(
        {"path": ["a.png", "b.png"], "label": ["normal", "viral"], "patient_id": [1, 2], "age": [40, None]}
    ).write_parquet(parquet)
    names = ["image_id", "path", "label", "patient_id", "age", "age_low"]
    assert read_film_table(parquet, _TASK).frame.select(names).equals(read_film_table(csv, _TASK).frame.select(names))


def test_paths_are_relative_to_the_table_and_its_hash_is_kept(write: Write) -> None:
    path = write("path,label,patient_id\nin/a.png,normal,1\n")
    table = read_film_table(path, _TASK)
    assert table.paths == [path.resolve().parent / "in" / "a.png"]
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("path,label,patient_id\n", "has none"),
        ("path,label\na,normal\n", "lacks patient_id"),
        ("file,diagnosis\na,normal\n", "lacks path, label, patient_id"),
        ("path,label,patient_id\na,normal,1\nb,normal,\n", "1 do not, first row 2"),
        ("path,label,patient_id\n ,normal,1\n", "must have a path"),
        ("path,label,patient_id\nx/a.png,normal,1\ny/a.png,normal,2\n", "repeats one in rows 1 and 2"),
        ("path,label,patient_id,image_id\na,normal,1,p\na,normal,2,q\n", "every path .* must differ"),
        ("path,label,patient_id,split\na,normal,1,valid\n", "'valid' in row 1"),
        ("path,label,patient_id\na,fracture,1\n", r"no film .* has a label of task"),
        ("path,label,patient_id\na,normal,1,extra\n", "readable CSV"),
    ],
)
def test_a_table_that_breaks_the_contract_is_refused_in_one_sentence(write: Write, text: str, words: str) -> None:
    with pytest.raises(TableError, match=words) as caught:
        read_film_table(write(text), _TASK)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_table_and_a_folder_are_refused(tmp_path: Path) -> None:
    rubbish = tmp_path / "films.parquet"
    rubbish.write_bytes(bytes(range(256)))
    for path in (rubbish, tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(TableError, match="must be a readable"):
            read_film_table(path, _TASK)


def test_labels_outside_the_task_are_left_out_and_counted(write: Write) -> None:
    table = read_film_table(
        write("path,label,patient_id\na,normal,1\nb,other,2\nc,other,3\nd,,4\ne,pneumonia,5\n"), _TASK
    )
    assert table.labels == ["normal", "pneumonia"]
    assert table.left_out == {"other": 2, "(blank)": 1}
    assert len(table.notes()) == 2


def test_strict_refuses_labels_outside_the_task(write: Write) -> None:
    with pytest.raises(TableError, match="'other': 1"):
        read_film_table(write("path,label,patient_id\na,normal,1\nb,other,2\n"), _TASK, strict=True)


def test_ages_that_are_no_age_become_unknown_and_are_counted(write: Write) -> None:
    rows = [("a", "57"), ("b", "NaN"), ("c", ""), ("d", "412"), ("e", "-3"), ("f", "045Y"), ("g", "0")]
    text = "path,label,patient_id,age\n" + "".join(f"{path},normal,{path},{age}\n" for path, age in rows)
    table = read_film_table(write(text), _TASK)
    assert table.frame["age"].to_list() == [57.0, None, None, None, None, None, 0.0]
    assert table.ages_unusable == 4


def test_an_age_group_gives_the_range_where_the_age_is_unknown(write: Write) -> None:
    table = read_film_table(
        write("path,label,patient_id,age,age_group\na,normal,1,,1-5\nb,normal,2,3,1-5\nc,normal,3,,adult\n"), _TASK
    )
    assert table.frame["age_low"].to_list() == [1.0, 3.0, None]
    assert table.frame["age_high"].to_list() == [5.0, 3.0, None]


@pytest.mark.parametrize(
    ("twins", "kept"),
    [
        (("", "a", ""), ["a", "c"]),  # b is a copy of a
        (("b", "", ""), ["b", "c"]),  # a is a copy of b
        (("", "a", "b"), ["a"]),  # a chain
        (("z", "z", ""), ["a", "c"]),  # both are copies of a film that is not in the table
        (("b", "a", ""), ["a", "c"]),  # each names the other
        (("a", "", ""), ["a", "b", "c"]),  # names itself
    ],
)
def test_of_copies_one_film_stays(write: Write, twins: tuple[str, str, str], kept: list[str]) -> None:
    rows = "".join(f"{name},normal,{name},{twin}\n" for name, twin in zip("abc", twins, strict=True))
    table = read_film_table(write("path,label,patient_id,duplicate_of\n" + rows), _TASK)
    assert table.image_ids == kept
    assert table.duplicates == 3 - len(kept)


def test_a_patient_in_two_splits_is_refused_without_naming_the_patient(write: Write) -> None:
    with pytest.raises(TableError, match="1 are in two or more, such as rows 1 and 3") as caught:
        read_film_table(
            write("path,label,patient_id,split\na,normal,SECRET,train\nb,viral,2,test\nc,viral,SECRET,test\n"), _TASK
        )
    assert "SECRET" not in str(caught.value)


def test_missing_films_are_listed(write: Write) -> None:
    path = write("path,label,patient_id\na.png,normal,1\nb.png,normal,2\n")
    (path.parent / "a.png").write_bytes(b"film")
    table = read_film_table(path, _TASK)
    assert table.missing_files() == [path.resolve().parent / "b.png"]
    with pytest.raises(TableError, match="1 of 2 do not"):
        table.require_files()


def test_a_part_needs_a_filled_split_and_films(write: Write) -> None:
    whole = read_film_table(write("path,label,patient_id,split\na,normal,1,train\nb,viral,2,train\n"), _TASK)
    assert len(whole.part("train")) == 2
    with pytest.raises(TableError, match=r"no film .* 'test'"):
        whole.part("test")
    with pytest.raises(TableError, match="must have its `split`"):
        read_film_table(write("path,label,patient_id\na,normal,1\n"), _TASK).part("train")


def test_further_columns_a_byte_order_mark_and_spaced_names_are_read(write: Write) -> None:
    table = read_film_table(write("\ufeffpath, label ,patient_id,ward\na,normal,1,7B\n"), _TASK)
    assert table.frame["ward"].to_list() == ["7B"]
    assert table.labels == ["normal"]


@pytest.mark.parametrize("labels", [["normal"], ["pneumonia", "covid19"], []])
def test_one_class_alone_cannot_be_trained(labels: list[str]) -> None:
    with pytest.raises(TrainingError, match="exclude each other"):
        require_two_classes(labels, _TASK)


def test_two_labels_that_exclude_each_other_can_be_trained() -> None:
    require_two_classes(["pneumonia_non_covid19", "covid19"], _TASK)


def test_the_patient_key_is_the_start_of_a_sha_256() -> None:
    assert patient_key("abc") == "ba7816bf8f01cfea"  # FIPS 180-4, example "abc"


def test_a_contrast_of_children_against_adults_has_no_ages(write: Write) -> None:
    rows = [f"b{n},bacterial,b{n},{1 + n % 5}\n" for n in range(20)]
    rows += [f"v{n},viral,v{n},{1 + n % 4}\n" for n in range(20)]
    rows += [f"c{n},covid19,c{n},{30 + n}\n" for n in range(20)]
    ages = contrast_ages(read_film_table(write("path,label,patient_id,age\n" + "".join(rows)), _TASK), _TASK)
    assert ages["bacterial_given_pneumonia_without_covid19"] == (1.0, 4.0)
    assert ages["covid19_given_pneumonia"] is None
    assert ages["pneumonia"] is None  # no normal film


def test_the_real_table_is_read_whole(films_folder: Path) -> None:
    table = read_film_table(films_folder / "cxr" / "images.csv", _TASK)
    assert (len(table), table.duplicates, dict(table.left_out)) == (6920 - 3 - 103, 103, {"other": 3})
    assert not table.missing_files()


def test_two_columns_of_one_name_are_one_sentence(write: Write) -> None:
    with pytest.raises(TableError, match="columns 1 and 3"):
        read_film_table(write("path,label, path,patient_id\na.png,normal,a.png,1\n"), _TASK)


def test_a_damaged_parquet_table_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "films.parquet"
    pl.DataFrame({"path": ["a", "b"], "label": ["normal", "viral"], "patient_id": ["1", "2"]}).write_parquet(path)
    whole = path.read_bytes()
    for place in range(4, len(whole) - 8, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read_film_table(path, _TASK)
        except TableError:
            continue
