"""Show how far a trial is: items, running accuracy, tokens a second, time left.

    with Running("cti-rcm trial 1/5", 1000, is_correct) as running:
        running.tell(response)

On a terminal only; in a pipe nothing is shown and nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable

from cybersecqwen.engines.progress import Progress
from cybersecqwen.records import Response


class Running(Progress):
    """A progress bar that knows how many answers so far are right."""

    def __init__(self, label: str, total: int, is_correct: Callable[[Response], bool]) -> None:
        super().__init__(label, total, unit="item")
        self._is_correct = is_correct
        self._correct = self._answered = 0

    def note(self, response: Response) -> None:
        """Judge an answer, where anybody looks."""
        if not self.hidden:
            self._answered += 1
            self._correct += self._is_correct(response)

    def shown(self, speed: float) -> str:
        """Say how accurate and how fast it is."""
        accuracy = f"accuracy {self._correct / self._answered:.3f}"
        return accuracy + (f", {speed:,.0f} tokens/s" if speed else "")
