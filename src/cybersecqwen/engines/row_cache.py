"""Keys and values of texts that begin and end at different times, in place.

    cache = RowCache()
    cache.join(prompts)                     # more rows, from the library's cache of their prompts
    model(..., cache=cache)                 # a column more for every row
    cache.arrange([0, 1, 1], columns=180)   # row 2 is a copy of row 1, and what stood there is gone

The last tokens of all rows stand in one column, as in a batch that is padded at the left, so the
library's own masks fit. The library's cache copies all of itself for every new token; this one
copies the rows that change, and everything where the room ends. This module loads the library.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import (
    Cache,
    DummyLayer,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

_ROOM = 64  # columns; when they are used up, everything is copied once


class RowCache(Cache):  # type: ignore[misc]  # the library has no types
    """The cache of a model whose layers are all attention, for rows that come and go."""

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=_Layer)

    @staticmethod
    def fits(config: Any) -> bool:
        """Tell whether all layers are attention; others keep a state that no row can join."""
        attention = (DynamicLayer, DynamicSlidingWindowLayer, DummyLayer)  # or another layer's
        return all(type(layer) in attention for layer in DynamicCache(config=config).layers)

    def join(self, prompts: DynamicCache) -> None:
        """Add the rows of prompts; `prompts` keeps all columns, also of sliding windows."""
        self.layers += [_Layer() for _ in prompts.layers[len(self.layers) :]]
        for layer, read in zip(self.layers, prompts.layers, strict=True):
            if read.is_initialized:  # a layer that uses another's holds nothing
                layer.join(read.keys, read.values)

    def arrange(self, sources: list[int], *, columns: int) -> None:
        """Let row i be what row sources[i] was, and keep no more columns than the last ones."""
        moves = [(row, source) for row, source in enumerate(sources) if row != source]
        for layer in self._filled():
            if moves:
                layer.move(*torch.tensor(moves, device=layer.keys.device).T)
            layer.trim(len(sources), columns)

    def token_bytes(self) -> int:
        """Return how many bytes a token of one row takes in all layers."""
        return sum(states[0, :, 0].nbytes for layer in self._filled() for states in layer.buffers)

    def _filled(self) -> list[_Layer]:
        return [layer for layer in self.layers if layer.is_initialized]


class _Layer(DynamicLayer):  # type: ignore[misc]
    """One layer; `keys` and `values` are the part of two buffers that is in use.

    A buffer is rows by heads by columns by size. In use are the first rows, and the columns from
    `_start` to `_end`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.buffers: list[torch.Tensor] = []
        self._rows = self._start = self._end = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the columns of one step to all rows, and return everything."""
        new = key_states.shape[2]
        if self._end + new > self.buffers[0].shape[2]:
            self._place(self._rows, self._end - self._start)
        self._end += new
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[: self._rows, :, self._end - new : self._end] = states
        return self._view()

    def join(self, *states: torch.Tensor) -> None:
        """Add rows of keys and values; their last column becomes that of the others."""
        rows, width = self._rows + states[0].shape[0], states[0].shape[2]
        if not self.is_initialized:
            self.lazy_initialization(*states)
            self.buffers = [state[:0] for state in states]
        if rows > self.buffers[0].shape[0] or width > self._end:
            self._place(rows, max(width, self._end - self._start))
        for buffer, state in zip(self.buffers, states, strict=True):
            buffer[self._rows : rows, :, self._start : self._end - width] = 0
            buffer[self._rows : rows, :, self._end - width : self._end] = state
        self._rows, self._start = rows, min(self._start, self._end - width)
        self._view()

    def move(self, to: torch.Tensor, of: torch.Tensor) -> None:
        """Copy the rows `of` onto the rows `to`, which may be new ones behind the last."""
        rows = max(self._rows, int(to.max()) + 1)
        if rows > self.buffers[0].shape[0]:
            self._place(rows, self._end - self._start)
        for buffer in self.buffers:
            buffer[to, :, self._start : self._end] = buffer[of, :, self._start : self._end]
        self._rows = rows

    def trim(self, rows: int, columns: int) -> None:
        """Keep the first rows and the last columns."""
        self._rows, self._start = rows, max(self._start, self._end - columns)
        self._view()

    def _place(self, rows: int, end: int) -> None:
        """Make room for rows and for columns behind the last one in use, which is `end` then."""
        old_rows = self.buffers[0].shape[0]
        rows = rows + rows // 4 if rows > old_rows else old_rows
        begin = end - (self._end - self._start)
        for place, old in enumerate(self.buffers):
            # Zeros: attention multiplies what is masked by 0, and 0 times nan is nan.
            new = old.new_zeros(rows, old.shape[1], end + _ROOM, old.shape[3])
            used = old[: self._rows, :, self._start : self._end]
            new[: self._rows, :, begin:end] = used
            self.buffers[place] = new
        self._start, self._end = begin, end

    def _view(self) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys, self.values = (
            buffer[: self._rows, :, self._start : self._end] for buffer in self.buffers
        )
        return self.keys, self.values
