"""slime's rows: a prompt (a text or messages), its label and metadata, under names that flags give."""

from data.sources.fields import question_of
from data.sources.kind import Kind, Options
from data.sources.rows import Question, Reason, Row, RowError
from evaluation.problem import Split


def item(row: Row, options: Options) -> Question:
    """The row's prompt, label and metadata."""
    for flag, key in (("--input-key", options.input_key), ("--label-key", options.label_key)):
        if row.fields.get(key) is None:
            raise RowError(Reason.FIELD, f"the row has no `{key}`; say with {flag} what it is called")
    fields = row.fields
    return question_of(
        row, fields[options.input_key], fields[options.label_key], fields.get(options.metadata_key)
    )


KIND = Kind(
    "slime",
    "prompt, label and metadata (--input-key, --label-key, --metadata-key), rows a to b by path@[a:b]",
    item,
    split=Split.TRAIN,
    questions=True,
)
