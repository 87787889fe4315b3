"""Errors that a person can act on."""

from __future__ import annotations


class WarpsmithError(Exception):
    """Something the user can put right: the message is one sentence that names the thing and the remedy.

    Command-line entry points print it as `error: ...` and exit with status 2; anything else that is
    raised is a bug and keeps its traceback.
    """


class EvaluatorFailure(Exception):
    """The evaluator could not judge a candidate, by no fault of the candidate; the message says why.

    It is never a verdict on the kernel and never rewarded; another try may well succeed.
    """
