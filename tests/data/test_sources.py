"""Sources: every row becomes a problem, a duplicate or a refusal with its reason."""

import json

import pytest

from data.sources import Refused, read_sources
from evaluation.errors import WarpsmithError


@pytest.fixture(scope="module")
def pool(confined):
    return confined


def program(operator="relu", shape="[8192, 4096]", argument="x"):
    return (
        f"import torch\n\ndef get_inputs():\n    return [torch.randn({shape})]\n\n"
        f"def fused_operator({argument}):\n    return torch.{operator}({argument})\n"
    )


def write(path, rows):
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows))
    return path


def test_sizes_are_drawn_from_the_seed(tmp_path, pool):
    file = write(tmp_path / "rows.jsonl", [{"pytorch": program("relu")}])
    first, again, other = (read_sources(file, pool, seed).problems[0] for seed in ("1", "1", "2"))
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
    ]
    reading = read_sources(write(tmp_path / "rows.jsonl", rows), pool)
    assert reading.rows == 17
    assert reading.rows == len(reading.problems) + len(reading.refused) + reading.duplicates
    assert reading.duplicates == 2
    assert [(item.id, item.level, item.operators, item.source) for item in reading.problems] == [
        ("rows-00001", 1, ("relu",), "rows.jsonl"),
        ("rows-00004", 2, ("tanh",), "rows.jsonl"),
    ]
    reasons = {item.name: item.reason for item in reading.refused}
    expected_reasons = {
        5: "not valid JSON", 6: "must be an object", 7: "not valid UTF-8", 9: "has no program",
        10: "has a int", 11: "'hard'", 12: "'True'", 13: "not valid Python", 14: "no `get_inputs`",
        15: "no attribute 'undefined'", 16: "copy of an input", 17: "too large", 18: "not valid JSON",
    }  # fmt: skip
    for number, expected in expected_reasons.items():
        assert expected in reasons[f"rows.jsonl:{number}"]
    assert all(isinstance(item, Refused) and item.text for item in reading.refused)


def test_iterating_keeps_the_order_of_the_source(tmp_path, pool):
    rows = [{"program": program("tanh")}, b"{", {"program": program("relu")}]
    items = list(read_sources(write(tmp_path / "rows.jsonl", rows), pool))
    assert [isinstance(item, Refused) for item in items] == [False, True, False]


def test_a_folder_is_read_file_by_file(tmp_path, pool):
    (tmp_path / "level2").mkdir()
    (tmp_path / "level2" / "1_sin.py").write_text(program("sin"))
    (tmp_path / "0 cos.py").write_text(program("cos"))
    (tmp_path / "notes.txt").write_text("not a program")
    (tmp_path / "broken.py").write_bytes(b"\xff")
    reading = read_sources(tmp_path, pool)
    assert [(item.id, item.level) for item in reading.problems] == [("0-cos", 1), ("level2-1-sin", 2)]
    assert [(item.name, item.reason) for item in reading.refused] == [
        ("broken.py", "the file is not valid UTF-8; convert it")
    ]


def test_a_missing_source_says_what_to_correct(tmp_path, pool):
    with pytest.raises(WarpsmithError, match=r"missing\.jsonl cannot be read .*correct `data.sources`"):
        read_sources(tmp_path / "missing.jsonl", pool)
