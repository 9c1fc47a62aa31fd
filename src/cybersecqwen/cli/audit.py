"""Whether a training file is clean of a benchmark, and the certificate that says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cybersecqwen.cli.cluster import cluster_options, take_cluster
from cybersecqwen.cli.group import (
    FILE,
    RULE,
    Group,
    benchmark_option,
    echo,
    help_text,
    json_option,
    say,
)

if TYPE_CHECKING:
    from cybersecqwen.files import Json

# The exit status by verdict; 1 is an error, 2 a wrong use.
_STATUS = {"clean": 0, "contaminated": 3, "not proven clean": 4}
_DOES_NOT_HOLD = 3  # of a certificate


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
@click.option(
    "--allow-unreadable", is_flag=True, help="List rows and files that are wrong, and go on."
)
@cluster_options
@json_option
def audit(
    train: Path,
    benchmark: Path,
    out: Path | None,
    rules: tuple[str, ...],
    as_json: bool,
    allow_missing: bool,
    allow_unreadable: bool,
    **limits: Any,
) -> None:
    """Audit a training file."""
    ray = take_cluster(limits)
    from cybersecqwen.benchmark.tasks import read_benchmark
    from cybersecqwen.contamination.audit import checked_rules, checked_settings, run_audit
    from cybersecqwen.contamination.certificate import certify
    from cybersecqwen.files import exclusive, write_json
    from cybersecqwen.reports.audit_report import audit_summary, audit_table, write_audit

    items = read_benchmark(benchmark, complete=not allow_missing)
    settings, rules = checked_settings(limits), checked_rules(rules)
    with ray as cluster:
        result = run_audit(
            train,
            items,
            settings,
            rules=rules,
            allow_unreadable=allow_unreadable,
            cluster=cluster,
        )
    if out:
        with exclusive(out):
            written = write_audit(result, items, out, train=train.name)
            certificate = certify(
                result,
                train=train,
                benchmark=items,
                settings=settings,
                rules=rules,
                outputs=written,
            )
            write_json(out / "certificate.json", certificate)
        say(f"{out}: evidence, page and certificate written", err=True)
    echo(audit_summary(result), audit_table(result), as_json=as_json)
    click.get_current_context().exit(_STATUS[result.verdict])


@click.group(cls=Group)
def certificate() -> None:
    """Verify or sign the certificate of an audit or a corpus."""


@certificate.command("verify")
@click.argument("certificate", type=FILE)
@click.option("--train", type=FILE, help="What was audited; a corpus lies beside its certificate.")
@benchmark_option
@click.option("--signers", type=FILE, help="Allowed signers, as OpenSSH's; checks the signature.")
@click.option("--identity", help="Who of them must have signed.")
@json_option
def verify(
    certificate: Path,
    train: Path | None,
    benchmark: Path,
    *,
    signers: Path | None,
    identity: str | None,
    as_json: bool,
) -> None:
    """Verify CERTIFICATE by repeating the audit that it states.

    The files are hashed, the audit is run again, and both are compared with the certificate.

    The exit status is 0 when it holds, 3 when it does not. A certificate that holds need not be
    one of a clean file: what it says is printed.
    """
    from cybersecqwen.benchmark.tasks import read_benchmark
    from cybersecqwen.contamination.certificate import read_certificate, recheck, unchecked
    from cybersecqwen.contamination.signature import SignatureError, verify_signature

    if (signers is None) != (identity is None):
        raise click.UsageError("--signers and --identity go together")
    items = read_benchmark(benchmark)
    differences = recheck(certificate, train=train, benchmark=items)
    if signers and identity:
        try:
            verify_signature(certificate, signers, identity)
        except SignatureError as error:
            differences.append(f"signature: {error}")
    stated = read_certificate(certificate)
    result = {
        "holds": not differences,
        "clean": stated["clean"],
        "rules": stated["rules"],
        "signed_by": identity if not differences else None,
        "differences": differences,
        "not_checked": unchecked(certificate),
    }
    echo(result, _text(result), as_json=as_json)
    if differences:
        click.get_current_context().exit(_DOES_NOT_HOLD)


@certificate.command("sign")
@click.argument("certificate", type=FILE)
@click.option("--key", type=FILE, required=True, help="Private SSH key.")
def sign(certificate: Path, key: Path) -> None:
    """Sign a certificate with an SSH key.

    Anyone who has OpenSSH can verify it: ssh-keygen -Y verify -n cybersecqwen.
    """
    from cybersecqwen.contamination.certificate import read_certificate
    from cybersecqwen.contamination.signature import sign as sign_file

    read_certificate(certificate)
    say(sign_file(certificate, key))


def _text(result: Json) -> str:
    if result["differences"]:
        return "\n".join(["the certificate does not hold", *result["differences"]])
    signed = f", signed by {result['signed_by']}" if result["signed_by"] else ""
    said = "clean" if result["clean"] else "not clean"
    rules = (f"  {name}{_limits(rule)}" for name, rule in result["rules"].items())
    rest = [f"not checked: {', '.join(result['not_checked'])}"] if result["not_checked"] else []
    return "\n".join([f"the certificate holds{signed}: {said}, by the rules", *rules, *rest])


def _limits(rule: Json) -> str:
    limits = [f"{name} {value}" for name, value in rule.items() if name != "description"]
    return f": {', '.join(limits)}" if limits else ""
