"""A progress bar over the answers of an engine: how many, how fast, and what a subclass adds.

On a terminal only; in a pipe nothing is shown.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

from cybersecqwen.records import Response


class ProgressBar(ABC):
    """A bar over responses; a subclass takes note of each and says what to show."""

    def __init__(self, label: str, total: int, *, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._tokens = 0  # written since it was entered
        self.hidden = True
        self.seconds = 0.0  # from the first request to the last answer, known at the end

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._bar: tqdm[Never] = tqdm(
            total=self._total, desc=self._label, unit=self._unit, disable=None
        )
        self.hidden = bool(self._bar.disable)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds = time.monotonic() - self._begun
        self._bar.close()

    def count(self, response: Response) -> None:
        """Count an answer that an earlier run got; it says nothing about this one's speed."""
        self.note(response)
        if not self.hidden:
            self._bar.initial += 1
            self._bar.n += 1

    def tell(self, response: Response) -> None:
        """Count an answer that has just come."""
        self.note(response)
        self._tokens += response.completion_tokens
        if not self.hidden:
            speed = self._tokens / max(time.monotonic() - self._begun, 1e-9)
            self._bar.set_postfix_str(self.shown(speed), refresh=False)
            self._bar.update()

    @abstractmethod
    def note(self, response: Response) -> None:
        """Take what the subclass shows from an answer."""

    @abstractmethod
    def shown(self, speed: float) -> str:
        """Return what stands behind the bar; `speed` is in tokens a second, 0 where unknown."""
