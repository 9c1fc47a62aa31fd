r"""CTI-VSP: predict the CVSS v3.1 base vector of a CVE (CTI-Bench, arXiv:2406.07599).

prompt    Analyze the following CVE description and calculate the CVSS v3.1 Base Score. […]
gold      CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H
response  […]\n\nCVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H

It is judged by the distance of the base scores: the mean absolute deviation (MAD) over the
answers that hold a valid vector. Base scores come from Red Hat's `cvss`; under versions 3.0 and
3.1 they are the same for all 2,592 base vectors.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial

from cybersecqwen.benchmark.tasks.cti_bench import CTI_BENCH, read_cti_bench
from cybersecqwen.benchmark.tasks.lenient import LenientReader
from cybersecqwen.benchmark.tasks.task import (
    NO_ANSWER,
    Extraction,
    Extractor,
    Marks,
    Metric,
    Task,
    plain,
)
from cybersecqwen.prompts import FAITH
from cybersecqwen.records import Item

METRICS = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")  # of the base vector, in its order
_RUN = re.compile(r"\b[A-Za-z]{1,3}:[A-Za-z](?:/[A-Za-z]{1,3}:[A-Za-z])+(?![A-Za-z])")
_NOTEBOOK = re.compile("/".join(rf"{name}:[A-Za-z]+" for name in METRICS))
_FAITH_PROPER = re.compile(r"(cvss:3\.\d(?:/\w+:\w+)+)\b", re.IGNORECASE)
_FAITH_IMPROPER = re.compile(r"((?:/\w+:\w+){2,})\b", re.IGNORECASE)


@lru_cache(maxsize=65536)
def base_vector(text: str) -> tuple[str, float] | None:
    """Return the canonical base vector, `AV:…/…/A:…`, and its base score; None for an invalid one.

    `text` is a vector with or without its `CVSS:3.x/`; other metrics than those of the base
    group are checked and left out.
    """
    from cvss import CVSS3
    from cvss.exceptions import CVSS3Error

    try:
        vector = CVSS3(f"CVSS:3.1/{re.sub('^CVSS:3[.][0-9]/', '', text.strip().upper())}")
    except CVSS3Error:
        return None
    canonical = "/".join(f"{name}:{vector.metrics[name]}" for name in METRICS)
    return canonical, float(vector.scores()[0])


def last_vector(text: str) -> str | None:
    """Take the last valid base vector, any case, with or without its prefix."""
    runs = reversed(_RUN.findall(text))
    return next((vector[0] for vector in map(base_vector, runs) if vector), None)


def notebook_vector(text: str) -> str | None:
    """Take the last `AV:…/…/A:…` in the usual order, else the whole text, if it is valid."""
    runs = _NOTEBOOK.findall(text)
    vector = base_vector(runs[-1] if runs else text)
    return vector[0] if vector else None


def unique_vector(text: str) -> Extraction:
    """Take a unique `CVSS:3.x/…`; one without the prefix is improper (FAITH 0.3.2)."""
    for pattern, proper in ((_FAITH_PROPER, True), (_FAITH_IMPROPER, False)):
        runs = {run.upper() for run in pattern.findall(text)}
        if len(runs) == 1:
            vector = base_vector(runs.pop().lstrip("/"))
            return Extraction(vector[0], proper) if vector else NO_ANSWER
    return NO_ANSWER


_NAMES = (
    *("Attack Vector", "Attack Complexity", "Privileges Required", "User Interaction", "Scope"),
    *("Confidentiality", "Integrity", "Availability"),
)
_VALUE = "Network|Adjacent|Local|Physical|Low|High|None|Required|Unchanged|Changed|[NALPHRUC]"
# "Attack Vector (AV): Network (N)", "Integrity Impact is High", "AV: N".
_WRITTEN = {
    metric: re.compile(
        rf"(?:\b{name}(?: impact)?\W{{0,8}}|\b(?-i:{metric})\W{{0,6}}[:=]\W{{0,6}})"
        rf"(?:{metric}\W{{1,8}})?(?:is\W{{1,4}})?({_VALUE})\b",
        re.IGNORECASE,
    )
    for metric, name in zip(METRICS, _NAMES, strict=True)
}


def vector_in_words(item: Item, text: str) -> list[str]:
    """Read a vector whose eight metrics are written out, each one once."""
    values = [{v[0].upper() for v in pattern.findall(text)} for pattern in _WRITTEN.values()]
    if any(len(named) != 1 for named in values):
        return []
    pairs = zip(METRICS, values, strict=True)
    vector = base_vector("/".join(f"{metric}:{named.pop()}" for metric, named in pairs))
    return [vector[0]] if vector else []


def _canonical(text: str) -> str | None:
    vector = base_vector(text)
    return vector[0] if vector else None


LENIENT = LenientReader(f"({_RUN.pattern})", _canonical, mention=True, words=vector_in_words)


def mark(item: Item, answer: str) -> Marks:
    """Mark the deviation of the base score, and each metric that agrees."""
    gold, given = base_vector(item.gold), base_vector(answer)
    if gold is None or given is None:
        raise ValueError(f"no CVSS v3 base vector: {item.gold!r}, {answer!r}")
    pairs = zip(METRICS, gold[0].split("/"), given[0].split("/"), strict=True)
    agreed = {name: float(a == b) for name, a, b in pairs}
    return {
        "correct": float(all(agreed.values())),
        "deviation": round(abs(gold[1] - given[1]), 1),
        "agreed": sum(agreed.values()) / len(METRICS),
        **agreed,
    }


def faith_prompt(item: Item) -> str:
    """Write FAITH's prompt."""
    return FAITH["cti-vsp"].format(text=item.text)


TASK = Task(
    name="cti-vsp",
    summary="predict the CVSS v3.1 base vector of a CVE",
    suite=CTI_BENCH,
    file="cti-vsp.tsv",
    read=partial(read_cti_bench, text="Description"),
    placeholder=Item("cti-vsp", 0, "", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", text="TEXT"),
    prompts={"faith": faith_prompt},
    extractors={
        "last-vector": Extractor(
            "last valid CVSS v3 base vector, any case, with or without its prefix",
            plain(last_vector),
            ("item", "faith", "base"),
            protocols=("model-card", "smoke"),
        ),
        "notebook-vector": Extractor(
            "last `AV:…/AC:…/PR:…/UI:…/S:…/C:…/I:…/A:…`, if it is valid",
            plain(notebook_vector),
            ("item", "faith", "base"),
            protocols=("paper", "cti-bench"),
        ),
        "unique-vector": Extractor(
            "a unique `CVSS:3.x/…`; a unique run of metrics without it is improper",
            unique_vector,
            ("item", "faith", "base"),
            protocols=("faith",),
        ),
    },
    lenient=LENIENT,
    mark=mark,
    metrics={
        "mad": Metric(
            "mean absolute deviation of the CVSS base score, over the valid vectors",
            {"deviation": 1.0},
            {"parseable": 1.0},
            "lower",
        ),
        "metric_agreement": Metric(
            "base metrics that agree exactly, over the valid vectors",
            {"agreed": 1.0},
            {"parseable": 1.0},
        ),
        "score_similarity": Metric(
            "1 - deviation / 10, an invalid vector counting 0, over all items (FAITH)",
            {"parseable": 1.0, "deviation": -0.1},
            {"asked": 1.0},
        ),
        **{
            f"{name.lower()}_agreement": Metric(
                f"{name} agrees, over the valid vectors",
                {name: 1.0},
                {"parseable": 1.0},
                quoted=False,
            )
            for name in METRICS
        },
    },
    headline="mad",
)
