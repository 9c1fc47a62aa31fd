"""Training the embedded classifier, on a small corpus of this test's own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from cybersecqwen.benchmark.tasks import benchmark_of
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import BenchmarkIndex
from cybersecqwen.embedded_build.build import fit, labelled_records
from cybersecqwen.embedded_build.classifier_training import (
    Features,
    Hyperparameters,
    Labelled,
    labelled,
    learn_vocabulary,
    train,
)
from cybersecqwen.errors import InputError
from cybersecqwen.files import write_jsonl
from cybersecqwen.records import Item, Vulnerability
from cybersecqwen.reports.embedded import write_report
from cybersecqwen.sample import FEED
from cybersecqwen.sources import read_vulnerabilities

PHRASES = {
    "CWE-79": "cross-site scripting in the comment page",
    "CWE-89": "sql injection in the search query",
    "CWE-416": "use after free in the kernel driver",
}
SMALL = Hyperparameters(rarest=(2, 2, 3), rarest_class=3, size=16, epochs=12, batch=32)


def corpus(size: int = 900) -> list[Labelled]:
    draw = np.random.default_rng(7)
    filler = [f"word{i}" for i in "abcdefghijklmnop"]
    records = []
    for i in range(size):
        cwe = list(PHRASES)[i % 3]
        noise = " ".join(draw.choice(filler, 6))
        year = 2015 + i % 11
        records.append(
            Vulnerability(f"CVE-{year}-{i}", f"{year}-03-01", f"{noise} {PHRASES[cwe]}", (cwe,))
        )
    return list(labelled(records))


def test_labels_keep_their_sources_and_their_order() -> None:
    record = Vulnerability(
        "CVE-2020-1", "", "A flaw.", ("NVD-CWE-noinfo",), ("CWE-20", "CWE-79"), ("CWE-22",)
    )
    [example] = labelled([record, replace(record, description=""), replace(record, cwe_cna=(),
                        cwe_cisa_adp=())])  # fmt: skip
    assert (example.first, example.source) == ("CWE-20", 1)
    assert example.every == {"CWE-20", "CWE-79", "CWE-22"}
    assert example.date == "2020-12-31"


def test_texts_that_read_the_same_are_of_one_group() -> None:
    texts = ("XSS in Foo, 1.2!", "xss in foo 1 2", "XSS in Bar")
    groups = [
        e.group for e in labelled(Vulnerability("CVE-2020-1", "", t, ("CWE-79",)) for t in texts)
    ]
    assert groups[0] == groups[1]
    assert all(0 <= group < 1000 for group in groups)


def test_it_learns_and_learns_the_same_again() -> None:
    examples = corpus()
    model, again = (train(examples[:600], SMALL, log=lambda _: None) for _ in range(2))
    np.testing.assert_array_equal(model.vectors, again.vectors)
    np.testing.assert_array_equal(model.head, again.head)
    logits = model.logits(Features.of(model.vocabulary, [e.text for e in examples[600:]]))
    answers = [model.classes[i] for i in logits.argmax(1)]
    assert np.mean([a == e.first for a, e in zip(answers, examples[600:], strict=True)]) > 0.98


def test_what_is_rare_does_not_count() -> None:
    examples = corpus(60)
    with pytest.raises(InputError, match="no CWE has 21 records"):
        train(examples, replace(SMALL, rarest_class=21))
    model = train(examples, replace(SMALL, rarest=(30, 99, 99), epochs=1), log=lambda _: None)
    assert set(model.vocabulary.words) <= {"in", "the"} | {f"word{i}" for i in "abcdefghijklmnop"}
    assert len(model.vocabulary.bigrams) == 0


def test_a_build_is_measured_and_reported_alike_twice(tmp_path: Path) -> None:
    examples = corpus()
    parameters, validation = fit(examples, SMALL)
    again, _ = fit(examples, SMALL)
    assert parameters.to_bytes() == again.to_bytes()
    assert validation["by_text"]["top1"] > 0.9
    assert validation["by_date"]["split"] == "2025-01-01"
    assert validation["by_date"]["records"] == sum(e.date >= "2025" for e in examples)
    certificate = {
        "artifact": "x", "command": "y", "sha256": "z" * 64, "bytes": 1, "dropped": 0,
        "labelled_records": len(examples), "validation": validation,
    }  # fmt: skip
    for folder in ("a", "b"):
        write_report(certificate, tmp_path / folder)
    names = {"README.md", "calibration.svg", "abstention.svg"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert f"{validation['by_text']['top1']:.3f}" in (tmp_path / "a" / "README.md").read_text()


def test_what_overlaps_with_the_benchmark_is_left_out_and_counted(tmp_path: Path) -> None:
    text = "A flaw in the search form of Foo allows SQL injection by remote users."
    shared = {"published": "2020-01-01", "cwe_cna": [], "cwe_cisa_adp": []}
    shared |= dict.fromkeys(("cvss3_vector", "assigner", "description_source"))
    rows = [
        {"cve_id": "CVE-2020-0001", "description": text, "cwe_nvd": ["CWE-89"], **shared},
        {"cve_id": "CVE-2020-0002", "description": "An XSS.", "cwe_nvd": ["CWE-79"], **shared},
    ]
    write_jsonl(tmp_path / "records.jsonl", rows)
    item = Item("cti-rcm", 0, "", "CWE-89", text=text.upper())
    clean = labelled_records(
        [tmp_path / "records.jsonl"],
        BenchmarkIndex(benchmark_of({"cti-rcm": (item,)}), Contamination()),
    )
    assert [e.cve_id for e in clean.kept] == ["CVE-2020-0002"]
    assert (len(clean.dropped), clean.counts()) == (1, {"normalised": {"cti-rcm": 1}})


@pytest.mark.parametrize(("all_sources", "entries"), [(True, 2), (False, 1)])
def test_every_source_teaches_or_the_first_alone(all_sources: bool, entries: int) -> None:
    from cybersecqwen.embedded_build.classifier_training import _targets

    record = Vulnerability("CVE-2020-1", "2010-01-01", "x", ("CWE-79",), ("CWE-89",))
    newer = Vulnerability("CVE-2020-2", "2020-01-01", "y", ("CWE-79",))
    settings = replace(SMALL, all_sources=all_sources, half_life=10.0)
    targets = _targets(list(labelled([record, newer])), ("CWE-79", "CWE-89"), settings)
    assert targets.row.tolist() == [0] * entries + [1]
    assert targets.weight.tolist() == [0.5 / entries] * entries + [1.0]


@hypothesis(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcde"), max_size=15), max_size=12),
    st.tuples(*[st.integers(1, 4)] * 3),
)
def test_the_vocabulary_is_what_a_count_of_strings_keeps(
    texts: list[list[str]], rarest: tuple[int, int, int]
) -> None:
    if not any(texts):
        return
    kept: list[set[tuple[str, ...]]] = []
    for n, least in zip((1, 2, 3), rarest, strict=True):
        counts = Counter(tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1))
        known = kept[0] if kept else set()
        kept.append(
            {
                gram
                for gram, count in counts.items()
                if count >= least
                # An n-gram is of known words, a trigram begins with a known bigram too.
                and (n == 1 or all((word,) in known for word in gram))
                and (n < 3 or gram[:2] in kept[1])
            }
        )
    words, bigrams, trigrams = (sorted(grams) for grams in kept)
    vocabulary = learn_vocabulary(texts, rarest)
    number = {word: i for i, (word,) in enumerate(words)}
    assert list(vocabulary.words) == [word for (word,) in words]
    assert vocabulary.bigrams.tolist() == [number[a] * len(words) + number[b] for a, b in bigrams]
    assert vocabulary.trigrams.tolist() == [
        bigrams.index((a, b)) * len(words) + number[c] for a, b, c in trigrams
    ]


def test_features_are_the_known_words_and_ngrams_of_each_text() -> None:
    vocabulary = learn_vocabulary([["a", "b", "a", "b"]], (1, 1, 1))
    features = Features(vocabulary, [["a", "b"], [], ["b", "x", "a"]])
    ids, begins = features.take(np.array([2, 1, 0, 2]))
    parts = np.split(ids, begins[1:])
    # a, b, then ab, ba.
    assert [sorted(part.tolist()) for part in parts] == [[0, 1], [], [0, 1, 2], [0, 1]]


def test_the_sample_feed_is_learned() -> None:
    examples = [e for e in labelled(read_vulnerabilities(FEED)) if e.first in ("CWE-79", "CWE-89")]
    settings = Hyperparameters(rarest=(2, 2, 3), rarest_class=10, size=16, epochs=20, batch=16)
    model = train(examples, settings, log=lambda _: None)
    logits = model.logits(Features.of(model.vocabulary, [e.text for e in examples]))
    answers = [model.classes[i] for i in logits.argmax(1)]
    assert model.classes == ("CWE-79", "CWE-89")
    assert np.mean([a == e.first for a, e in zip(answers, examples, strict=True)]) > 0.95


def test_another_seed_is_another_model() -> None:
    examples = corpus(60)
    first, second = (
        train(examples, replace(SMALL, seed=seed, epochs=1), log=lambda _: None) for seed in (1, 2)
    )
    assert (first.vectors != second.vectors).any()


def test_a_label_of_no_class_and_an_even_weight_without_half_life() -> None:
    from cybersecqwen.embedded_build.classifier_training import _targets

    rows = [
        Vulnerability("CVE-2020-1", "2010-01-01", "x", ("CWE-79",), ("CWE-1",)),
        Vulnerability("CVE-2020-2", "2020-01-01", "y", ("CWE-1",)),
        Vulnerability("CVE-2020-3", "2020-01-01", "z", (), (), ("CWE-89",)),
    ]
    settings = replace(SMALL, all_sources=False, half_life=0.0)
    targets = _targets(list(labelled(rows)), ("CWE-79", "CWE-89"), settings)
    assert targets.row.tolist() == [0, 2]
    assert targets.label.tolist() == [0, 1]
    assert targets.weight.tolist() == [1.0, 1.0]
