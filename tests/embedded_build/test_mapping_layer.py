"""The mapping follows the analysts where they differ from the labels, and else stays near them."""

from __future__ import annotations

import numpy as np

from cybersecqwen.embedded_build.classifier_training import Features, Labelled, Model, train
from cybersecqwen.embedded_build.mapping_examples import ANALYST, mapped
from cybersecqwen.embedded_build.mapping_layer import adapted, mapped_by_analyst

from .test_classifier_training import SMALL, corpus


def answers(model: Model, examples: list[Labelled]) -> list[str]:
    assert model.mapping
    top = model.on(model.mapping)
    logits = top.logits(Features.of(model.vocabulary, [e.text for e in examples]))
    return [top.classes[column] for column in logits.argmax(1)]


def test_the_mapping_follows_the_analysts_and_the_labels_stay() -> None:
    examples = [mapped(example, {}) for example in corpus(900)]
    # Analysts map every fourth text on use after free to its parent.
    examples = [
        e._replace(mapping=(("CWE-825", ANALYST),)) if e.first == "CWE-416" and i % 4 == 2 else e
        for i, e in enumerate(examples)
    ]
    assert sum(map(mapped_by_analyst, examples)) > 50
    model = train(examples[:700], SMALL, log=lambda _: None)
    follows = adapted(model, examples[:700])
    np.testing.assert_array_equal(follows.head, model.head)
    by_label = {
        e.first: answer
        for e, answer in zip(examples[700:], answers(follows, examples[700:]), strict=True)
    }
    assert by_label == {"CWE-79": "CWE-79", "CWE-89": "CWE-89", "CWE-416": "CWE-825"}


def test_what_may_be_mapped_to_is_preferred_where_no_analyst_is() -> None:
    examples = [mapped(example, {}) for example in corpus(300)]
    model = train(examples, SMALL, log=lambda _: None)
    preferring = adapted(model, examples)
    assert model.mapping and preferring.mapping
    np.testing.assert_array_equal(preferring.mapping.weights, model.mapping.weights)
    np.testing.assert_allclose(preferring.mapping.bias, model.mapping.bias + 1)


def test_without_a_mapping_a_model_stays_as_it_is() -> None:
    model = train(corpus(300), SMALL, log=lambda _: None)
    assert model.mapping is None
    assert adapted(model, corpus(300)) is model
