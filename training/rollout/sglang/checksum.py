"""The proof that an engine's weights are the trainer's: digests of every parameter, computed on both sides.

SGLang stores fused and tensor-parallel shares of the tensors that are sent (q, k and v as one, gate and up as
one, a slice of each on every GPU), so the trainer's side fuses and slices its own before it takes digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from evaluation.errors import WarpsmithError
from training.rollout.sglang.client import Client, ServerRefused

Digest: TypeAlias = Callable[[Tensor], str]

#: Parameter of the engine -> the tensors that it is made of, in order.
_FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
_FUSED_INTO = {part: whole for whole, parts in _FUSED.items() for part in parts}
_VOCABULARY = ("embed_tokens", "lm_head")
_INPUT_SPLIT = ("o_proj.weight", "down_proj.weight")
_KEY_VALUE = ("k_proj", "v_proj")
#: SGLang pads the vocabulary to a multiple of this with rows of zeros.
_VOCABULARY_MULTIPLE = 64
_NAMED = 3  # tensors named in an error


class ExpectedDigests:
    """Digests of the trainer's weights as the GPUs of one engine should hold them."""

    def __init__(self, tp_size: int, num_kv_heads: int, digest: Digest) -> None:
        """For an engine of `tp_size` GPUs and a model of `num_kv_heads`; `digest` is the engine's rule."""
        self._tp_size, self._num_kv_heads, self._digest = tp_size, num_kv_heads, digest
        self._parts: dict[str, dict[str, Tensor]] = {}
        self._digests: list[dict[str, str]] = [{} for _ in range(tp_size)]

    def add(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Take digests of more tensors, by Hugging Face names, in the engine's type.

        Parts of a fused parameter are kept until the last of them comes.
        """
        for name, tensor in tensors:
            module = _module(name)
            whole = _FUSED_INTO.get(module)
            if whole is None:
                self._take(name, {name: tensor})
                continue
            fused = name.replace(module, whole)
            parts = self._parts.setdefault(fused, {})
            parts[module] = tensor
            if len(parts) == len(_FUSED[whole]):
                del self._parts[fused]
                ordered = {name.replace(module, part): parts[part] for part in _FUSED[whole]}
                self._take(fused, ordered)

    def by_rank(self) -> list[dict[str, str]]:
        """Digest by the engine's parameter name, for each of its GPUs."""
        if self._parts:
            raise ValueError(f"parts of {', '.join(self._parts)} are missing")
        return self._digests

    def _take(self, parameter: str, parts: Mapping[str, Tensor]) -> None:
        for rank, digests in enumerate(self._digests):
            shares = [self._share(name, tensor, rank) for name, tensor in parts.items()]
            digests[parameter] = self._digest(shares[0] if len(shares) == 1 else torch.cat(shares))

    def _share(self, name: str, tensor: Tensor, rank: int) -> Tensor:
        """What GPU `rank` of the engine holds of a tensor."""
        module = _module(name)
        if module in _VOCABULARY:
            padding = -len(tensor) % _VOCABULARY_MULTIPLE
            tensor = torch.nn.functional.pad(tensor, (0, 0, 0, padding)) if padding else tensor
            return tensor.chunk(self._tp_size)[rank]
        if name.endswith(_INPUT_SPLIT):
            return tensor.chunk(self._tp_size, dim=1)[rank]
        if module in _FUSED_INTO:
            slices = self._tp_size if module not in _KEY_VALUE else min(self._tp_size, self._num_kv_heads)
            return tensor.chunk(slices)[rank * slices // self._tp_size]
        return tensor


class CannotTell(Exception):
    """A server's digests prove nothing: it gives none, or takes all of them by another rule."""


def require_equal(client: Client, expected: list[dict[str, str]]) -> None:
    """Compare the engine's digests with the `expected` ones on each of its GPUs.

    Raises:
        WarpsmithError: parameters differ, though others are equal.
        CannotTell: none is equal, or there are none.
    """
    for number, checksums in _checksums(client).items():
        wrong = _differences(expected[number], checksums)
        if not expected[number].items() & checksums.items():
            raise CannotTell("not one of its checksums is ours")
        if wrong:
            more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            raise WarpsmithError(
                f"the weights of {client.url} (GPU {number} of the engine) are not the trainer's: "
                f"{', '.join(wrong[:_NAMED])}{more} differ; try another rollout.weight_sync and report the "
                "SGLang version"
            )


def _checksums(client: Client) -> dict[int, dict[str, str]]:
    """The engine's own digests by its GPUs' numbers."""
    try:
        answer = client.control("/weights_checker", {"action": "checksum"})
    except ServerRefused as error:
        raise CannotTell(f"it gives none: {error}") from None
    try:
        ranks = {
            int(rank["parallelism_info"]["tp_rank"]): dict(rank["checksums"]) for rank in answer["ranks"]
        }
    except (KeyError, TypeError, ValueError):
        ranks = {}
    if not ranks:
        raise CannotTell("it gives none that we can read")
    return ranks


def _differences(expected: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
    """Parameters that differ, are missing, or were never sent."""
    wrong = [name for name, value in expected.items() if actual.get(name, value) != value]
    missing = [name for name in expected if name not in actual]
    never_sent = [name for name in actual if name not in expected and _is_parameter(name)]
    return wrong + missing + never_sent


def _is_parameter(name: str) -> bool:
    """Whether a name is of weights; the output layer may be listed beside the embedding it is tied to."""
    return name.endswith((".weight", ".bias")) and _module(name) != "lm_head"


def _module(name: str) -> str:
    """`q_proj` of `model.layers.0.self_attn.q_proj.weight`."""
    return name.split(".")[-2] if "." in name else name
