"""Fit the mapping's layer to MITRE's analysts, close to what the labels of records taught it.

    model = adapted(train(examples, settings, more=texts), examples, own=own_examples())

The analysts' mappings are few beside the records, so that the layer of a trained model follows the
records where the two differ. Here the vectors stay, and the layer moves as little as it has to: a
ridge on the change (maximum a posteriori adaptation). Some records that no analyst mapped keep it
from forgetting, and what MITRE allows to map to is preferred where the text leaves a choice. Texts
of this project's own on weaknesses that are too new for labels count like analysts' mappings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cybersecqwen.embedded_build.classifier_training import (
    Features,
    Floats,
    Head,
    Labelled,
    Model,
)
from cybersecqwen.embedded_build.mapping_examples import may_be_mapped_to
from cybersecqwen.errors import extra

_RIDGE = 1.5  # on a squared weight, per analyst's mapping; a tenth of it on a bias
_OTHERS = 20  # every so many groups of other records is compared with
_OTHER_WEIGHT = 0.05  # of such a record, an analyst's mapping having 1
_PREFERENCE = 1.0  # added to the logits of what may be mapped to
_STEPS = 40


def mapped_by_analyst(example: Labelled) -> bool:
    """Tell whether an analyst mapped a record: it weighs more than its labels, which sum to 1."""
    return sum(weight for _, weight in example.mapping) > 1 + 1e-6


def adapted(model: Model, examples: Sequence[Labelled], *, own: Iterable[Labelled] = ()) -> Model:
    """Return a model whose mapping follows the analysts; without any it stays as it is."""
    if model.mapping is None:
        return model
    analysts = [e for e in examples if mapped_by_analyst(e)]
    analysts += own if analysts else ()
    others = [e for e in examples if e.mapping and not mapped_by_analyst(e)]
    others = [e for e in others if e.group % _OTHERS == 0]
    layer = _fitted(model, model.mapping, analysts, others) if analysts else model.mapping
    allowed = np.array([may_be_mapped_to(cwe) for cwe in layer.classes], np.float32)
    return model._replace(mapping=layer._replace(bias=layer.bias + _PREFERENCE * allowed))


def _fitted(
    model: Model, layer: Head, analysts: Sequence[Labelled], others: Sequence[Labelled]
) -> Head:
    with extra("train"):
        import torch
    torch.set_num_threads(1)  # a sum in another order is another number
    taught = [*analysts, *others]
    hidden = _hidden(model, taught)
    scale = float(hidden.std()) or 1.0
    inputs, targets = torch.from_numpy(hidden / scale), torch.from_numpy(_targets(layer, taught))
    counts = torch.ones(len(taught))
    counts[len(analysts) :] = _OTHER_WEIGHT
    start = inputs @ torch.from_numpy(layer.weights * scale) + torch.from_numpy(layer.bias)
    weights = torch.zeros(layer.weights.shape, requires_grad=True)
    bias = torch.zeros(len(layer.bias), requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        chances = torch.log_softmax(start + inputs @ weights + bias, 1)
        missed = -((targets * chances).sum(1) * counts).sum()
        moved = _RIDGE * ((weights**2).sum() + 0.1 * (bias**2).sum())
        value = (missed + moved) / len(analysts)
        value.backward()
        return value

    optimizer.step(loss)
    moved = weights.detach().numpy() / scale
    return Head(layer.classes, layer.weights + moved, layer.bias + bias.detach().numpy())


def _hidden(model: Model, examples: Sequence[Labelled]) -> Floats:
    """Return the vectors of texts behind the rectifier, shape (texts, size)."""
    size = len(model.bias)
    bare = model._replace(head=np.eye(size, dtype=np.float32), head_bias=np.zeros(size, np.float32))
    return bare.logits(Features.of(model.vocabulary, [e.text for e in examples]))


def _targets(layer: Head, examples: Sequence[Labelled]) -> Floats:
    column = {cwe: position for position, cwe in enumerate(layer.classes)}
    shares = np.zeros((len(examples), len(layer.classes)), np.float32)
    for row, example in enumerate(examples):
        whole = sum(weight for _, weight in example.mapping)
        for cwe, weight in example.mapping:
            if cwe in column:
                shares[row, column[cwe]] = weight / whole
    return shares
