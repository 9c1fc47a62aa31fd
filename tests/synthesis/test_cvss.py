"""CVSS vectors are read as the specification does, and every score in an answer is computed."""

from __future__ import annotations

import random
import re

import pytest

from cybersecqwen.benchmark.tasks.cti_vsp import base_vector
from cybersecqwen.synthesis.cvss import METRICS, read_vector, vector_drafts

PREFIX = "CVSS:3.1/"


def vectors(count: int) -> list[str]:
    rng = random.Random(5)
    return [
        PREFIX
        + "/".join(
            f"{m}:{rng.choice(sorted(words.keys() - {'name'}))}" for m, words in METRICS.items()
        )
        for _ in range(count)
    ]


def test_a_vector_reads_as_the_evaluation_reads_it() -> None:
    for text in vectors(200):
        reading = read_vector(text)
        assert reading is not None
        assert base_vector(text) == (reading.vector.removeprefix(PREFIX), float(reading.score))


@pytest.mark.parametrize("text", ["", "AV:N", "CVSS:3.1/AV:X/AC:L", "CVSS:2.0/AV:N/AC:L/Au:N"])
def test_what_is_no_vector_is_none(text: str) -> None:
    assert read_vector(text) is None


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", ("9.8", "Critical")),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", ("6.1", "Medium")),
    ],
)
def test_published_scores(score: str, severity: tuple[str, str]) -> None:
    reading = read_vector(score)
    assert reading is not None
    assert (reading.score, reading.severity) == severity


def test_every_topic_is_right_by_the_equations() -> None:
    makers = vector_drafts(vectors(60), random.Random(1))
    assert len(makers) == 7
    for (_, topic, _), make in makers.items():
        drafts = list(make())
        # Of the severities, as many as the rarest one allows are asked about.
        assert len(drafts) > (10 if topic == "severity" else 40), topic
        for draft in drafts:
            reading = read_vector(draft.subject)
            assert reading is not None
            if topic == "score":
                assert draft.options[0] == reading.score
                assert len(set(draft.options)) == 4
            if topic == "severity":
                assert draft.options[0].startswith(f"{reading.severity} (")
            if topic == "more severe":
                scores = [float(read_vector(option).score) for option in draft.options]  # type: ignore[union-attr]
                assert scores[0] > max(scores[1:])
            if topic == "metric":
                name, value = draft.options[0].split(": ")
                assert f"{name}: {value} (" in draft.grounding[0].text
                called = [reading.label(m).partition(" (")[0] for m in METRICS]
                assert not set(draft.options[1:]) & set(called)
            if topic == "what if":
                changed = re.findall(r"becomes (CVSS\S+)\.", draft.answer)
                for vector in changed:
                    other = read_vector(vector)
                    assert other is not None
                    assert f"to {other.score} ({other.severity})" in draft.answer
