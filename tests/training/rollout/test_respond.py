"""What is judged of a response: its text, with the thought that the prompt has opened."""

import pytest

from evaluation.candidate import parse
from evaluation.verdict import Refusal
from tests.training.test_grpo import job, parts
from training.model.tokenizer import (
    CHAT_TEMPLATE,
    decode_response,
    encode_prompt,
    encode_response,
    train_tokenizer,
)
from training.rollout.ranks import Ranks

ANSWER = '```cuda\n// launch k<<<1, 32>>>(x)\nextern "C" __global__ void k(float* x) {}\n```\n'
OPENED = CHAT_TEMPLATE.replace("'<|im_start|>' }}{% endif", "'<|im_start|><think>\\n' }}{% endif")
CLOSED = OPENED.replace("<think>\\n", "<think>\\n\\n</think>\\n\\n")


@pytest.mark.parametrize(
    ("template", "prompt", "response", "is_answer"),
    [
        (OPENED, "?", f"A draft: {ANSWER} But is it", False),
        (OPENED, "?", f"A thought.</think>\n{ANSWER}", True),
        (CLOSED, "?", ANSWER, True),
        (CHAT_TEMPLATE, "Think between <think> and </think>, beginning with <think>", ANSWER, True),
    ],
)
def test_a_thought_that_the_template_opens_must_end(template, prompt, response, is_answer):
    tokenizer = train_tokenizer(["hello"], 260)
    tokenizer.chat_template = template
    ids = encode_prompt(tokenizer, [{"role": "user", "content": prompt}])
    text = decode_response(tokenizer, encode_response(tokenizer, response), ids)
    assert text.endswith(response)
    assert isinstance(parse(text), Refusal) is not is_answer


def test_rollouts_are_judged_with_the_thought_that_their_prompt_opened(single_process, folder, tmp_path):
    _, rollouts, _ = parts(job(folder, tmp_path, max_new_tokens=8))
    rollouts.responder.tokenizer.chat_template = OPENED
    samples = rollouts.collect(0, Ranks.alone())[0].samples
    assert samples and all(sample.text.startswith("<think>") for sample in samples)
