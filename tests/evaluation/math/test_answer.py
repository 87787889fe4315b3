import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.math.answer import MOST_CHARACTERS, NoAnswer, final_answer


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"So it is \boxed{34}.", "34"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed {7}", "7"),
        (r"\boxed 7.", "7"),
        (r"\fboxed{7}", "7"),
        (r"$\boxed{\{1, 2\}}$", r"\{1, 2\}"),
        (r"First \boxed{33}, but no: \boxed{34}", "34"),
        (r"<think>maybe \boxed{1}</think> It is \boxed{2}", "2"),
        (r"draft \boxed{1} </think> \boxed{2}", "2"),
        ("Some steps.\nAnswer: 12", "12"),
        ("Some steps.\n\n**Answer:** $12$.\n", "12"),
        ("Thus the final answer is .5", ".5"),
        ("The answer is \\(\\frac{1}{2}\\).", r"\frac{1}{2}"),
        ("Answer: \\boxed{12}", "12"),
    ],
)
def test_the_last_box_counts_or_else_a_last_line_that_says_so(response, answer):
    assert final_answer(response) == answer


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("", "no \\boxed"),
        ("It must be 34", "no \\boxed"),
        ("Answer: 12\nor perhaps not", "no \\boxed"),
        ("The answers are many", "no \\boxed"),
        (r"\boxed{}", "empty"),
        (r"\boxed{33} then \boxed{34", "not closed"),
        (r"\boxed{34\}", "not closed"),
        ("\\boxed{34\\", "not closed"),
        (r"<think>I have it: \boxed{34}", "inside a thought"),
        (r"<think>a</think> \boxed{34}" + "\n<think>again", "inside a thought"),
        (r"<think>\boxed{34}</think> I am not sure.", "no \\boxed"),
        (rf"\boxed{{{'1' * (MOST_CHARACTERS + 1)}}}", "characters"),
    ],
)
def test_without_a_final_answer_the_reason_is_one_sentence(response, reason):
    found = final_answer(response)
    assert isinstance(found, NoAnswer)
    assert reason in found.reason


_TEXT = st.text("ab\\, ", max_size=3).map(lambda text: text.replace("\\", "\\ "))
_CONTENT = st.recursive(
    _TEXT, lambda inner: st.lists(inner, max_size=3).map(lambda parts: f"{{{''.join(parts)}}}"), max_leaves=8
)


@given(st.text(alphabet="\\boxed{}<think>/ \n12.:Answer$", max_size=80))
def test_no_text_raises(text):
    assert isinstance(final_answer(text), str | NoAnswer)


@given(_CONTENT)
def test_a_box_holds_all_braces_that_are_balanced(content):
    found = final_answer(f"\\boxed{{{content}}} and no more")
    assert found == content.strip() if content.strip() else isinstance(found, NoAnswer)
