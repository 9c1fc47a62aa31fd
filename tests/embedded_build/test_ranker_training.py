"""The ranker: what it learns, and that what ships is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cybersecqwen.embedded.knowledge import SHIPPED, KnowledgeIndex
from cybersecqwen.embedded.option_ranker import RANKER
from cybersecqwen.embedded_build.ranker_training import build, fit, fit_weights
from cybersecqwen.files import read_json, sha256_file
from cybersecqwen.records import Item

pytest.importorskip("scipy")


def test_the_telling_feature_gets_the_weight_and_negation_turns_it() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(400, 4, 3))
    negated = np.arange(400) % 2 == 1
    golds = np.where(negated, values[:, :, 1].argmin(axis=1), values[:, :, 1].argmax(axis=1))
    ranker = fit_weights(values, negated, golds)
    assert ranker.plain[1] > 5 * max(abs(ranker.plain[0]), abs(ranker.plain[2]))
    assert ranker.negated[1] < -5 * max(abs(ranker.negated[0]), abs(ranker.negated[2]))


def test_a_feature_that_never_varies_gets_no_weight() -> None:
    values = np.zeros((10, 4, 2))
    values[:, 0, 0] = 1
    ranker = fit_weights(values, np.zeros(10, dtype=bool), np.zeros(10, dtype=int))
    assert ranker.plain[1] == 0
    assert ranker.plain[0] > 0


def test_fitting_to_items_twice_gives_the_same_weights() -> None:
    index = KnowledgeIndex.load()
    options = ("CWE-89", "CWE-79", "CWE-22", "CWE-416")
    questions = ("Which weakness is SQL injection?", "Which weakness is use after free?")
    items = [
        Item("cti-mcq", i, "", gold, text=text, options=options)
        for i, (text, gold) in enumerate(zip(questions, "AD", strict=True))
    ]
    assert fit(index, items) == fit(index, items)


@pytest.mark.shared
def test_what_ships_is_fitted_again_to_the_odd_items(shared: Path, tmp_path: Path) -> None:
    build(shared / "cti-bench", target=tmp_path / "ranker.json")
    again, shipped = read_json(tmp_path / "ranker.json"), read_json(RANKER)
    assert shipped["fitted_to"]["index_sha256"] == sha256_file(SHIPPED)
    assert again["fitted_to"] == shipped["fitted_to"]
    # The last digits depend on the linear algebra of the machine.
    assert again["plain"] == pytest.approx(shipped["plain"], abs=5e-3)
    assert again["negated"] == pytest.approx(shipped["negated"], abs=5e-3)
