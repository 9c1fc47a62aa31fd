"""SVG plots whose bytes depend on what they show alone, and the plot of a training run's loss.

    loss_plot(run / "adapter" / "training_log.jsonl", run / "report" / "plots" / "loss.svg")

Colours are Okabe and Ito's, apart for every kind of colour vision. Hatches, line styles and markers
tell them apart in grey print.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import Json, read_jsonl, write_text

BLUE, VERMILLION, ORANGE, GREEN, BLACK = "#0072B2", "#D55E00", "#E69F00", "#009E73", "#000000"
LIGHT_GREY, GREY = "#D9D9D9", "#595959"

# Element ids come from the salt, and text stays text.
_RC: Json = {
    "svg.hashsalt": "cybersecqwen",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
}
PLAIN: Json = {"font.family": "sans-serif", "font.size": 10}  # of plots that stand alone

Points = list[tuple[float, float]]

_TRAIN: Json = {"color": BLUE, "linestyle": "-", "linewidth": 1.6}
_VALIDATION: Json = {"color": VERMILLION, "linestyle": "--", "linewidth": 1.6, "marker": "o"}


def draw_svg(figures: Iterable[tuple[str, Any, str]], style: Json | None = None) -> dict[str, str]:
    """Draw figures, each with its name and title, as SVG by name; {} without matplotlib.

    `style` are matplotlib settings beside the common ones. They hold only while `figures` is
    consumed, so it is a generator that makes each figure when it is asked for.
    """
    if find_spec("matplotlib") is None:
        return {}
    import matplotlib as mpl

    drawn = {}
    with mpl.rc_context(_RC | (style or {})):
        for name, figure, title in figures:
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": title})
            drawn[name] = buffer.getvalue()
    return drawn


def plot_axes(width: float, height: float, *, grid: Literal["both", "x", "y"] = "both") -> Any:
    """Return axes of a figure of its own, in inches, with a grid behind what is drawn on them."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(width, height), layout="constrained").subplots()
    axes.grid(axis=grid, color=LIGHT_GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def loss_plot(log: Path, out: Path) -> None:
    """Draw train and validation loss (nats per token) against step as SVG: same log, same bytes.

    The log has a row per logging step, `{"step", "epoch", "loss"}`, and one per evaluation,
    `{"step", "epoch", "eval_loss"}`; rows with neither (the final summary) draw nothing.
    Raises InputError when the log is missing, holds no loss, or has a row without a step.
    """
    rows = list(read_jsonl(log))
    train = _points(rows, "loss", log=log)
    validation = _points(rows, "eval_loss", log=log)
    if not train and not validation:
        raise InputError("no loss in this log", where=log, tip="train at least log_steps steps")
    with extra("train"):
        import matplotlib  # noqa: F401
    drawn = draw_svg(_loss(train, validation), PLAIN)
    write_text(out, drawn["loss"])


def _points(rows: list[Json], key: str, *, log: Path) -> Points:
    points = []
    for number, row in enumerate(rows, start=1):
        if key not in row:
            continue
        step, loss = row.get("step"), row[key]
        if not isinstance(step, int | float) or not isinstance(loss, int | float):
            raise InputError(
                f"step {step!r} with {key} {loss!r}: two numbers expected",
                where=f"{log}:{number}",
                tip="train again to write the log anew",
            )
        points.append((float(step), float(loss)))
    return points


def _loss(train: Points, validation: Points) -> Iterator[tuple[str, Any, str]]:
    axes = plot_axes(6.4, 3.8)
    for points, label, style in (
        (train, "train", _TRAIN),
        (validation, "validation", _VALIDATION),
    ):
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **style)
    axes.set(xlabel="optimiser step", ylabel="loss (nats per token)")
    axes.legend(frameon=False)
    yield "loss", axes.figure, "Training loss"
