"""The classifier that ships, as the analyst uses it: ranked by mapping, or by what feeds label.

    [prediction] = Embedded().predict(["SQL injection in a form."], top=3)

What ships has two rankings. "mapping" is how MITRE would map a text, and rarely begins with a class
that it advises against; "labels" is how feeds would label it, which is what a benchmark asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cybersecqwen.embedded.classifier import CweClassifier, Ranking
    from cybersecqwen.records import Prediction


class Classifier(Protocol):
    """A model that ranks the CWEs of texts."""

    def predict(self, texts: Sequence[str], *, top: int) -> Iterable[Prediction]:
        """Return one prediction for each text, in their order, with up to `top` CWEs each."""
        ...


class Embedded:
    """Classifies by what ships: by how MITRE would map a text, or by how feeds would label it."""

    def __init__(self, ranking: Ranking = "mapping") -> None:
        self._ranking = ranking
        self._classifier = _embedded()

    def predict(self, texts: Sequence[str], *, top: int) -> Iterator[Prediction]:
        """Yield the prediction of each text, in order."""
        return self._classifier.predict(texts, top=top, ranking=self._ranking)


@cache
def _embedded() -> CweClassifier:
    from cybersecqwen.embedded.classifier import CweClassifier

    return CweClassifier.load()
