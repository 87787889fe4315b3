"""Closed forms in NumPy of losses, on all inputs, at default attributes."""

import numpy as np

from tests.data.operators.forms.rows import softmax

FORMS = {
    "cross_entropy": lambda x, target: -np.log(softmax(x)[np.arange(len(x)), target]).mean(),
}
