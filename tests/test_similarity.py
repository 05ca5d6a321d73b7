"""Copied answers are found, under other names too; answers that were written apart are not."""

import importlib
import inspect
import re

import pytest

from nbverdict.classroom.similarity import Answer, find_pairs, similarity_page

ANSWERS = ("paired_dataset", "product_of_experts", "vae_loss", "mixture_log_density", "product_with_prior")
SIGNATURE = {
    "vae_loss": "def vae_loss(x_recon_mnist=None, x_mnist=None, x_recon_svhn=None, x_svhn=None, mu=None, logvar=None, "
    "beta=1.0, svhn_weight=1.0):\n    raise NotImplementedError\n"
}
ESSAY = (
    "The precisions of both experts add up, so that the product is surer than each of them; where one expert knows "
    "nothing its precision is close to zero, and the mean of the product is that of the other one. "
)
OTHER = (
    "A product multiplies densities. It has mass only where every factor has some, which is why it is narrower than "
    "its factors, and an expert with a wide density hardly moves the result."
)


def renamed(source):
    """Return the same code under other names, with a comment."""
    names = sorted(set(re.findall(r"(?<![.\w])[a-z_]{3,}\d?(?=\s*[=,)])", source)) - {"self", "None", "torch"})
    for i, name in enumerate(names):
        source = re.sub(rf"(?<![.\w]){name}\b", f"mine{i}", source)
    return "# all my own work\n" + source


def whose(pairs):
    return [{pair.first.student, pair.second.student} for pair in pairs]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_renamed_copy_is_found_and_honest_answers_are_left_alone(name):
    right = importlib.import_module(f"tests.answers.{name}").RIGHT
    honest = [Answer(answer.__name__, name, "code", inspect.getsource(answer)) for answer in right]
    assert find_pairs(honest, SIGNATURE) == []
    copy = Answer("copy", name, "code", renamed(honest[0].text))
    assert copy.text != honest[0].text
    assert whose(find_pairs([*honest, copy], SIGNATURE)) == [{"copy", honest[0].student}]


def test_what_the_release_has_or_many_wrote_says_nothing():
    right = importlib.import_module("tests.answers.product_of_experts").RIGHT
    text = inspect.getsource(right[0])
    two, four = ([Answer(f"s{i}", "q", "code", text) for i in range(n)] for n in (2, 4))
    assert whose(find_pairs(two, {})) == [{"s0", "s1"}]
    assert find_pairs(two, {"q": text}) == []
    assert find_pairs(four, {}) == []


def test_words_are_compared_too_and_the_page_marks_what_is_shared():
    honest = [Answer("ada", "q", "words", ESSAY + "I saw it in my figure."), Answer("bao", "q", "words", OTHER)]
    assert find_pairs(honest, {}) == []
    pairs = find_pairs([*honest, Answer("<cleo>", "q", "words", "Well. " + ESSAY)], {})
    assert whose(pairs) == [{"ada", "<cleo>"}]
    page = similarity_page("lab", pairs, 3)
    assert f"<mark>{ESSAY[:-1]}" in page
    assert "&lt;cleo&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "where to look, not what happened" in page
    assert "No pair is worth a look" in similarity_page("lab", [], 3)
