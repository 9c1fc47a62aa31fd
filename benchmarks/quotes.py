"""Learn which words of a description tell its cause, and measure the quotations that follow.

    python benchmarks/quotes.py --phrases top25-2023-mappings.tsv --records cve.parquet \\
        --benchmark cti-bench [--write]

The phrases are those by which MITRE's analysts told a weakness (columns `cve_id`, `cwe` and
`root_cause_phrase`); those whose words stand in their description are used, and no record that
overlaps with the benchmark. Each half of the records, by a hash of the text, is quoted by weights
learned from the other: a quotation is compared with the analyst's, word for word. `--write` learns
from both and writes the weights that ship.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import BenchmarkIndex, Row, decontaminate, normalised
from cybersecqwen.corpus.phrases import Phrases
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.cause import WEIGHTS, Weights, best_run, tokens, word_of
from cybersecqwen.cwe.rationale import STEM, stems
from cybersecqwen.files import sha256_file, write_text
from cybersecqwen.sources import read_vulnerabilities

_GAP = re.compile(r"\.\.\.|…|\[[^\]]*\]")
_SELDOM = 5  # a word in fewer places has no weight of its own
_SLIGHT = 0.3  # nor has one whose weight is less than this from an unknown word's
_LENIENCE = 1.5  # is added to each weight: analysts quote more than the surest words
_NAMED = " "  # no word
Spans = list[tuple[int, int]]
Quote = Callable[["Quoted"], tuple[int, int] | None]


class Quoted(NamedTuple):
    """A description with the places that an analyst quoted."""

    cve_id: str
    text: str
    cwe: str
    spans: Spans


def read_quoted(phrases: Path, records: Path, index: BenchmarkIndex) -> list[Quoted]:
    """Read the phrases that stand in their description, of records outside of the benchmark."""
    with phrases.open(encoding="utf-8", newline="") as file:
        rows = {row["cve_id"]: row for row in csv.DictReader(file, delimiter="\t")}
    quoted = []
    for record in read_vulnerabilities(records):
        row = rows.get(record.cve_id)
        text = " ".join(record.description.split())
        spans = _spans(text, row["root_cause_phrase"]) if row else []
        if row and spans:
            quoted.append(Quoted(record.cve_id, text, row["cwe"], spans))
    return decontaminate(quoted, lambda q: Row(q.text, (q.cve_id,), q.cwe), index).kept


def _spans(text: str, phrase: str) -> Spans:
    parts = [" ".join(part.split()).strip(" ,.;").lower() for part in _GAP.split(phrase)]
    places = [(text.lower().find(part), len(part)) for part in parts if part]
    return [(at, at + size) for at, size in places] if all(at >= 0 for at, _ in places) else []


def learn(quoted: Sequence[Quoted]) -> Weights:
    """Fit the weight of each word, and of being a word of the name, by logistic regression."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    seen: dict[str, int] = defaultdict(int)
    words, inside = [], []
    names = load_catalogue()
    for one in quoted:
        named = stems(names[one.cwe].name) if one.cwe in names else frozenset()
        for token in tokens(one.text):
            word = word_of(token)
            words.append((word, word[:STEM] in named))
            seen[word] += 1
            inside.append(any(a <= token.start < b for a, b in one.spans))
    vectorizer = DictVectorizer()
    matrix = vectorizer.fit_transform(
        {_NAMED: int(named)} | ({word: 1} if seen[word] >= _SELDOM else {}) for word, named in words
    )
    model = LogisticRegression(C=2, max_iter=500).fit(matrix, inside)
    unknown = float(model.intercept_[0]) + _LENIENCE
    weights = dict(zip(vectorizer.get_feature_names_out(), model.coef_[0].tolist(), strict=True))
    named = round(weights.pop(_NAMED), 1)
    kept = {w: round(unknown + c, 1) for w, c in weights.items() if abs(c) >= _SLIGHT}
    return Weights(kept, round(unknown, 1), named)


def agreement(quoted: Sequence[Quoted], quote: Quote) -> str:
    """Compare quotations with the analysts' by the words that both have."""
    scores = [_agreement(one, quote(one)) for one in quoted]
    precision, recall, f1 = (fmean(of) for of in zip(*scores, strict=True))
    touched = fmean(score[2] > 0 for score in scores)
    return f"{f1:.3f} | {precision:.3f} | {recall:.3f} | {touched:.3f}"


def _agreement(one: Quoted, span: tuple[int, int] | None) -> tuple[float, float, float]:
    places = [token.start for token in tokens(one.text) if token.text[0].isalnum()]
    gold = {at for at in places if any(a <= at < b for a, b in one.spans)}
    said = {at for at in places if span and span[0] <= at < span[1]}
    both = len(gold & said)
    if not both:
        return 0.0, 0.0, 0.0
    return both / len(said), both / len(gold), 2 * both / (len(said) + len(gold))


def _by_phrases(known: Sequence[Quoted]) -> Quote:
    catalogue = load_catalogue()
    phrases = Phrases.learn([(q.text, q.cwe) for q in known if q.cwe in catalogue], catalogue)

    def quote(one: Quoted) -> tuple[int, int] | None:
        text = phrases.quote(one.text, one.cwe)
        at = one.text.find(text) if text else -1
        return (at, at + len(text)) if at >= 0 else None

    return quote


def _by_words(known: Sequence[Quoted]) -> Quote:
    catalogue, weights = load_catalogue(), learn(known)

    def quote(one: Quoted) -> tuple[int, int] | None:
        name = catalogue[one.cwe].name if one.cwe in catalogue else ""
        return best_run(tokens(one.text), weights, stems(name))

    return quote


def main() -> None:
    """Print the table; write the weights where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("phrases", "records", "benchmark"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    index = BenchmarkIndex(read_benchmark(options.benchmark), Contamination())
    quoted = read_quoted(options.phrases, options.records, index)
    halves: list[list[Quoted]] = [[], []]
    for one in quoted:
        halves[hashlib.sha256(normalised(one.text).encode()).digest()[0] % 2].append(one)
    print(f"{len(quoted)} phrases, halves of {len(halves[0])} and {len(halves[1])}")
    print("| quoted | by | F1 | precision | recall | touches the analyst's |")
    for n, half in enumerate(halves):
        for name, by in (("phrases of the class", _by_phrases), ("weights of words", _by_words)):
            print(f"| {len(half)} | {name} | {agreement(half, by(halves[1 - n]))} |")
    if options.write:
        write(options, learn(quoted), count=len(quoted))


def write(options: argparse.Namespace, weights: Weights, *, count: int) -> None:
    """Write the weights, words of one weight together, with what they were learned from."""
    grouped: dict[float, list[str]] = defaultdict(list)
    for word, weight in sorted(weights.words.items()):
        grouped[weight].append(word)
    sources = {name: sha256_file(getattr(options, name)) for name in ("phrases", "records")}
    file = {
        "learned_from": {"phrases": count, "sha256": sources},
        "unknown": weights.unknown,
        "named": weights.named,
        "weights": {f"{weight:g}": " ".join(grouped[weight]) for weight in sorted(grouped)},
    }
    write_text(WEIGHTS, json.dumps(file, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
