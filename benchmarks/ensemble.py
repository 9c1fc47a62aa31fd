"""Ask whether a language model beside the embedded one makes CVE to CWE better.

    python benchmarks/ensemble.py --held-out validation.jsonl --records cve.parquet \
        --benchmark cti-bench --cwe cwec.xml.gz --texts 500

The held-out rows are the corpus's that the language model was validated on. The embedded model is
trained anew on all records but those with the same text as one of them, so neither has seen it. The
model answers five times under the model card's protocol, and its votes multiply the embedded
probability of the CWE that they name: all votes for one by the odds of each row of the table.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from pathlib import Path

import numpy as np

from cybersecqwen.analyst.voting import answers, weighed
from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.benchmark.tasks.cti_rcm import last_cwe
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import BenchmarkIndex, normalised
from cybersecqwen.embedded.tokenizer import plain
from cybersecqwen.embedded_build.build import UpstreamFiles, labelled_records, mapping_texts
from cybersecqwen.embedded_build.calibration import log_softmax
from cybersecqwen.embedded_build.classifier_training import Features, Hyperparameters, Model, train
from cybersecqwen.engines import open_model
from cybersecqwen.files import Json, read_jsonl
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.reports.markdown import table

TRIALS = 5
ODDS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 48)


def embedded_without(rows: list[Json], files: UpstreamFiles) -> Model:
    """Train the embedded model without the texts of the rows."""
    assert files.benchmark
    index = BenchmarkIndex(read_benchmark(files.benchmark), Contamination())
    texts = {normalised(row["description"]) for row in rows}
    kept = labelled_records(files.records, index).kept
    training = [example for example in kept if normalised(example.text) not in texts]
    more = mapping_texts(files, index).kept
    return train(training, Hyperparameters(), more=more, log=lambda _: None)


def probabilities(model: Model, rows: list[Json]) -> list[dict[str, float]]:
    """Return the probability of each CWE for each row."""
    features = Features.of(model.vocabulary, [row["description"] for row in rows])
    chances = np.exp(log_softmax(model.logits(features)))
    return [dict(zip(model.classes, map(float, chance), strict=True)) for chance in chances]


def votes_of(model: str, rows: list[Json], batch: int | None) -> list[Counter[str]]:
    """Let a model answer to each row, and count what its answers end with."""
    engine = open_model(model, batch_size=batch).engine
    prompts = {i: rcm_prompt(plain(row["description"])) for i, row in enumerate(rows)}
    given = answers(engine.generate, find_protocol("model-card", trials=TRIALS), prompts)
    return [Counter(filter(None, map(last_cwe, texts))) for texts in given]


def pooled(shares: dict[str, float], votes: Counter[str], odds: float) -> str:
    """Return the likeliest CWE once the votes are cast."""
    both = weighed(dict.fromkeys(votes, 0.0) | shares, votes, odds=odds)
    return max(both, key=lambda cwe: both[cwe])


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--held-out", type=Path, required=True, help="validation.jsonl")
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--cwe", type=Path)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--texts", type=int, default=500)
    given = parser.parse_args()
    rows = list(read_jsonl(given.held_out))
    files = UpstreamFiles(records=(given.records,), benchmark=given.benchmark, cwe=given.cwe)
    model = embedded_without(rows, files)
    rows = random.Random(1).sample(rows, min(given.texts, len(rows)))
    golds = [row["cwe"] for row in rows]
    shares, votes = probabilities(model, rows), votes_of(given.model, rows, given.batch_size)
    alone = np.array([max(s, key=s.__getitem__) == g for s, g in zip(shares, golds, strict=True)])
    voted = [vote.most_common(1)[0][0] if vote else "" for vote in votes]
    right = np.array([vote == gold for vote, gold in zip(voted, golds, strict=True)])
    shown = (f"embedded {alone.mean():.3f}", f"{given.model} {right.mean():.3f}")
    print(f"{len(rows)} texts: {', '.join(shown)}, one of the two {(alone | right).mean():.3f}\n")
    lines = []
    for odds in ODDS:
        chosen = [pooled(s, v, odds) for s, v in zip(shares, votes, strict=True)]
        both = np.array([one == gold for one, gold in zip(chosen, golds, strict=True)])
        gain = both.astype(float) - alone
        spread = 1.96 * gain.std() / len(gain) ** 0.5
        lines.append([str(odds), f"{both.mean():.3f}", f"{gain.mean():+.3f} ± {spread:.3f}"])
    print(table(["odds", "right", "gain, 95 %"], lines, right=(0, 1, 2)))


if __name__ == "__main__":
    main()
