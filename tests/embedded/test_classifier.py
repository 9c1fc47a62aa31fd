"""The classifier that ships: what it answers, what it refuses, and what damages it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cybersecqwen.artifacts import FOLDER, certificate_of, save
from cybersecqwen.embedded.classifier import ARTIFACT, CweClassifier, Parameters
from cybersecqwen.embedded.layer import Calibration, Layer
from cybersecqwen.embedded.quantisation import Quantised
from cybersecqwen.embedded.scope import EMPTY, FOREIGN, UNRELATED
from cybersecqwen.embedded.tokenizer import Vocabulary
from cybersecqwen.errors import InputError

# Written for this test.
CLEAR = {
    "CWE-79": "Stored cross-site scripting in the comment form of Foo lets users inject script.",
    "CWE-89": "The id parameter of list.php is vulnerable to SQL injection.",
    "CWE-22": "A path traversal with ../ sequences allows attackers to read arbitrary files.",
    "CWE-352": "The settings page lacks a CSRF token, so a cross-site request forgery is possible.",
    "CWE-78": "OS command injection through shell metacharacters in the ping function.",
    "CWE-416": "A use after free in the kernel driver leads to a crash.",
    "CWE-918": "Server-side request forgery in the webhook lets users reach internal hosts.",
    "CWE-434": "Unrestricted upload of a file with a dangerous type allows running PHP code.",
    "CWE-798": "The router firmware contains hard-coded credentials for the root account.",
    "CWE-611": "The parser resolves external entities in XML documents (XXE).",
    "CWE-476": "A NULL pointer dereference occurs when the header is missing.",
    "CWE-502": "A deserialization vulnerability in the destruct() function of Laravel v8.5.9 "
    "allows attackers to execute arbitrary commands.",
}
TERSE = ("XSS", "use after free in the kernel", "Hardcoded credentials in router firmware")
OTHER = {
    "": EMPTY,
    " \n\t\u200b": EMPTY,
    "1.2.3 4 5": EMPTY,
    "Une injection SQL dans la page de connexion permet de lire les données": FOREIGN,
    "Eine Schwachstelle in der Anmeldung erlaubt es, die Daten zu lesen": FOREIGN,
    "登录页面存在漏洞 攻击者可以执行代码": FOREIGN,
    "Уязвимость позволяет выполнить произвольный код": FOREIGN,
    "Add two cups of flour and bake for thirty minutes.": UNRELATED,
    "The city council voted on Tuesday to approve a new budget for parks.": UNRELATED,
    "asdf qwer zxcv": UNRELATED,
}


@pytest.fixture(scope="module")
def classifier() -> CweClassifier:
    return CweClassifier.load()


@pytest.mark.parametrize(("cwe", "text"), CLEAR.items())
def test_a_clear_text_is_classified(classifier: CweClassifier, cwe: str, text: str) -> None:
    [prediction] = classifier.predict([text])
    assert prediction.ranked[0][0] == cwe
    assert prediction.evidence
    assert all(text[s.start : s.end] == s.text for s in prediction.evidence)


@pytest.mark.parametrize("text", TERSE)
def test_a_terse_text_is_in_scope(classifier: CweClassifier, text: str) -> None:
    assert next(classifier.predict([text])).out_of_scope == ""


@pytest.mark.parametrize(("text", "reason"), OTHER.items())
def test_another_text_is_out_of_scope(classifier: CweClassifier, text: str, reason: str) -> None:
    [prediction] = classifier.predict([text])
    assert (prediction.out_of_scope, prediction.ranked, prediction.evidence) == (reason, (), ())


def test_a_batch_answers_as_each_text_alone(classifier: CweClassifier) -> None:
    texts = [*CLEAR.values(), *TERSE, *OTHER] * 20
    together = list(classifier.predict(texts, top=3))
    assert len(together) == len(texts)
    for text, one in list(zip(texts, together, strict=True))[:25]:
        [alone] = classifier.predict([text], top=3)
        assert [c for c, _ in alone.ranked] == [c for c, _ in one.ranked]
        assert [p for _, p in alone.ranked] == pytest.approx([p for _, p in one.ranked], abs=1e-3)


def test_confidences_fall_and_stay_between_0_and_1(classifier: CweClassifier) -> None:
    [prediction] = classifier.predict([CLEAR["CWE-79"]], top=10_000)
    confidences = [confidence for _, confidence in prediction.ranked]
    assert (
        len(prediction.ranked) == len(classifier.classes) == len({c for c, _ in prediction.ranked})
    )
    assert confidences == sorted(confidences, reverse=True)
    assert 0 <= confidences[-1] <= confidences[0] <= 1


def test_the_evidence_carries_the_decision(classifier: CweClassifier) -> None:
    for cwe, text in CLEAR.items():
        [prediction] = classifier.predict([text])
        without = text
        for span in prediction.evidence:
            without = without.replace(span.text, " ")
        column = classifier.classes.index(cwe)
        before, after = classifier.probabilities([text, without])[:, column]
        assert after < before, cwe


def test_four_bits_keep_a_vector_within_half_a_step() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    packed = Quantised.of(vectors)
    assert packed.packed.shape == (50, 4)
    back = packed.take(np.arange(50))
    inside = np.abs(vectors) <= 7 * packed.scale[:, None].astype(np.float32)
    error = np.abs(back - vectors)
    assert (error[inside] <= 0.51 * np.repeat(packed.scale, 8).reshape(50, 8)[inside]).all()


def test_the_file_is_read_back_and_written_alike() -> None:
    data = (FOLDER / ARTIFACT).read_bytes()
    assert Parameters.from_bytes(data).to_bytes() == data


def _copy(folder: Path) -> Path:
    for path in (FOLDER / ARTIFACT, certificate_of(FOLDER, ARTIFACT)):
        shutil.copy(path, folder / path.name)
    return folder / ARTIFACT


@pytest.mark.parametrize("cut", [0, 1000, 5_000_000])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = _copy(tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"cwe-classifier\.npz: damaged"):
        CweClassifier.load(tmp_path)


def test_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = _copy(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"cwe-classifier\.npz: damaged"):
        CweClassifier.load(tmp_path)


@pytest.mark.parametrize("name", [ARTIFACT, f"{ARTIFACT}.certificate.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    _copy(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=name):
        CweClassifier.load(tmp_path)


def test_certified_bytes_that_are_no_classifier_are_refused(tmp_path: Path) -> None:
    save(tmp_path, ARTIFACT, b"not a zip", {})
    with pytest.raises(InputError, match="damaged"):
        CweClassifier.load(tmp_path)


@pytest.mark.parametrize("sizes", [(1,), (7, 300), (256, 1), (255, 2)])
def test_where_a_batch_is_cut_changes_no_answer(
    classifier: CweClassifier, sizes: tuple[int, ...]
) -> None:
    texts = [*CLEAR.values(), *TERSE, *OTHER] * 11
    whole, parts, begin = list(classifier.predict(texts)), [], 0
    while begin < len(texts):
        size = sizes[len(parts) % len(sizes)]
        parts += [list(classifier.predict(texts[begin : begin + size]))]
        begin += size
    for one, other in zip(whole, [found for part in parts for found in part], strict=True):
        assert one.out_of_scope == other.out_of_scope
        assert [c for c, _ in one.ranked] == [c for c, _ in other.ranked]
        # The last digit may differ: a product of matrices adds up in an order of its own.
        assert [p for _, p in one.ranked] == pytest.approx([p for _, p in other.ranked], abs=2e-4)
        assert [(s.start, s.end) for s in one.evidence] == [
            (s.start, s.end) for s in other.evidence
        ]


def test_nothing_is_asked_and_nothing_answered(classifier: CweClassifier) -> None:
    assert list(classifier.predict([])) == []


CLASSIFIER = CweClassifier.load()  # a fixture would be made for each example of hypothesis


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["SQL injection ", "<b>XSS</b> ", "\u200b", "&lt;", "ＸＳＳ", "buffer ", "."]
        )
        | st.text(st.characters(codec=None), max_size=8),
        max_size=12,
    ).map("".join)
)
def test_any_text_gets_an_answer_with_evidence_inside_it(text: str) -> None:
    [prediction] = CLASSIFIER.predict([text], top=3)
    assert bool(prediction.ranked) != bool(prediction.out_of_scope)
    assert all(0 <= s.start < s.end <= len(text) for s in prediction.evidence)
    assert all(text[s.start : s.end] == s.text for s in prediction.evidence)
    assert all(0 < s.weight <= 1 for s in prediction.evidence)
    assert sum(s.weight for s in prediction.evidence) <= 1.002  # rounded shares


def test_a_long_text_of_one_phrase_says_no_more_than_the_phrase(classifier: CweClassifier) -> None:
    filler = "The product is a web application for the management of small libraries. "
    flaw = "A reflected cross-site scripting flaw is in the search form. "
    once, often = classifier.predict([flaw + filler, flaw + filler * 200])
    assert once.ranked[0][0] == often.ranked[0][0] == "CWE-79"


def test_each_byte_holds_two_dimensions_low_half_first() -> None:
    # The largest number is 7 steps: a step is 0.5.
    vectors = np.array([[3.5, -3.5, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    quantised = Quantised.of(vectors)
    assert quantised.packed.tolist() == [[(7 + 8) | (1 + 8) << 4, (-7 + 8) | 8 << 4], [0x88, 0x88]]
    assert quantised.scale[0] == 0.5
    np.testing.assert_array_equal(quantised.take(np.array([0, 1, 0])), vectors[[0, 1, 0]])


def test_a_vector_is_its_steps_from_8_times_its_scale() -> None:
    vectors = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32) * 3
    quantised = Quantised.of(vectors)
    rows = np.array([5, 5, 39, 0])
    low, high = quantised.packed[rows] & 15, quantised.packed[rows] >> 4
    steps = np.concatenate((low, high), axis=1).astype(np.float32) - 8
    scale = quantised.scale[rows].astype(np.float32)[:, None]
    np.testing.assert_array_equal(quantised.take(rows), steps * scale)


def test_no_vector_loses_more_than_without_cutting_off_its_largest() -> None:
    vectors = np.random.default_rng(2).standard_t(3, size=(200, 16)).astype(np.float32)
    plain = (np.abs(vectors).max(1) / 7).astype(np.float16).astype(np.float32)[:, None]
    of_plain = ((np.rint(vectors / plain).clip(-8, 7) * plain - vectors) ** 2).sum(1)
    lost = ((Quantised.of(vectors).take(np.arange(200)) - vectors) ** 2).sum(1)
    assert (lost <= of_plain * (1 + 1e-5)).all()
    assert lost.sum() < 0.95 * of_plain.sum()


def tiny() -> Parameters:
    draw = np.random.default_rng(4)

    def array(*shape: int) -> Any:
        return draw.normal(size=shape).astype(np.float32)

    return Parameters(
        Vocabulary(("a", "é"), np.array([1, 2]), np.array([0])),
        Quantised.of(array(5, 4)),
        array(4),
        Layer(
            ("CWE-1", "CWE-2", "CWE-3"),
            array(4, 3).astype(np.float16).astype(np.float32),
            array(3),
            Calibration(1.25, np.array([0, 1], np.float32), np.array([0, 0.9], np.float32)),
        ),
    )


def mapping() -> Layer:
    weights = np.array([[0, 1]] * 4, np.float16).astype(np.float32)
    curve = Calibration(0.5, np.array([0, 1], np.float32), np.array([0, 1], np.float32))
    return Layer(("CWE-8", "CWE-9"), weights, np.array([0.5, 0], np.float32), curve)


@pytest.mark.parametrize("top", [1, 2, 20, 40])
@pytest.mark.parametrize("values", [5, 1000, 10**9])
def test_the_best_are_those_of_a_sort(top: int, values: int) -> None:
    draw = np.random.default_rng(top)
    scores = draw.integers(0, values, (30, 40)).astype(np.float32)
    identity = Calibration(1.0, np.array([0, 1e9], np.float32), np.array([0, 1e9], np.float32))
    names = tuple(f"CWE-{number}" for number in range(40))
    layer = Layer(names, np.zeros((1, 40), np.float32), np.zeros(40, np.float32), identity)
    order, ranked = layer.ranked(scores, top)
    best = np.sort(scores, axis=1)[:, ::-1][:, :top]
    np.testing.assert_array_equal(np.take_along_axis(scores, order, 1), best)
    for row, columns, pairs in zip(scores, order.tolist(), ranked, strict=True):
        assert columns == sorted(columns, key=lambda c: (-row[c], c))
        assert [name for name, _ in pairs] == [names[c] for c in columns]


def test_the_mapping_is_ranked_beside_the_labels_and_comes_back_as_it_went() -> None:
    here = tiny()._replace(mapping=mapping())
    back = Parameters.from_bytes(here.to_bytes())
    assert back.to_bytes() == here.to_bytes()
    assert back.mapping and back.mapping.classes == ("CWE-8", "CWE-9")
    texts = ["a flaw in a before 1.2", "a é"]
    classifier = CweClassifier(back)
    chances = classifier.probabilities(texts, ranking="mapping")
    assert chances.shape == (2, 2)
    for ranking, other, classes in (("mapping", 1, "89"), ("labels", 2, "123")):
        [prediction] = classifier.predict(texts[:1], top=1, ranking=ranking)
        assert prediction.ranked[0][0][4:] in classes
        assert len(prediction.others) == other


def test_without_a_mapping_the_labels_stand_for_it() -> None:
    classifier = CweClassifier(tiny())
    same = classifier.probabilities(["a é"]), classifier.probabilities(["a é"], ranking="mapping")
    np.testing.assert_array_equal(*same)


def test_parameters_come_back_as_they_went() -> None:
    here = tiny()
    back = Parameters.from_bytes(here.to_bytes())
    assert back.to_bytes() == here.to_bytes()
    assert list(back.vocabulary.words) == list(here.vocabulary.words)
    assert back.labels.classes == here.labels.classes
    assert back.labels.calibration.temperature == 1.25
    for one, other in (
        (back.vocabulary.bigrams, here.vocabulary.bigrams),
        (back.vocabulary.trigrams, here.vocabulary.trigrams),
        (back.vectors.packed, here.vectors.packed),
        (back.vectors.scale, here.vectors.scale),
        (back.bias, here.bias),
        *zip(back.labels[1:3], here.labels[1:3], strict=True),
        *zip(back.labels.calibration[1:], here.labels.calibration[1:], strict=True),
    ):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def with_facts(**changes: Any) -> bytes:
    arrays = dict(np.load(io.BytesIO(tiny().to_bytes())))
    facts = json.loads(arrays["facts"].tobytes()) | changes
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def other_arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (with_facts(format=2), "format 2, not 1"),
        (other_arrays(), "facts"),
        (tiny().to_bytes()[:300], "damaged"),
        (b"", "damaged"),
    ],
)
def test_a_certified_file_of_another_kind_is_one_line(
    tmp_path: Path, data: bytes, says: str
) -> None:
    save(tmp_path, ARTIFACT, data, {})
    with pytest.raises(InputError, match=says) as raised:
        CweClassifier.load(tmp_path)
    assert f"{tmp_path / ARTIFACT}: damaged" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_was_written_is_read_by_load(tmp_path: Path) -> None:
    save(tmp_path, ARTIFACT, tiny().to_bytes(), {})
    loaded = CweClassifier.load(tmp_path)
    assert loaded.classes == tiny().labels.classes
    np.testing.assert_array_equal(
        loaded.probabilities(["a é", ""]), CweClassifier(tiny()).probabilities(["a é", ""])
    )
