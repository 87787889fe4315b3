"""A generate function: the model answers, hears that it may look again, and answers a second time."""

from dataclasses import replace

from training.model.tokenizer import encode_prompt
from training.rollout.engine import Completion, FinishReason, Sampling
from training.rollout.rewards.custom import Generated, GenerateInput

_LOOK_AGAIN = [{"role": "user", "content": "Check your answer and give it again."}]


def second_thoughts(request: GenerateInput) -> Generated:
    """Two turns of the model around one of ours, which the loss mask leaves out."""
    limit = request.sampling.max_new_tokens
    heard = tuple(encode_prompt(request.tokenizer, _LOOK_AGAIN))
    first = _write(request, request.prompt_ids, replace(request.sampling, max_new_tokens=limit // 2))
    rest = limit - len(first.token_ids) - len(heard)
    if first.finish_reason is not FinishReason.STOP or rest < 1:
        return Generated(first)
    # A seed of its own: the same one would repeat the first turn's random numbers.
    sampling = replace(request.sampling, max_new_tokens=rest, seed=request.sampling.seed + 1)
    second = _write(request, request.prompt_ids + first.token_ids + heard, sampling)
    whole = replace(
        second,
        token_ids=first.token_ids + heard + second.token_ids,
        logprobs=first.logprobs + (0.0,) * len(heard) + second.logprobs,
    )
    mask = (True,) * len(first.token_ids) + (False,) * len(heard) + (True,) * len(second.token_ids)
    return Generated(whole, loss_mask=mask)


def _write(request: GenerateInput, prompt: tuple[int, ...], sampling: Sampling) -> Completion:
    (completion,) = request.engine.generate([prompt], [sampling])
    return completion
