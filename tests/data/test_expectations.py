"""The gate: clean problems pass, and each critical expectation stops a defect planted for it."""

import json
import shutil

import pytest

from data.expectations.gate import validate
from data.expectations.page import PAGE
from data.expectations.programs import COLUMNS, load_table
from data.expectations.suite import GateError, Severity
from data.generator import generate
from data.prepared import Prepared, summarise, write
from data.settings import Counts
from data.table import Measured
from tests.data.toy import toy

SETTINGS = toy(
    level1_per_operator=1,
    train=Counts(level2=6, level3=4),
    validation=Counts(level2=1, level3=1),
    heldout=Counts(level2=3, level3=3),
)
GOOD = Measured(output_finite=True, output_std=1.0, output_zero_share=0.0, output_copies_input=False)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A prepared folder whose outputs were measured as good."""
    out = tmp_path_factory.mktemp("prepared")
    problems = tuple(item.problem for item in generate(SETTINGS, "2026-12-01").problems)
    prepared = Prepared(problems, (GOOD,) * len(problems), (), (), {}, {})
    write(prepared, summarise(prepared, SETTINGS, "2026-12-01"), SETTINGS, out)
    return out


class Defective:
    """A prepared folder to plant a defect in."""

    def __init__(self, clean, folder):
        self.folder = folder
        shutil.copytree(clean, folder, dirs_exist_ok=True)
        self.answers = [{
            "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "```cuda\n```"}],
            "metadata": {"problem_id": self.trained(clean), "style": "per_output", "verified": "checks"},
        }]  # fmt: skip
        self.problems = [json.loads(line) for line in (clean / "problems.jsonl").read_text().splitlines()]
        self.outputs = [line.split(",") for line in (clean / "outputs.csv").read_text().splitlines()]
        self.summary = json.loads((clean / "summary.json").read_text())

    @staticmethod
    def trained(folder):
        """Id of some training problem."""
        return json.loads((folder / "prompts" / "train.jsonl").read_text().splitlines()[0])["label"]

    def measured(self, row, column, value):
        self.outputs[row + 1][self.outputs[0].index(column)] = value

    def write(self):
        (self.folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.problems))
        (self.folder / "outputs.csv").write_text("".join(",".join(row) + "\n" for row in self.outputs))
        (self.folder / "summary.json").write_text(json.dumps(self.summary))
        (self.folder / "sft.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.answers))


@pytest.fixture
def defective(clean, tmp_path):
    return Defective(clean, tmp_path)


def _row_of(problems, split, level):
    return next(i for i, row in enumerate(problems) if row["split"] == split and row["level"] == level)


def test_clean_problems_pass_and_everything_is_published(clean, tmp_path):
    metrics = validate(clean, tmp_path)
    outcomes = json.loads((tmp_path / "result.json").read_text())
    assert metrics["gate/critical_failed"] == 0
    assert metrics["gate/problems"] == len((clean / "problems.jsonl").read_text().splitlines())
    assert all(outcome["success"] for outcome in outcomes if outcome["severity"] == Severity.CRITICAL)
    assert {outcome["severity"] for outcome in outcomes} == set(Severity)
    assert (tmp_path / "docs" / "index.html").exists()
    page = (tmp_path / "docs" / PAGE).read_text()
    assert all(f"<td>{item['name']}</td>" in page for item in outcomes) and "http" not in page


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", b'{"problems": 1'),
        ("summary.json", b"[]"),
        ("outputs.csv", b""),
        ("outputs.csv", b"name\n1\n"),
        ("outputs.csv", b'id,output_std\n"1'),
        ("problems.jsonl", b"\xff\xfe"),
        ("sft.jsonl", b"{}\n"),
        ("sft.jsonl", b"[1"),
    ],
)
def test_a_broken_file_is_one_sentence(defective, tmp_path, name, content):
    defective.write()
    (defective.folder / name).write_bytes(content)
    with pytest.raises(GateError, match=rf"^{name} cannot be read \(.+\): run prepare again\.$"):
        validate(defective.folder, tmp_path / "out")


def test_the_table_has_the_columns_of_the_schema(clean):
    assert tuple(load_table(clean).columns) == COLUMNS


def _duplicate_id(bad):
    bad.problems[3]["id"] = bad.problems[2]["id"]
    return bad.problems[2]["id"]


def _duplicate_program(bad):
    bad.problems[3]["shipped"] = bad.problems[2]["shipped"]
    return bad.problems[3]["id"]


def _leak(bad):
    leaked = _row_of(bad.problems, "heldout", 2)
    twin = dict(bad.problems[leaked], id="leaked", split="train")
    twin["shipped"] = dict(twin["shipped"], program=twin["shipped"]["program"] + "\nlimit = 1\n")
    bad.problems.append(twin)
    bad.outputs.append(["leaked", *bad.outputs[1][1:]])
    bad.summary["problems"] += 1
    return "leaked"


def _infinite(bad):
    bad.measured(4, "output_finite", "False")
    return bad.problems[4]["id"]


def _constant(bad):
    bad.measured(4, "output_std", "0.0")
    return bad.problems[4]["id"]


def _copy(bad):
    bad.measured(4, "output_copies_input", "True")
    return bad.problems[4]["id"]


def _unmeasured(bad):
    del bad.outputs[5]
    return bad.problems[4]["id"]


def _no_operators(bad):
    bad.problems[4]["operators"] = []
    return bad.problems[4]["id"]


def _huge(bad):
    bad.problems[4]["shipped"]["inputs"][0]["shape"] = [2**40]
    return bad.problems[4]["id"]


def _heavy_check(bad):
    bad.problems[4]["checks"][1]["inputs"][0]["shape"] = [2**30]
    return bad.problems[4]["id"]


def _endless_flops(bad):
    bad.problems[4]["flops"] = 10**19
    return bad.problems[4]["id"]


def _endless_bytes(bad):
    bad.problems[4]["bytes"] = 10**15
    return bad.problems[4]["id"]


def _lax(bad):
    bad.problems[4]["tolerance"] = 0.5
    return bad.problems[4]["id"]


def _change_prompt(bad, change):
    path = bad.folder / "prompts" / "train.jsonl"
    first, *others = path.read_text().splitlines()
    row = json.loads(first)
    change(row)
    path.write_text("\n".join([json.dumps(row), *others]) + "\n")
    return row["label"]


def _prompt_elsewhere(bad):
    return _change_prompt(bad, lambda row: row["metadata"].update(split="heldout"))


def _unknown_prompt(bad):
    return _change_prompt(bad, lambda row: row.update(label="gen-unknown"))


def _nobody_asks(bad):
    return _change_prompt(bad, lambda row: row["prompt"][0].update(role="assistant"))


def _held_out_kernel(bad):
    heldout = json.loads((bad.folder / "prompts" / "heldout.jsonl").read_text().splitlines()[0])
    bad.answers[0]["metadata"]["problem_id"] = heldout["label"]
    return heldout["label"]


def _no_block(bad):
    bad.answers[0]["messages"][1]["content"] = "I cannot."
    return bad.answers[0]["metadata"]["problem_id"]


@pytest.mark.parametrize(
    ("name", "plant"),
    [
        ("split_of_the_problem", _prompt_elsewhere),
        ("known_problems", _unknown_prompt),
        ("user_speaks_last", _nobody_asks),
        ("training_problems_only", _held_out_kernel),
        ("one_block", _no_block),
        ("unique_ids", _duplicate_id),
        ("unique_programs", _duplicate_program),
        ("no_split_leakage", _leak),
        ("finite_outputs", _infinite),
        ("varying_outputs", _constant),
        ("no_copied_inputs", _copy),
        ("measured_outputs", _unmeasured),
        ("named_operators", _no_operators),
        ("elements_in_range", _huge),
        ("check_elements_in_range", _heavy_check),
        ("flops_in_range", _endless_flops),
        ("bytes_in_range", _endless_bytes),
        ("tolerance_in_range", _lax),
    ],
)
def test_a_planted_defect_stops_the_night_and_is_named(defective, tmp_path, name, plant):
    row = plant(defective)
    defective.write()
    with pytest.raises(GateError) as caught:
        validate(tmp_path, tmp_path / "gate")
    assert name in str(caught.value) and row in str(caught.value)
    outcomes = {item["name"]: item for item in json.loads((tmp_path / "gate" / "result.json").read_text())}
    assert not outcomes[name]["success"]
    assert any(found.endswith(row) for found in outcomes[name]["rows"])


def test_a_truncated_file_is_noticed(defective, tmp_path):
    del defective.problems[-1]
    defective.write()
    with pytest.raises(GateError, match="all_problems_present"):
        validate(tmp_path, tmp_path / "gate")


def test_drift_from_the_champions_data_is_a_warning(clean, tmp_path):
    validate(clean, tmp_path / "champion")
    same = validate(clean, tmp_path / "same", tmp_path / "champion" / "data.json")
    profile = json.loads((tmp_path / "champion" / "data.json").read_text())
    profile["operators"]["conv9d"] = profile["operators"].pop("relu")
    profile["characters"] *= 3
    (tmp_path / "other.json").write_text(json.dumps(profile))
    other = validate(clean, tmp_path / "other", tmp_path / "other.json")
    alone = validate(clean, tmp_path / "alone", tmp_path / "nowhere.json")
    assert other["gate/critical_failed"] == 0
    assert other["gate/warnings"] == same["gate/warnings"] + 3
    assert other["gate/expectations"] == same["gate/expectations"] == alone["gate/expectations"] + 5
    outcomes = json.loads((tmp_path / "other" / "result.json").read_text())
    found = {item["name"]: item["success"] for item in outcomes if item["table"].startswith("drift")}
    assert found == {
        "no_new_operators": False, "no_operators_lost": False, "shares_of_operators": True,
        "length_of_prompts": False, "number_of_prompts": True,
    }  # fmt: skip


def test_an_empty_folder_asks_for_prepare(tmp_path):
    with pytest.raises(GateError, match=r"has no problems\.jsonl, .* run the prepare stage first"):
        validate(tmp_path, tmp_path / "gate")


def test_a_missing_level_is_named(defective, tmp_path):
    kept = [row for row in defective.problems if (row["split"], row["level"]) != ("heldout", 3)]
    defective.summary["problems"] = len(kept)
    defective.problems = kept
    defective.write()
    with pytest.raises(GateError, match=r"all_levels_present \(missing heldout/3\)"):
        validate(tmp_path, tmp_path / "gate")


def test_a_missing_column_is_a_broken_schema(defective, tmp_path):
    defective.outputs = [row[:-1] for row in defective.outputs]
    defective.write()
    with pytest.raises(GateError, match=r"schema .*output_copies_input"):
        validate(tmp_path, tmp_path / "gate")


def test_an_unknown_split_is_no_problem_at_all(defective, tmp_path):
    defective.problems[2]["split"] = "test"
    defective.write()
    with pytest.raises(GateError, match=r"line 3 is no problem \(split"):
        validate(tmp_path, tmp_path / "gate")


def test_a_warning_is_published_and_does_not_stop(defective, tmp_path):
    defective.measured(4, "output_zero_share", "0.9")
    defective.problems[5]["unresizable"] = "its sizes are computed"
    defective.write()
    assert validate(tmp_path, tmp_path / "gate")["gate/warnings"] == 2
    outcomes = {
        item["name"]: item["rows"] for item in json.loads((tmp_path / "gate" / "result.json").read_text())
    }
    assert outcomes["few_zeros"] == [defective.problems[4]["id"]]
    assert outcomes["resized"] == [defective.problems[5]["id"]]
