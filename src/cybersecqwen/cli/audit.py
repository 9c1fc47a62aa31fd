"""`cybersecqwen audit`: whether a training file is clean of a benchmark."""

from __future__ import annotations

from pathlib import Path

import click

from cybersecqwen.cli.group import (
    FILE,
    RULE,
    benchmark_folder,
    benchmark_option,
    echo,
    help_text,
    json_option,
)

_NOT_CLEAN = 3  # exit status; 1 is an error, 2 a wrong use


@click.command(help=help_text("audit"))
@click.argument("train", type=FILE)
@benchmark_option
@click.option("--out", type=FILE, help="Folder for the evidence, the page and the certificate.")
@click.option("--rule", "rules", type=RULE, multiple=True, help="Only this rule; may be repeated.")
@click.option("--ngram", type=click.IntRange(min=2), help="Words of an n-gram.  [default: 13]")
@click.option("--containment", type=float, help="Share of n-grams that counts.  [default: 0.5]")
@click.option("--similarity", type=float, help="That of a near-duplicate.  [default: 0.8]")
@click.option("--similarity-with-answer", type=float, help="That of answer-aware.  [default: 0.7]")
@click.option("--allow-missing", is_flag=True, help="Accept a benchmark without all its tasks.")
@click.option("--allow-unreadable", is_flag=True, help="List rows without text, and go on.")
@json_option
def audit(
    train: Path,
    benchmark: Path | None,
    out: Path | None,
    rules: tuple[str, ...],
    as_json: bool,
    allow_missing: bool,
    allow_unreadable: bool,
    **limits: float | None,
) -> None:
    """Audit a training file."""
    from cybersecqwen.benchmark.tasks import read_benchmark
    from cybersecqwen.contamination.audit import checked_rules, checked_settings, run_audit
    from cybersecqwen.contamination.certificate import certify
    from cybersecqwen.files import write_json
    from cybersecqwen.reports.audit_report import audit_summary, audit_table, write_audit

    items = read_benchmark(benchmark_folder(benchmark), complete=not allow_missing)
    settings, rules = checked_settings(limits), checked_rules(rules)
    result = run_audit(train, items, settings, rules=rules, allow_unreadable=allow_unreadable)
    if out:
        written = write_audit(result, items, out, train=train.name)
        certificate = certify(
            result, train=train, benchmark=items, settings=settings, rules=rules, outputs=written
        )
        write_json(out / "certificate.json", certificate)
        click.echo(f"{out}: evidence, page and certificate written", err=True)
    echo(audit_summary(result), audit_table(result), as_json=as_json)
    if not result.clean:
        click.get_current_context().exit(_NOT_CLEAN)
