"""A language model on top of an answer that stands without it: its failure is told, not raised.

model = OptionalModel("CyberSecQwen-4B@http://localhost:8000/v1")
for response in model.generate(requests):   # as many as there are until it fails
print(response.text, failure_reason(response))
print(model.failure)                        # why there were no more, or ""
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cybersecqwen.engines import failure_reason, open_model
from cybersecqwen.errors import EngineError
from cybersecqwen.records import Request, Response

if TYPE_CHECKING:
    from cybersecqwen.engines import Engine

_log = logging.getLogger(__name__)

_STANDS = "the embedded answer stands"

FailureReport = Callable[[EngineError], None]


class OptionalModel:
    """A model that is opened when it is first asked, and asked until it fails for good.

    It is named as for `engines.open_model`, and opened with its options. `report`, by default the
    log, is told of every request without a text, and once of the failure that ends it. After a
    `rest`, in seconds, one that has failed for good is opened and asked anew.
    """

    def __init__(
        self,
        model: str,
        *,
        report: FailureReport | None = None,
        rest: float = math.inf,
        **options: Any,
    ) -> None:
        self.name = self._model = model
        self._rest, self._rests_until = rest, 0.0
        self.failure = ""
        self._report = report or _warn
        self._options = options
        self._engine: Engine | None = None

    def generate(self, requests: Sequence[Request]) -> Iterator[Response]:
        """Yield the response to each request in any order; none any more once it has failed.

        Raises InputError where the name is that of no model.
        """
        if not requests or not self._is_awake():
            return
        try:
            for response in self._opened().generate(requests):
                if reason := failure_reason(response):
                    self._report(EngineError(reason, where=self.name, tip=_STANDS))
                yield response
        except EngineError as error:
            self.failure, self._rests_until = error.what, time.monotonic() + self._rest
            tip = f"{error.tip}; {_STANDS}" if error.tip else _STANDS
            self._report(EngineError(error.what, where=error.where, tip=tip))

    def _is_awake(self) -> bool:
        if self.failure and time.monotonic() >= self._rests_until:
            self.failure, self._engine = "", None
        return not self.failure

    def _opened(self) -> Engine:
        if self._engine is None:
            model = open_model(self._model, give_up=True, **self._options)
            self.name, self._engine = model.name, model.engine
        return self._engine


def _warn(error: EngineError) -> None:
    _log.warning("%s", error)
