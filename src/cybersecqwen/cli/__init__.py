"""The command line: one short function per command, the work elsewhere.

stdout carries data, stderr progress. An error that the user can act on is one line and
exit status 1. A new command is a function in one of these modules and a name below.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings

import click

from cybersecqwen import __version__
from cybersecqwen.artifacts import shipped_recipes
from cybersecqwen.cli.group import CleanFormatter, Group
from cybersecqwen.cli.streams import Repeats
from cybersecqwen.errors import keep_secret

_HELP = f"""Turn public vulnerability data into a compact, measured CTI language model.

RECIPE is a TOML file, or the name of one that ships: {", ".join(sorted(shipped_recipes()))}.
MODEL is embedded, smollm2, a model folder, a GGUF file, recordings, the URL of an
OpenAI-compatible server, or NAME@URL.
"""


@click.group(
    cls=Group,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__, prog_name="cybersecqwen")
@click.option("-q", "--quiet", is_flag=True, help="Print results and problems only.")
@click.option("-v", "--verbose", is_flag=True, help="Say more about what is being done.")
@click.pass_context
def main(ctx: click.Context, quiet: bool, verbose: bool) -> None:
    """Set up what all commands share."""
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other")
    for name in ("OPENAI_API_KEY", "NVD_API_KEY", "HF_TOKEN"):
        keep_secret(os.environ.get(name, "").strip())
    repeats, handler = Repeats(), logging.StreamHandler()
    handler.addFilter(repeats)
    ctx.call_on_close(repeats.tell)
    handler.setFormatter(CleanFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    logging.getLogger("cybersecqwen").setLevel(level)
    # The hub's client tells of each of its retries; the error at the end says it once.
    logging.getLogger("huggingface_hub").setLevel(logging.INFO if verbose else logging.ERROR)
    # On some CPUs it warns of another package's kernel whenever it is imported, used or not.
    logging.getLogger("bitsandbytes").setLevel(logging.INFO if verbose else logging.ERROR)
    # What the libraries plan for their next major is nothing a user of this command can act on.
    warnings.filterwarnings("ignore", category=FutureWarning)
    # NumPy's products here are small: more threads wait for each other, and work no faster.
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if quiet or not sys.stderr.isatty():  # libraries draw their bars in a pipe too
        os.environ["TQDM_DISABLE"] = "1"
    if os.environ.get("NO_COLOR"):
        ctx.color = False


# Where each command is, as module.function: it is imported when it is needed.
_SECTIONS = {
    "Analyst": (
        "lookup.lookup",
        "classify.classify",
        "ask.ask",
        "drift.drift",
        "knowledge.knowledge",
    ),
    "Workplace": (
        "service.serve",
        "accounts.accounts",
        "workplace.workplace",
        "workplace.audit_trail",
    ),
    "Data": (
        "data.fetch",
        "records.records",
        "audit.audit",
        "audit.certificate",
        "dataset.dataset",
    ),
    "Model": (
        "stages.run",
        "stages.corpus",
        "stages.synthesis",
        "stages.distill",
        "stages.train",
        "stages.merge",
        "stages.card",
        "stages.series",
        "data.embedded",
    ),
    "Evaluation": (
        "evaluate.evaluate",
        "scoring.score",
        "scoring.sensitivity",
        "scoring.compare",
        "scoring.overlap",
        "scoring.protocols",
        "evaluate.probe",
        "safety.safety",
    ),
    "Ecosystem": (
        "mcp.mcp",
        "export.export",
        "serving.serve_model",
        "serving.parity",
        "hub.push",
        "hub.pull",
        "doctor.doctor",
    ),
}
for _title, _commands in _SECTIONS.items():
    main.add_section(_title, _commands)
