"""A registered model as `mlflow.pyfunc.load_model` gives it: prompts in, the model's responses out.

MLflow keeps a copy of this file with every version, and no weights: those come from the checkout that it is
loaded in, or else from the one where it was trained, checked against their hash.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

if TYPE_CHECKING:
    import pandas as pd


class KernelWriter(PythonModel):
    """Writes a CUDA kernel for a prompt as `data.prompts` renders it."""

    def load_context(self, context: Any) -> None:
        """Bring the weights, and read them."""
        source = json.loads(Path(context.artifacts["source"]).read_text(encoding="utf-8"))
        here = (
            root
            for root in (Path.cwd(), Path(source["checkout"]))
            if (root / "tasks/models/kept.py").is_file()
        )
        root = next(here, None)
        if root is None:
            raise FileNotFoundError(
                "this is no checkout of Warpsmith: change to one and load the model there"
            )
        sys.path.insert(0, str(root))
        from transformers import AutoModelForCausalLM

        from tasks.disk.layout import Layout
        from tasks.models.kept import bring_model
        from training.model.tokenizer import load_tokenizer

        folder = bring_model(Layout(root, source["profile"]), source["md5"])
        self._tokenizer = load_tokenizer(folder)
        self._model = AutoModelForCausalLM.from_pretrained(str(folder))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[str]:
        """The most likely response to each row's `prompt`; `max_new_tokens` is a parameter."""
        import torch

        from training.model.tokenizer import decode_response, encode_prompt, stop_token_ids

        responses = []
        for prompt in model_input["prompt"]:
            ids = encode_prompt(self._tokenizer, [{"role": "user", "content": prompt}])
            written = self._model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                do_sample=False,
                max_new_tokens=(params or {}).get("max_new_tokens", 512),
                eos_token_id=list(stop_token_ids(self._tokenizer)),
            )
            responses.append(decode_response(self._tokenizer, written[0, len(ids) :].tolist(), ids))
        return responses


set_model(KernelWriter())
