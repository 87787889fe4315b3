"""Reading a source: every row becomes a problem, a repetition or is left out with its reason."""

import pytest

from data.sources.reading import read_source
from data.sources.rows import LeftOut, Reason
from evaluation.errors import WarpsmithError
from tests.data.sources.programs import program, write


@pytest.fixture(scope="module")
def pool(confined):
    return confined


def test_sizes_are_drawn_from_the_seed(tmp_path, pool):
    file = write(tmp_path / "rows.jsonl", [{"pytorch": program("relu")}])
    first, again, other = (read_source(str(file), pool, seed).problems[0] for seed in ("1", "1", "2"))
    assert first == again
    assert first.shipped == other.shipped
    assert first.checks != other.checks and first.ladder != other.ladder


def test_rows_add_up(tmp_path, pool):
    rows = [
        {"pytorch": program("relu"), "difficulty": 1},
        {"pytorch": program("relu"), "difficulty": 1},
        {"program": program("relu", argument="other") + "# the same, renamed\n", "level": 3},
        {"program": program("tanh"), "level": 2},
        b"{broken",
        b"[1, 2]",
        b"\xff\xfe{}",
        b"",
        {"text": "no program"},
        {"pytorch": 17},
        {"pytorch": program("relu"), "difficulty": "hard"},
        {"pytorch": program("relu"), "difficulty": True},
        {"pytorch": "def get_inputs(:"},
        {"pytorch": "x = 1"},
        {"pytorch": program("undefined")},
        {"pytorch": program("clone")},
        {"pytorch": program("relu", shape='int("1000000000")')},
        b"[" * 5000,
        {"pytorch": program("exp") + "# \ud800"},
    ]
    reading = read_source(str(write(tmp_path / "rows.jsonl", rows)), pool)
    counts = reading.counts
    assert counts.rows_in == 18
    assert counts.rows_in == len(reading.problems) + len(reading.refused) + counts.duplicates.total()
    assert counts.duplicates.total() == 2
    assert [(item.id, item.level, item.operators, item.source) for item in reading.problems] == [
        ("rows-00001", 1, ("relu",), "rows.jsonl"),
        ("rows-00004", 2, ("tanh",), "rows.jsonl"),
    ]
    found = {item.place: item for item in reading.refused}
    expected = {
        5: (Reason.NOT_JSON, "not valid JSON"), 6: (Reason.NOT_AN_OBJECT, "must be an object"),
        7: (Reason.NOT_UTF8, "not valid UTF-8"), 9: (Reason.FIELD, "has no program"),
        10: (Reason.FIELD, "has a int"), 11: (Reason.FIELD, "'hard'"), 12: (Reason.FIELD, "'True'"),
        13: (Reason.NOT_A_PROGRAM, "not valid Python"), 14: (Reason.NOT_A_PROGRAM, "no `get_inputs`"),
        15: (Reason.DOES_NOT_RUN, "no attribute 'undefined'"), 16: (Reason.NAMELESS, "no operator"),
        17: (Reason.NO_TASK, "too large"), 18: (Reason.NOT_JSON, "not valid JSON"),
        19: (Reason.NOT_UTF8, "half of a surrogate pair"),
    }  # fmt: skip
    for number, (reason, sentence) in expected.items():
        assert found[f"rows.jsonl:{number}"].reason == reason
        assert sentence in found[f"rows.jsonl:{number}"].sentence
    assert all(item.text for item in reading.refused)


def test_the_order_of_the_source_is_kept(tmp_path, pool):
    rows = [{"program": program("tanh")}, b"{", {"program": program("relu")}]
    outcomes = read_source(str(write(tmp_path / "rows.jsonl", rows)), pool).outcomes
    assert [isinstance(item, LeftOut) for item in outcomes] == [False, True, False]


def test_a_folder_is_read_file_by_file(tmp_path, pool):
    (tmp_path / "level2").mkdir()
    (tmp_path / "level2" / "1_sin.py").write_text(program("sin"))
    (tmp_path / "0 cos.py").write_text(program("cos"))
    (tmp_path / "notes.txt").write_text("not a program")
    (tmp_path / "broken.py").write_bytes(b"\xff")
    reading = read_source(str(tmp_path), pool)
    assert [(item.id, item.level) for item in reading.problems] == [("0-cos", 1), ("level2-1-sin", 2)]
    assert [(item.place, item.sentence) for item in reading.refused] == [
        ("broken.py", "the file is not valid UTF-8; convert it")
    ]


def test_a_missing_source_says_what_to_correct(tmp_path, pool):
    with pytest.raises(WarpsmithError, match=r"missing\.jsonl cannot be read \(No such file"):
        read_source(str(tmp_path / "missing.jsonl"), pool)


def test_a_benchmark_keeps_what_differs_in_sizes_alone(tmp_path, pool):
    shapes = {"wide": "[8, 4096]", "tall": "[4096, 8]"}
    rows = [
        {"code": program("relu", shape=shape), "level": 1, "name": name, "problem_id": number}
        for number, (name, shape) in enumerate(shapes.items())
    ]
    reading = read_source(f"kernelbench:{write(tmp_path / 'rows.jsonl', rows)}", pool)
    assert [item.id for item in reading.problems] == ["level1-0-wide", "level1-1-tall"]
