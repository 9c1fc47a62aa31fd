"""Break the predictions for one task down: by class, by letter, and by their texts.

Predictions are by item and trial, None where no answer could be extracted. Every result
is ready for JSON, nothing is rounded, and a share is one of all answers, items times
trials, unless the function says otherwise.

>>> report = by_class([["B"], ["C"], [None]], ["B", "B", "C"])
>>> report["classes"]["B"]["precision"], report["classes"]["B"]["recall"]
(1.0, 0.5)
>>> positions([["B"], ["C"], [None]], ["B", "B", "C"])["constant"]["letter"]
'B'
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from cybersecqwen.benchmark.statistics import mean
from cybersecqwen.engines.interface import failure_reason
from cybersecqwen.engines.reasoning import read_answer
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Response

Pairs = Counter[tuple[str | None, str]]


def by_class(predictions: Sequence[Sequence[str | None]], golds: Sequence[str]) -> Json:
    """Score each class that occurs in gold, commonest first, and the tail of rare ones.

    `items` counts items and `predicted` answers; precision is None for a class never
    predicted. An unparseable answer is a miss of its gold and a prediction of no class.
    `macro_f1` is the mean over the classes of gold; `macro_f1_predicted_too` is the mean over
    those of gold or prediction, the default of scikit-learn's `f1_score(average="macro")`.
    `tail` is the accuracy over items whose class is the gold of one item, or of at most five.
    """
    pairs = count_pairs(predictions, golds)
    items, trials = Counter(golds), len(predictions[0])
    predicted = count_predicted(pairs)
    classes: dict[str, Json] = {
        gold: {
            "items": items[gold],
            "predicted": predicted[gold],
            "precision": _ratio(pairs[gold, gold], predicted[gold]),
            "recall": pairs[gold, gold] / (items[gold] * trials),
            "f1": 2 * pairs[gold, gold] / (items[gold] * trials + predicted[gold]),
        }
        for gold in _commonest(items)
    }
    f1 = [row["f1"] for row in classes.values()]
    return {
        "items": len(golds),
        "trials": trials,
        "classes": classes,
        "macro_f1": mean(f1),
        # A class that only occurs in predictions has no true positive.
        "macro_f1_predicted_too": sum(f1) / len(items.keys() | predicted.keys()),
        "tail": {
            "once": _tail(pairs, items, trials=trials, at_most=1),
            "at_most_5": _tail(pairs, items, trials=trials, at_most=5),
        },
    }


def _tail(pairs: Pairs, items: Counter[str], *, trials: int, at_most: int) -> Json:
    rare = [gold for gold, n in items.items() if n <= at_most]
    n = sum(items[gold] for gold in rare)
    right = sum(pairs[gold, gold] for gold in rare)
    return {"classes": len(rare), "items": n, "accuracy": _ratio(right, n * trials)}


def positions(
    predictions: Sequence[Sequence[str | None]], golds: Sequence[str], *, letters: str = "ABCD"
) -> Json:
    """Set the letters a model chooses against those of gold, and against a constant answer.

    Per letter: its share of the items' gold, its share of all answers, and the accuracy over
    answers whose gold it is, None where it is no item's. `bias` is the total variation
    distance between the letters of gold and those of the parseable answers, 0 to 1, None
    where no answer is parseable. `constant` is the letter that scores best when always
    given, the first of equals.
    """
    pairs = count_pairs(predictions, golds)
    items, trials, n = Counter(golds), len(predictions[0]), pairs.total()
    predicted = count_predicted(pairs)
    shown = sorted({*letters, *items, *predicted})
    best = max(shown, key=items.__getitem__)
    return {
        "letters": {
            letter: {
                "gold": items[letter] / len(golds),
                "predicted": predicted[letter] / n,
                "accuracy": _ratio(pairs[letter, letter], items[letter] * trials),
            }
            for letter in shown
        },
        "unparseable": (n - predicted.total()) / n,
        "bias": _distance(items, predicted),
        "constant": {"letter": best, "accuracy": items[best] / len(golds)},
    }


def _distance(one: Counter[str], other: Counter[str]) -> float | None:
    """Return the total variation distance of two counted distributions, None if one is empty."""
    n, m = one.total(), other.total()
    if not n or not m:
        return None
    return sum(abs(one[key] / n - other[key] / m) for key in one.keys() | other.keys()) / 2


def permutation_report(
    predictions: Sequence[Sequence[int | None]],
    golds: Sequence[int],
    *,
    stood: Sequence[Sequence[int]],
) -> Json:
    """Say how far answers hold when the options of each item are put in K other orders.

    `predictions` are items x K, mapped back to the option's place in the item, 0 to 3, as
    `golds` are; `stood` is where the gold option was shown, items x K. `consistent` is the
    share of items that got one and the same parseable answer under all K orders, and
    `always_right` the share that got the right one. `by_position` is the accuracy over the
    answers to questions that showed the gold option at that place.
    """
    _check_shape(predictions, golds)
    _check_shape(stood, golds)
    if len(stood[0]) != len(predictions[0]):
        raise InputError(f"{len(predictions[0])} orders were answered, {len(stood[0])} shown")
    n, orders = len(golds), len(predictions[0])
    right = [
        [answer == gold for answer in row] for row, gold in zip(predictions, golds, strict=True)
    ]
    accuracy = [sum(column) / n for column in zip(*right, strict=True)]
    shown = Counter(place for row in stood for place in row)
    hits = Counter(
        place
        for places, row in zip(stood, right, strict=True)
        for place, hit in zip(places, row, strict=True)
        if hit
    )
    return {
        "items": n,
        "permutations": orders,
        "accuracy": accuracy,
        "mean": mean(accuracy),
        "consistent": sum(len({*row}) == 1 and row[0] is not None for row in predictions) / n,
        "always_right": sum(map(all, right)) / n,
        "by_position": {
            str(place): {"answers": shown[place], "accuracy": hits[place] / shown[place]}
            for place in sorted(shown)
        },
    }


def confusion(
    predictions: Sequence[Sequence[str | None]], golds: Sequence[str], top: int = 15
) -> Json:
    """Count what is answered where one of the `top` commonest golds is right, for a plot.

    Rows are those golds, columns the same classes, then "other" and "none" (unparseable);
    a row sums to its items times the trials.
    """
    if top < 1:
        raise InputError(f"a matrix of the {top} commonest classes is empty", tip="ask for one")
    pairs = count_pairs(predictions, golds)
    rows = _commonest(Counter(golds))[:top]
    columns = [*rows, "other", "none"]
    place = {gold: number for number, gold in enumerate(rows)}
    counts = [[0] * len(columns) for _ in rows]
    for (predicted, gold), n in pairs.items():
        if gold in place:
            column = len(rows) + 1 if predicted is None else place.get(predicted, len(rows))
            counts[place[gold]][column] += n
    return {"rows": rows, "columns": columns, "counts": counts}


# Who refuses is the model: an `I` that opens a clause, so that attackers who "are unable to"
# and flaws that "cannot be exploited" are none, nor is the I of "phase I cannot start". What it
# cannot recall or rule out while it reasons is no refusal either.
_DOUBT = r"(?:be (?:sure|certain)|recall|remember|rule out|see|find|think|believe|say|tell|stress)"
_OFFER = r"(?:be able to|help|assist|provide|answer|comply|engage|do (?:that|this))"
_REFUSAL = re.compile(
    r"I(?i:"
    rf" (?:cannot|can not|can't)\b(?! (?:\w+ly )?{_DOUBT}\b)"
    rf"| (?:won't|will not) {_OFFER}\b"
    r"| (?:must |have to )?(?:respectfully )?decline\b"
    r"|(?: am|'m) (?:unable|not able) to\b"
    r"|(?: am|'m) (?:\w+ )?sorry,? (?:but|i)\b"
    r"|(?: am|'m) (?:just |only )?an ai\b"
    r"| apologi[sz]e,? but\b)"
)
_CLAUSE_OPENS = re.compile(
    r"(?:\A|[.!?,;:*)\n–—]|-(?=\s)"
    r"|(?i:\b(?:but|and|so|that|because|since|as|afraid|however|therefore|unfortunately)))\s{0,3}\Z"
)
_AS_AN_AI = re.compile(r"\b[Aa]s an AI(?:[ -]\w+){0,6},? I(?=[ '])")


def answers(
    responses: Sequence[Sequence[Response]], predictions: Sequence[Sequence[str | None]]
) -> Json:
    """Describe the texts behind the predictions: refusals, empty ones, stops and lengths.

    A refusal holds no extractable answer and says so, in its text or as its finish reason.
    `cut_at_limit` is of the answers that state why they stopped, None where none does;
    `completion_tokens` is of those that record a number, None where none does. Characters are those
    of the whole text, its reasoning included. A request that failed has the reason "failed".
    """
    _check_shape(responses, predictions)
    _check_shape(predictions, responses)
    flat = [response for trials in responses for response in trials]
    read = [predicted for trials in predictions for predicted in trials]
    if len(flat) != len(read):
        raise InputError(f"{len(read)} predictions were read from {len(flat)} responses")
    n = len(flat)
    texts = [read_answer(response.text).text for response in flat]
    unread = [i for i, predicted in enumerate(read) if predicted is None]
    refused = [i for i in unread if flat[i].finish_reason == "refusal" or refuses(texts[i])]
    reasons = Counter(
        "failed" if failure_reason(response) else response.finish_reason for response in flat
    )
    stated = n - reasons[""]
    return {
        "answers": n,
        "unparseable": part(len(unread), n),
        "refusals": part(len(refused), n),
        "empty": part(sum(not text.strip() for text in texts), n),
        "finish_reasons": {reason or "not stated": m for reason, m in reasons.most_common()},
        "cut_at_limit": part(reasons["length"], stated) if stated else None,
        "characters": _lengths([len(response.text) for response in flat]),
        "completion_tokens": _lengths([r.completion_tokens for r in flat if r.completion_tokens]),
    }


def refuses(text: str) -> bool:
    """Tell whether a text says that its writer will not or cannot answer."""
    plain = text.strip().replace("’", "'")
    if _AS_AN_AI.search(plain):
        return True
    places = (match.start() for match in _REFUSAL.finditer(plain))
    # The longest opening is "unfortunately" and three spaces.
    return any(_CLAUSE_OPENS.search(plain[max(0, at - 20) : at]) for at in places)


def _lengths(values: list[int]) -> Json | None:
    """Sum up lengths; the 95th percentile lies linearly between the nearest two."""
    import numpy as np

    if not values:
        return None
    median, p95 = np.percentile(values, [50, 95])
    return {
        "answers": len(values),
        "mean": mean(values),
        "median": float(median),
        "p95": float(p95),
        "max": max(values),
    }


def count_pairs(predictions: Sequence[Sequence[str | None]], golds: Sequence[str]) -> Pairs:
    """Count the answers by (prediction, gold); raises InputError unless items and trials fit."""
    _check_shape(predictions, golds)
    return Counter(
        (predicted, gold)
        for trials, gold in zip(predictions, golds, strict=True)
        for predicted in trials
    )


def part(count: int, whole: int) -> Json:
    """Return a count and its share of a whole that is not empty."""
    return {"count": count, "share": count / whole}


def count_predicted(pairs: Pairs) -> Counter[str]:
    """Count the parseable answers by prediction."""
    counts: Counter[str] = Counter()
    for (predicted, _), n in pairs.items():
        if predicted is not None:
            counts[predicted] += n
    return counts


def _check_shape(rows: Sequence[Sequence[object]], others: Sequence[object]) -> None:
    if len(rows) != len(others):
        raise InputError(f"answers to {len(rows)} items for {len(others)}")
    sizes = {len(row) for row in rows}
    if len(sizes) > 1:
        raise InputError(
            f"items have from {min(sizes)} to {max(sizes)} answers", tip="break whole trials down"
        )
    if sizes <= {0}:
        raise InputError("no answer to break down")


def _commonest(items: Counter[str]) -> list[str]:
    return sorted(items, key=lambda gold: (-items[gold], gold))


def _ratio(count: int, whole: int) -> float | None:
    return count / whole if whole else None
