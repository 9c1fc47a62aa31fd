"""Show how far a trial is: items, running accuracy, tokens a second, time left.

    with Running("cti-rcm trial 1/5", 1000, is_correct) as running:
        running.tell(response)

On a terminal only; in a pipe nothing is shown and nothing is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

from cybersecqwen.records import Response


class Running:
    """A progress bar that knows how many answers so far are right."""

    def __init__(self, label: str, total: int, is_correct: Callable[[Response], bool]) -> None:
        self._label, self._total = label, total
        self._is_correct = is_correct
        self._correct = self._answered = self._tokens = 0

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._bar: tqdm[Never] = tqdm(
            total=self._total, desc=self._label, unit="item", disable=None
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def count(self, response: Response) -> None:
        """Count an answer that an earlier run got; it says nothing about this one's speed."""
        if not self._bar.disable:
            self._bar.initial += 1
            self._bar.n += 1
            self._judge(response)

    def tell(self, response: Response) -> None:
        """Count an answer that has just come."""
        if self._bar.disable:
            return
        self._judge(response)
        self._tokens += response.completion_tokens
        seconds = max(time.monotonic() - self._begun, 1e-9)
        speed = f", {self._tokens / seconds:,.0f} tokens/s" if self._tokens else ""
        accuracy = f"accuracy {self._correct / self._answered:.3f}"
        self._bar.set_postfix_str(accuracy + speed, refresh=False)
        self._bar.update()

    def _judge(self, response: Response) -> None:
        self._answered += 1
        self._correct += self._is_correct(response)
