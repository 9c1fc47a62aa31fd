"""The model card of a run, from what is on disk and nothing else.

    write_text(run / "report" / "MODEL_CARD.md", render(run))

The same run gives the same bytes. A stage that has not run gets a line that says so, and
a run without scores gets no `model-index`: no number is written that was not measured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cybersecqwen.benchmark.protocol import PROTOCOLS
from cybersecqwen.config import Recipe
from cybersecqwen.files import Json
from cybersecqwen.reports.generation import distillation_summary, synthesis_summary
from cybersecqwen.reports.markdown import table
from cybersecqwen.reports.model_card_text import citations, licence, limitations, usage, wording
from cybersecqwen.reports.results import (
    NO_EVALUATION,
    against_baselines,
    comparators_table,
    measured_table,
)
from cybersecqwen.reports.run_folder import Certificate, Evidence, Result, load_evidence

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_TAGS = ["cybersecurity", "cti", "cwe-classification", "vulnerability-analysis", "security", "lora"]
# The Hub's name for the kind of each task; the rest are free text.
_KINDS = {"cti-rcm": "text-classification", "cti-mcq": "multiple-choice"}
_SUMMARY = (
    *("steps", "steps_per_epoch", "examples", "packed_sequences", "tokens_seen"),
    *("trainable_parameters", "total_parameters", "final_train_loss", "final_validation_loss"),
    *("base_revision", "device", "world_size", "distributed_type", "runtime_seconds"),
)


def render(run: Path) -> str:
    """Render a run's model card: YAML front matter for the Hugging Face Hub, then Markdown.

    Raises InputError where `run` is no run folder or one of its files is damaged.
    """
    evidence = load_evidence(run)
    recipe = evidence.recipe
    sections = {
        "Intended use": wording("intended-use"),
        "How to use": usage(recipe),
        "Results": _results(evidence),
        "Training": _training(evidence),
        "Training data and decontamination": _data(recipe, evidence.certificate),
        **_synthesis(evidence),
        **_distillation(evidence),
        "Merge": _merge(evidence.parity),
        "Limitations": limitations(*recipe.corpus.years),
        "Licence": licence(recipe.license),
        "Citation": citations(),
    }
    body = "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items())
    draft = "" if evidence.results else f"{wording('draft')}\n\n"
    head = f"---\n{front_matter(evidence)}\n---\n\n# {recipe.name}\n\n{draft}"
    return f"{head}{_about(evidence)}\n{body}"


def front_matter(evidence: Evidence) -> str:
    """Write the YAML that the Hugging Face Hub reads, `model-index` only where there are scores."""
    from huggingface_hub import ModelCardData

    recipe = evidence.recipe
    # `datasets` names training sets on the Hub; this corpus is built from feeds and is none.
    data = ModelCardData(
        language="en",
        license=recipe.license,
        library_name="transformers",
        pipeline_tag="text-generation",
        base_model=recipe.model.base if on_hub(recipe) else None,
        tags=[*_TAGS, "smoke-test"] if recipe.model.random else _TAGS,
        metrics=["accuracy"],
        model_name=recipe.name,
        eval_results=[_eval_result(result) for result in evidence.results] or None,
    )
    return data.to_yaml()


def on_hub(recipe: Recipe) -> bool:
    """Return whether the base model has a Hub id; a folder of this machine has none."""
    return recipe.model.random is None and _HUB_ID.fullmatch(recipe.model.base) is not None


def _eval_result(result: Result) -> EvalResult:
    from huggingface_hub import EvalResult

    trials, modified = len(result.trials), ", ".join(result.modified)
    name = f"strict accuracy, {trials}-trial mean, protocol {result.protocol}"
    known = result.comparable
    return EvalResult(
        task_type=_KINDS.get(result.task, "text-generation"),
        task_name=result.task.upper(),
        dataset_type="AI4Sec/cti-bench" if known else result.benchmark.name,
        dataset_name="CTI-Bench" if known else f"{result.benchmark.name} (not CTI-Bench)",
        dataset_config=result.task,
        dataset_split="test",
        metric_type="accuracy",
        metric_value=round(result.strict_accuracy.mean, 4),
        metric_name=f"{name}, modified: {modified}" if modified else name,
        verified=False,
    )


def _about(evidence: Evidence) -> str:
    recipe = evidence.recipe
    rows = {
        "Base model": _base(recipe),
        "Parameters": _size(evidence.summary),
        "Weights in memory": _memory(recipe, evidence.summary),
        "Adapter": f"LoRA r={recipe.adapter.r}, alpha={recipe.adapter.alpha}",
        "Precision": recipe.model.precision,
        "Chat template": f"{recipe.model.chat_template}, user and assistant turns only",
        "Language": "English",
        "Licence": recipe.license,
    }
    what = wording("smoke-test" if recipe.model.random else "about")
    return "\n\n".join([f"{recipe.summary.removesuffix('.')}.", what, _table("property", rows)])


def _base(recipe: Recipe) -> str:
    if recipe.model.random:
        return f"none: a randomly initialised {recipe.model.random.architecture} network"
    if on_hub(recipe):
        return f"`{recipe.model.base}`, revision `{recipe.model.revision}`"
    return f"`{Path(recipe.model.base).name}`, from a local folder"


def _size(summary: Json | None) -> str:
    total = (summary or {}).get("total_parameters")
    if not isinstance(total, int):
        return "not on record"
    return f"{total / 1e9:.2f}B" if total >= 1e8 else f"{total / 1e6:.2f}M"


def _memory(recipe: Recipe, summary: Json | None) -> str:
    total = (summary or {}).get("total_parameters")
    if not isinstance(total, int):
        return "not on record"
    size = total * {"bfloat16": 2, "float32": 4}[recipe.model.precision]
    text = f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
    return f"{text} in {recipe.model.precision}, cache and activations apart"


def _results(evidence: Evidence) -> str:
    others = [
        f"Not counted here: {name} is of another model than the merged folder."
        for name in evidence.others
    ]
    if not evidence.results:
        return "\n\n".join([NO_EVALUATION, *others])
    parts = [measured_table(evidence.results), _protocols(evidence)]
    parts += [wording("spreads"), _coverage(evidence)]
    official = [result for result in evidence.results if result.comparable]
    if len(official) < len(evidence.results):
        parts.append(wording("not-cti-bench"))
    if official:
        size = _size(evidence.summary)
        parts += [
            "### Next to other results on CTI-Bench",
            comparators_table(evidence.recipe.name, size, official),
            wording("comparators"),
            "\n".join(f"- {line}" for line in against_baselines(official)),
        ]
    return "\n\n".join([*parts, *others])


def _protocols(evidence: Evidence) -> str:
    """Describe each protocol of the results in a line."""
    names = {result.protocol for result in evidence.results}
    lines = [
        f"- Protocol `{p.name}` {p.version} ({p.source}): instruct models zero-shot, base models "
        f"{p.base_shots}-shot with exemplars of the same file; temperature {p.temperature:g}, "
        f"top_p {p.top_p:g}, at most {p.max_tokens} tokens, {len(p.seeds)} trials from seed "
        f"{p.seeds[0]}."
        for p in PROTOCOLS.values()
        if p.name in names
    ]
    return "\n".join(lines)


def _coverage(evidence: Evidence) -> str:
    """Return whether the corpus was checked against the very files that were evaluated."""
    asked = {sha for result in evidence.results for sha in result.benchmark.sha256.values()}
    if evidence.certificate is None or not all(r.benchmark.sha256 for r in evidence.results):
        return "Whether the corpus was decontaminated against these items is not on record."
    checked = set(evidence.certificate.inputs.benchmark.values())
    if evidence.synthesized:
        checked &= set(evidence.synthesized.inputs["benchmark"].values())
    if asked <= checked:
        return "The corpus was decontaminated against these very benchmark files (by sha256)."
    return (
        "**The corpus was not decontaminated against these benchmark files**: their sha256 is "
        "not in the certificate. These scores may be inflated by overlap."
    )


def _training(evidence: Evidence) -> str:
    recipe, summary = evidence.recipe, evidence.summary
    settings = _settings(recipe, "model", "adapter", "training")
    settings["effective batch"] = _effective_batch(recipe, (summary or {}).get("world_size"))
    parts = [
        "Supervised fine-tuning of a LoRA adapter with TRL and PEFT, the loss on the answer only.",
        _table("setting", settings),
    ]
    if summary is None:
        return "\n\n".join([*parts, "Not trained yet: this run holds no adapter."])
    known = {key: summary[key] for key in _SUMMARY if summary.get(key) is not None}
    measured = {
        key.replace("_", " "): f"{value:,}" if isinstance(value, int) else _text(value)
        for key, value in known.items()
    }
    versions = {f"version of {k}": str(v) for k, v in summary.get("versions", {}).items()}
    parts += ["### The training run", _table("measure", measured | versions)]
    if evidence.loss_plot:
        parts.append(f"![Training and validation loss by optimiser step]({evidence.loss_plot})")
    return "\n\n".join(parts)


def _effective_batch(recipe: Recipe, world_size: int | None) -> str:
    training = recipe.training
    batch = training.per_device_batch_size * training.gradient_accumulation
    if world_size is None:
        return f"{batch} a process (batch × accumulation; the number of processes is not on record)"
    return f"{batch * world_size} (batch × accumulation × world size {world_size})"


def _data(recipe: Recipe, certificate: Certificate | None) -> str:
    cohort = _table("setting", _settings(recipe, "corpus", "contamination"))
    if certificate is None:
        return f"{cohort}\n\nNot built yet: this run holds no corpus certificate."
    counts = certificate.counts
    kept = {
        "records read": counts.records,
        **({"in the cohort's years": counts.cohort} if counts.cohort is not None else {}),
        "kept for training": counts.train,
        "kept for validation": counts.validation,
    }
    files = {
        **{f"feed `{k}`": f"`{v}`" for k, v in certificate.inputs.records.items()},
        **{f"benchmark `{k}`": f"`{v}`" for k, v in certificate.inputs.benchmark.items()},
        **{f"corpus `{k}`": f"`{v}`" for k, v in certificate.outputs.items()},
    }
    return "\n\n".join(
        [
            cohort,
            _numbers("stage", kept),
            "Dropped records by reason, each with its record in the corpus ledger:",
            _numbers("reason", counts.dropped),
            "### Decontamination certificate",
            _verdict(certificate),
            _rules(certificate),
            "A record that overlaps with several tasks counts in each of them.",
            _table("file", files, value="sha256"),
        ]
    )


def _synthesis(evidence: Evidence) -> dict[str, str]:
    """Write the section about synthetic pairs, where the recipe asks for some."""
    if evidence.recipe.synthesis is None:
        return {}
    title = "Synthetic questions and answers"
    done = evidence.synthesized
    if done is None:
        return {title: "Not made yet: this run holds no synthetic pairs."}
    counts = done.counts
    parts = [wording("synthesis"), synthesis_summary(done.model_dump())]
    for name, key in (("kind", "kinds"), ("rejected as", "rejected")):
        found = counts[key]
        if isinstance(found, dict) and found:
            rows = ((k, f"{v:,}") for k, v in found.items())
            parts.append(table((name, "pairs"), rows, right=(1,)))
    files = {f"pairs `{k}`": f"`{v}`" for k, v in done.outputs.items()}
    return {title: "\n\n".join([*parts, _table("file", files, value="sha256")])}


def _distillation(evidence: Evidence) -> dict[str, str]:
    """Write the section about the teacher, where the recipe names one."""
    if evidence.recipe.distillation is None:
        return {}
    done = evidence.distilled
    what = distillation_summary(done.model_dump(by_alias=True)) if done else "Not distilled yet."
    settings = _table("setting", _settings(evidence.recipe, "distillation"))
    return {"Distillation": f"{wording('distillation')}\n\n{what}\n\n{settings}"}


def _verdict(certificate: Certificate) -> str:
    tool, items = certificate.tool, certificate.benchmark_items
    checked = ", ".join(f"{task} ({n:,} items)" for task, n in items.items())
    if certificate.clean:
        outcome = "found no overlap left in the corpus by the rules below"
    else:
        outcome = "**found overlap left in the corpus: it is not clean**"
    return f"{tool['name']} {tool['version']} {outcome}. Checked against {checked}."


def _rules(certificate: Certificate) -> str:
    rows = []
    for rule, settings in certificate.rules.items():
        parameters = {k: v for k, v in settings.items() if k != "description"}
        removed = certificate.counts.contaminated.get(rule, {})
        rows.append(
            (
                rule,
                str(settings.get("description", "")),
                ", ".join(f"{k}={_text(v)}" for k, v in parameters.items()),
                ", ".join(f"{task} {n:,}" for task, n in removed.items()) or "0",
            )
        )
    return table(("rule", "what it compares", "parameters", "records removed"), rows)


def _merge(parity: Json | None) -> str:
    if parity is None:
        return "Not merged yet: this run holds no merged model."
    return (
        "The adapter was merged into the base model, and the logits were compared before and after "
        "each step:\n\n" + _table("measure", _measures(parity))
    )


def _measures(value: Json, path: str = "") -> dict[str, str]:
    """Flatten the numbers and truths of a nested object; its texts may name this machine."""
    found: dict[str, str] = {}
    for key, inner in value.items():
        name = f"{path}{key.replace('_', ' ')}"
        if isinstance(inner, dict):
            found |= _measures(inner, f"{name}, ")
        elif isinstance(inner, int | float):
            found[name] = _text(inner)
    return found


def _settings(recipe: Recipe, *sections: str) -> dict[str, str]:
    """List every key of these recipe sections as `section.key`, so that none is left out."""
    table = recipe.model_dump(include=set(sections), exclude_none=True)
    return {
        f"`{section}.{key}`": _text(value)
        for section in sections
        for key, value in table[section].items()
        if key != "base"
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(name: str, rows: Mapping[str, str], *, value: str = "value") -> str:
    return table((name, value), rows.items())


def _numbers(name: str, rows: Mapping[str, int]) -> str:
    return table((name, "records"), ((k, f"{v:,}") for k, v in rows.items()), right=(1,))
