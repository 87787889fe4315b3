"""A folder's tokenizer is read, or one sentence says what is wrong with it."""

import pytest

from evaluation.errors import WarpsmithError
from training.model.tokenizer import check_token_ids, load_tokenizer, train_tokenizer


@pytest.fixture
def folder(tmp_path):
    """A folder with a tokenizer of 260 tokens."""
    train_tokenizer(["hello"], 260).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("content", ["[]", "null", "{", '{"tokenizer_class": 5}'])
def test_a_garbled_tokenizer_config_is_reported(folder, content):
    (folder / "tokenizer_config.json").write_text(content)
    for read in (load_tokenizer, lambda folder: check_token_ids(folder, 300)):
        with pytest.raises(WarpsmithError, match=r"the tokenizer in .* cannot be read \(.*\); copy it again"):
            read(folder)


def test_a_tokenizer_without_its_config_is_compared_with_the_model_too(folder):
    (folder / "tokenizer_config.json").unlink()
    check_token_ids(folder, 260)
    with pytest.raises(WarpsmithError, match=r"with the id 259, but its .* gives the model 259 tokens"):
        check_token_ids(folder, 259)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(WarpsmithError, match="cannot be read"):
        check_token_ids(folder, 260)
