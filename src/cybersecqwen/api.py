"""The Python API: what `import cybersecqwen as cq` offers, each name loaded when it is first used.

    import cybersecqwen as cq

    cq.classify("SQL injection in login.php.").candidates[0].cwe      # 'CWE-89'
    cq.ask("Which mitigations does ATT&CK list for T1059.001?").answer
    cq.audit("train.jsonl", benchmark="cti-bench").clean

The functions are thin: each calls what the command of the same name calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from cybersecqwen.analyst.classification import Classification
    from cybersecqwen.analyst.lookup import Lookup
    from cybersecqwen.config import Recipe
    from cybersecqwen.contamination.audit import Audit
    from cybersecqwen.engines import Kind
    from cybersecqwen.files import Json
    from cybersecqwen.pipeline import Run
    from cybersecqwen.records import Answer

File = str | Path


@overload
def classify(  # type: ignore[overload-overlap] # a text is an iterable of texts, too
    text: str,
    *,
    model: File = ...,
    grounded: bool = ...,
    top: int = ...,
    threshold: float = ...,
    as_labelled: bool = ...,
) -> Classification: ...
@overload
def classify(
    text: Iterable[str],
    *,
    model: File = ...,
    grounded: bool = ...,
    top: int = ...,
    threshold: float = ...,
    as_labelled: bool = ...,
) -> Iterator[Classification]: ...
def classify(
    text: str | Iterable[str],
    *,
    model: File = "embedded",
    grounded: bool = False,
    top: int = 3,
    threshold: float = 0.3,
    as_labelled: bool = False,
) -> Classification | Iterator[Classification]:
    """Map a vulnerability description to its CWE, or many of them, one result for each.

    `model` is "embedded", "smollm2", a model folder, a server's URL or NAME@URL. A result has up to
    `top` candidates with their confidence, 0 to 1; below `threshold` it abstains and says why.
    With `grounded` the model chooses among the embedded candidates, and they stand where it fails.
    The embedded model orders them by what MITRE would map the text to, or, `as_labelled`, by what
    feeds would label it with.
    Texts are read in batches as the results are taken. Raises InputError for settings that make no
    sense and EngineError where a model or server fails.
    """
    from cybersecqwen.analyst.classification import classify as classify_texts
    from cybersecqwen.analyst.classifiers import open_classifier

    classifier = open_classifier(
        model, grounded=grounded, ranking="labels" if as_labelled else "mapping"
    )
    results = classify_texts(
        text, classifier=classifier, top=top, threshold=threshold, as_labelled=as_labelled
    )
    return next(results) if isinstance(text, str) else results


def ask(
    question: str,
    options: Sequence[str] = (),
    *,
    guess: bool = False,
    records: File | Sequence[File] = (),
    engine: File | None = None,
) -> Answer:
    """Answer a CTI question from ATT&CK, CWE, CAPEC and CVE records, with what it rests on.

    `records` are files of CVE records, KEV or EPSS, by default what `fetch` left in its cache.
    With 2 to 26 `options` the answer is the letter of one. What nothing known supports is not
    covered (`covered` is false); with `guess` an option is chosen all the same. A language model
    `engine`, named as for `classify`, writes the answer from the passages that were found;
    `grounding` says which of its sentences they bear out, and where it fails or none is left the
    answer stays as it was. Raises InputError for an empty question, a wrong number of options, a
    file that is missing or a string that names no model.
    """
    from cybersecqwen.analyst.questions import Question
    from cybersecqwen.analyst.questions import ask as answer_question

    answer = answer_question(question, options, guess=guess, records=_paths(records))
    if engine in (None, "embedded"):
        return answer
    from cybersecqwen.analyst.grounded_answers import write_answers

    [(_, written)] = write_answers([(Question(0, question, tuple(options)), answer)], engine)
    return written


def lookup(cve_id: str, *, records: File | Sequence[File] = ()) -> Lookup:
    """Look up all that is at hand about a CVE: its record, and what other feeds say of it.

    The result is the record, with KEV, EPSS, a classification, mitigations, attack patterns and
    techniques beside it; `missing` names what is not at hand. `records` are files of records, KEV
    or EPSS, by default what `fetch` left in its cache. Nothing is downloaded. The id may be in
    lower case or with other dashes. Raises InputError for a text that is not a CVE id, for an id
    without a record, and where there is nothing to search.
    """
    from cybersecqwen.analyst.classification import Given
    from cybersecqwen.analyst.local_records import parse_cve_id
    from cybersecqwen.analyst.lookup import look_up

    given = Given(parse_cve_id(cve_id), "")
    return next(look_up([given], records=_paths(records)))


def _paths(files: File | Sequence[File]) -> list[Path]:
    """Return the paths of one file or of several."""
    return [Path(f) for f in ([files] if isinstance(files, (str, Path)) else files)]


def evaluate(
    model: File,
    *,
    tasks: Sequence[str] = (),
    protocol: str = "model-card",
    trials: int | None = None,
    kind: Kind = "instruct",
    benchmark: File | None = None,
    out: File | None = None,
) -> list[Json]:
    """Measure a model on tasks of a benchmark under a protocol; one row of scores a task.

    `model` is "embedded", "smollm2", a model folder, a GGUF file, recordings, a server's URL or
    NAME@URL; `tasks` are cti-rcm and cti-mcq where none is named. Every response is kept in `out`,
    by default `runs/<model>`, and a call that was killed goes on from there. The rows are those of
    `cybersecqwen evaluate --json`. Raises InputError, StageError or EngineError.
    """
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.engines import open_model
    from cybersecqwen.pipeline import evaluate_model
    from cybersecqwen.reports.results import results

    settings = find_protocol(protocol, trials=trials)
    folder = evaluate_model(
        open_model(model, kind=kind, concurrency=settings.concurrency),
        settings,
        tasks=tuple(tasks),
        benchmark=Path(benchmark) if benchmark else None,
        out=Path(out) if out else None,
    )
    return results(folder)


def audit(
    train: File,
    *,
    benchmark: File | None = None,
    rules: Sequence[str] = (),
    allow_missing: bool = False,
    allow_unreadable: bool = False,
) -> Audit:
    """Hold every row of a training file or folder against every item of a benchmark.

    `verdict` of the result is "clean", "contaminated", or "not proven clean" where something was
    not read; `reading` says what was, column by column, and what was not. `overlaps` and `counts`
    say what overlaps, by the `rules` named or by all. `benchmark` is a folder, by default the
    fetched one, and must hold all tasks unless `allow_missing`. Raises InputError, also for a row
    or file that is wrong unless `allow_unreadable`: it is then listed.
    """
    from cybersecqwen.benchmark.tasks import read_benchmark
    from cybersecqwen.contamination.audit import checked_rules, checked_settings, run_audit
    from cybersecqwen.pipeline.inputs import default_benchmark

    folder = Path(benchmark) if benchmark else default_benchmark()
    return run_audit(
        Path(train),
        read_benchmark(folder, complete=not allow_missing),
        checked_settings({}),
        rules=checked_rules(rules),
        allow_unreadable=allow_unreadable,
    )


def load_recipe(recipe: File, *, overrides: Sequence[str] = ()) -> Recipe:
    """Load and check a recipe: a TOML file, or the name of one that ships.

    `overrides` are `key.path=value`, as of `--set`. Raises RecipeError that names an unknown key,
    with the nearest known one, or a wrong value.
    """
    from cybersecqwen.config import load_recipe as load

    return load(str(recipe), overrides=tuple(overrides))


def run(recipe: Recipe | File, *, out: File | None = None, overrides: Sequence[str] = ()) -> Run:
    """Take a recipe through every stage, from corpus to card; what is done already is skipped.

    `out` is the run's folder, by default `runs/<name>`. Raises StageError where a stage in it was
    made from something else, and what the stages raise.
    """
    from cybersecqwen.pipeline import open_run
    from cybersecqwen.pipeline import run as run_stages

    return run_stages(open_run(recipe, Path(out) if out else None, overrides=tuple(overrides)))
