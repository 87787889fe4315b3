"""Prompts are checked before a run begins, and those that are too long are left out."""

import pytest

from evaluation.errors import WarpsmithError
from training.model.tokenizer import encode_prompt, train_tokenizer
from training.rollout.prompts import PromptRow, fitting, read_prompts

ROWS = [
    PromptRow.model_validate({"prompt": [{"role": "user", "content": "x" * size}], "label": f"p{size}"})
    for size in (1, 40)
]


@pytest.fixture
def tokenizer():
    return train_tokenizer(["a b"], 300)


def test_prompts_that_are_too_long_are_left_out(tokenizer):
    assert fitting(ROWS, tokenizer, 10) == (ROWS[:1], 1)
    with pytest.raises(WarpsmithError, match="each has more than 2 tokens"):
        fitting(ROWS, tokenizer, 2)


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no such role') }}",
        "{% if %}",
        "{{ messages[7].content.text }}",
        "{{ messages[0].content + 5 }}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_that_refuses_a_prompt_is_reported_with_the_label(tokenizer, template):
    tokenizer.chat_template = template
    sentence = "the prompt with the label 'p1': the tokenizer's chat template refuses a chat of user"
    with pytest.raises(WarpsmithError, match=sentence):
        fitting(ROWS, tokenizer, 10)


def test_text_that_is_no_unicode_is_refused(tokenizer):
    with pytest.raises(WarpsmithError, match="refuses a chat of user"):
        encode_prompt(tokenizer, [{"role": "user", "content": "\ud800"}])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (r'{"prompt": [{"role": "user", "content": "\ud800"}], "label": "p"}', "Invalid JSON"),
        ('{"prompt": [{"role": "user", "content": null}], "label": "p"}', r"prompt\.0\.content"),
        ('{"prompt": ["x"], "label": "p"}', r"prompt\.0"),
        ('{"metadata": ' + "[" * 10**5, "Invalid JSON: recursion limit"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, line, reason):
    file = tmp_path / "prompts.jsonl"
    file.write_text(f"{ROWS[0].model_dump_json()}\n{line}\n")
    with pytest.raises(WarpsmithError, match=rf"prompts\.jsonl, line 2: .*{reason}"):
        read_prompts(file)
