"""A rollout function: more responses are written than are trained on, and the extremes are kept."""

from training.model.tokenizer import decode_response, encode_prompt
from training.rollout.buffer import Sample
from training.rollout.rewards.custom import RolloutInput
from training.rollout.rewards.rewards import Response

_TIMES = 2


def best_and_worst(rollout: RolloutInput) -> list[Sample]:
    """Of twice as many responses to each prompt, the best half and the worst half of what is wanted."""
    samples = []
    each = _TIMES * rollout.samples_per_prompt
    for number, row in enumerate(rollout.rows, rollout.first_group):
        prompt = tuple(encode_prompt(rollout.tokenizer, row.messages))
        sampling = [rollout.sampling(number * each + turn) for turn in range(each)]
        completions = rollout.engine.generate([prompt] * each, sampling)
        texts = [decode_response(rollout.tokenizer, one.token_ids, prompt) for one in completions]
        rewards = rollout.score([Response(row, text) for text in texts])
        ranked = sorted(
            (
                Sample(number, row, prompt, completion, text, reward)
                for completion, text, reward in zip(completions, texts, rewards, strict=True)
            ),
            key=lambda sample: sample.reward.value,
        )
        half = rollout.samples_per_prompt // 2
        samples += ranked[: rollout.samples_per_prompt - half] + ranked[len(ranked) - half :]
    return samples
