"""The classifier that ships: what it answers, what it refuses, and what damages it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cybersecqwen.embedded.artifacts import FOLDER, certificate_of, save
from cybersecqwen.embedded.classifier import ARTIFACT, CweClassifier, Parameters, Quantised
from cybersecqwen.embedded.scope import EMPTY, FOREIGN, UNRELATED
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
    "CWE-798": "The router firmware contains a hard-coded password for the root account.",
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
    [found] = classifier.predict([text])
    assert found.ranked[0][0] == cwe
    assert found.evidence
    assert all(text[s.start : s.end] == s.text for s in found.evidence)


@pytest.mark.parametrize("text", TERSE)
def test_a_terse_text_is_in_scope(classifier: CweClassifier, text: str) -> None:
    assert next(classifier.predict([text])).out_of_scope == ""


@pytest.mark.parametrize(("text", "reason"), OTHER.items())
def test_another_text_is_out_of_scope(classifier: CweClassifier, text: str, reason: str) -> None:
    [found] = classifier.predict([text])
    assert (found.out_of_scope, found.ranked, found.evidence) == (reason, (), ())


def test_a_batch_answers_as_each_text_alone(classifier: CweClassifier) -> None:
    texts = [*CLEAR.values(), *TERSE, *OTHER] * 20
    together = list(classifier.predict(texts, top=3))
    assert len(together) == len(texts)
    for text, one in list(zip(texts, together, strict=True))[:25]:
        [alone] = classifier.predict([text], top=3)
        assert [c for c, _ in alone.ranked] == [c for c, _ in one.ranked]
        assert [p for _, p in alone.ranked] == pytest.approx([p for _, p in one.ranked], abs=1e-3)


def test_confidences_fall_and_stay_between_0_and_1(classifier: CweClassifier) -> None:
    [found] = classifier.predict([CLEAR["CWE-79"]], top=10_000)
    confidences = [confidence for _, confidence in found.ranked]
    assert len(found.ranked) == len(classifier.classes) == len({c for c, _ in found.ranked})
    assert confidences == sorted(confidences, reverse=True)
    assert 0 <= confidences[-1] <= confidences[0] <= 1


def test_the_evidence_carries_the_decision(classifier: CweClassifier) -> None:
    for cwe, text in CLEAR.items():
        [found] = classifier.predict([text])
        without = text
        for span in found.evidence:
            without = without.replace(span.text, " ")
        column = classifier.classes.index(cwe)
        before, after = classifier.probabilities([text, without])[:, column]
        assert after < before, cwe


def test_evidence_can_be_left_out(classifier: CweClassifier) -> None:
    assert next(classifier.predict(["SQL injection"], evidence=False)).evidence == ()


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
