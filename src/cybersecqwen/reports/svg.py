"""The loss of a training run as a picture, from its log.

    loss_plot(run / "adapter" / "training_log.jsonl", run / "report" / "plots" / "loss.svg")

The log has a row per logging step, `{"step", "epoch", "loss"}`, and one per evaluation,
`{"step", "epoch", "eval_loss"}`; rows with neither (the final summary) draw nothing.
"""

from __future__ import annotations

import io
from pathlib import Path

from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import Json, read_jsonl, write_text

Points = list[tuple[float, float]]

# Okabe and Ito's blue and vermillion: apart for every kind of colour vision. Line style and
# marker tell them apart in grey print.
_TRAIN: Json = {"color": "#0072B2", "linestyle": "-", "linewidth": 1.6}
_VALIDATION: Json = {"color": "#D55E00", "linestyle": "--", "linewidth": 1.6, "marker": "o"}


def loss_plot(log: Path, out: Path) -> None:
    """Draw train and validation loss (nats per token) against step as SVG: same log, same bytes.

    Raises InputError when the log is missing, holds no loss, or has a row without a step.
    """
    rows = list(read_jsonl(log))
    train = _points(rows, "loss", log=log)
    validation = _points(rows, "eval_loss", log=log)
    if not train and not validation:
        raise InputError("no loss in this log", where=log, tip="train at least log_steps steps")
    write_text(out, _svg(train, validation))


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


def _svg(train: Points, validation: Points) -> str:
    with extra("train"):
        import matplotlib as mpl
        from matplotlib.figure import Figure
    # Element ids come from the salt and text stays text, so that the bytes depend on the log alone.
    with mpl.rc_context({"svg.hashsalt": "cybersecqwen", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.subplots()
        for points, label, style in (
            (train, "train", _TRAIN),
            (validation, "validation", _VALIDATION),
        ):
            if points:
                axes.plot(*zip(*points, strict=True), label=label, **style)
        axes.set(xlabel="optimiser step", ylabel="loss (nats per token)")
        axes.grid(color="#D9D9D9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": "Training loss"})
    return buffer.getvalue()
