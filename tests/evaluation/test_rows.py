"""One reader of JSONL: what a line is, whatever a string in it holds."""

import json

import pytest

from evaluation.errors import WarpsmithError
from evaluation.rows import read_lines


def test_only_newlines_end_a_line(tmp_path):
    rows = [{"program": f"a{separator}b"} for separator in "\u2028\u2029\x85\x0b\x0c\x1c"]
    text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    found = read_lines(tmp_path / "rows.jsonl")
    assert [json.loads(line) for _, line in found] == rows
    assert [number for number, _ in found] == [1, 3, 5, 7, 9, 11]


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert [json.loads(line) for _, line in read_lines(tmp_path / "rows.jsonl")] == [{"a": 1}, {"a": 2}]


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b"\xff\xfe")
    for path in (tmp_path, tmp_path / "none", tmp_path / "rows.jsonl"):
        with pytest.raises(WarpsmithError, match=r"cannot be read|is not UTF-8"):
            read_lines(path)
