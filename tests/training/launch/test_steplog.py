import json

from hypothesis import given
from hypothesis import strategies as st

from training.launch.steplog import StepLog


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_carry_their_step(tmp_path):
    log = StepLog(tmp_path / "metrics.jsonl")
    log.append(1, [{"a": 1.0}])
    log.append(2, [{"a": 2.0}, {"b": "x\ny"}])
    assert rows(tmp_path / "metrics.jsonl") == [
        {"step": 1, "a": 1.0},
        {"step": 2, "a": 2.0},
        {"step": 2, "b": "x\ny"},
    ]


@given(cut=st.integers(0, 120), keep=st.integers(0, 6))
def test_truncating_keeps_complete_rows_up_to_the_step(tmp_path_factory, cut, keep):
    path = tmp_path_factory.mktemp("log") / "metrics.jsonl"
    log = StepLog(path)
    for step in range(1, 6):
        log.append(step, [{"value": "ü" * step}])
    written = path.read_bytes()[:cut]
    path.write_bytes(written)
    log.truncate(keep)
    complete = written.count(b"\n")
    assert [row["step"] for row in rows(path)] == list(range(1, min(complete, keep) + 1))


def test_truncating_what_is_not_there_makes_an_empty_file(tmp_path):
    StepLog(tmp_path / "metrics.jsonl").truncate(3)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_what_is_no_row_is_dropped_and_said(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n<<<<\n\x00\xff\n[1]\n{"loss": 2}\n{"step": 2}\n{"step": 3}\n')
    log = StepLog(path)
    assert [row["step"] for row in log.rows()] == [1, 2, 3]
    log.truncate(2)
    assert rows(path) == [{"step": 1}, {"step": 2}]
    assert f"{path}: dropped 4 line(s)" in capsys.readouterr().out
