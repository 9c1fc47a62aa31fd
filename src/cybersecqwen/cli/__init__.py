"""The command line: one short function per command, the work elsewhere.

stdout carries data, stderr progress. An error that the user can act on is one line and
exit status 1. A new command is a function in one of these modules and a name below.
"""

from __future__ import annotations

import logging
import warnings

import click

from cybersecqwen import __version__
from cybersecqwen.cli import (
    ask,
    audit,
    certificate,
    classify,
    data,
    dataset,
    evaluate,
    export,
    knowledge,
    probe,
    records,
    scoring,
    series,
    stages,
)
from cybersecqwen.cli.group import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cybersecqwen")
def main() -> None:
    """Turn public vulnerability data into a compact, measured CTI language model.

    RECIPE is a TOML file, or the name of one that ships: smoke, smoke-2021,
    cybersecqwen-4b, gemma4defense-2b.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("cybersecqwen").setLevel(logging.INFO)
    # The hub's client tells of each of its retries; the error at the end says it once.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    # What the libraries plan for their next major is nothing a user of this command can act on.
    warnings.filterwarnings("ignore", category=FutureWarning)


for _command in (
    classify.classify,
    ask.ask,
    knowledge.knowledge,
    stages.run,
    stages.corpus,
    stages.synthesis,
    stages.distill,
    stages.train,
    stages.merge,
    evaluate.evaluate,
    stages.card,
    series.series,
    probe.probe,
    scoring.score,
    scoring.sensitivity,
    scoring.compare,
    scoring.overlap,
    audit.audit,
    certificate.certificate,
    scoring.protocols,
    dataset.dataset,
    export.export,
    data.fetch,
    records.records,
    data.embedded,
):
    main.add_command(_command)
