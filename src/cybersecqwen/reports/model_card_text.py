"""The text of a model card that no measurement changes: use, limits, licences, citations.

>>> print(limitations(2021, 2021).splitlines()[0][:28])
- **One field.** The model w
>>> from cybersecqwen.config import load_recipe
>>> "apply_chat_template" in usage(load_recipe("smoke"))
True
"""

from __future__ import annotations

import json
import re
import shlex

from cybersecqwen.benchmark.protocol import Protocol, find_protocol
from cybersecqwen.config import Recipe
from cybersecqwen.corpus.dataset_card import CTI_BENCH
from cybersecqwen.prompts import CHAT_TEMPLATES, mcq_prompt, rcm_prompt

_DESCRIPTION = (
    "The upload form of Example Gallery 1.2 does not restrict file types, which lets a "
    "logged-in user store a PHP file and run it."
)

WHAT = """\
A LoRA fine-tune for two skills of defensive cyber threat intelligence (CTI): naming the weakness
(CWE) behind a vulnerability description, and answering CTI questions. CTI-Bench measures them as
CTI-RCM and CTI-MCQ."""

INTENDED_USE = """\
For security practitioners and researchers who keep a human in the loop:

- **CVE to CWE mapping**: propose the weakness behind a vulnerability description or an advisory.
- **CTI questions**: answer multiple-choice and short questions about attacks, weaknesses and
  controls.
- **Support for analysts** who triage vulnerabilities, order patches or write up threat activity.
- **Measurement**: a reference point for compact models on CTI-Bench, with a recipe to repeat.

### Downstream use

- A suggested CWE on each incoming CVE in a ticket queue of a security operations center.
- A first pass over a vulnerability feed before people review it.
- One component of an internal knowledge base or chat assistant for a security team.

### Out of scope

- **Offence.** No exploit code, weaponised proofs of concept, attacker tradecraft, or anything
  else that helps an attack along.
- **Decisions without a person.** What the model says is advice. It must not by itself trigger a
  remediation, a blocklist entry, an account lock or any step that is costly to undo.
- **Legal, medical or other regulated advice.**
- **General work**: chat, code, summaries, translation. General models do these better.
- **Unlawful use**, such as scanning without permission or access to data of others."""


def limitations(first_year: int, last_year: int) -> str:
    """List what a user must know before trusting an answer, for a cohort of these years."""
    years = str(first_year) if first_year == last_year else f"{first_year} to {last_year}"
    return f"""\
- **One field.** The model was tuned on vulnerability texts and is no general assistant.
- **One time.** Its training records are of {years}. Weaknesses that appeared or spread later,
  such as those of AI systems and of recent supply-chain attacks, are rare there, and the model
  will recognise them less often.
- **One language.** Training and evaluation are in English.
- **Labels are judgements.** NVD, CNAs and CISA often disagree about the CWE of one record, and
  a label is revised later. A mismatch with a label is not always a wrong answer, nor is a match
  always a right one.
- **Larger specialists exist.** Some map CVEs better, and so can a linear classifier trained on
  many more records. Compare on your own inputs before you choose.
- **No safety training.** There was supervised fine-tuning only, without reinforcement learning
  for safety, and the model does not withstand prompt injection.
- **A minimal chat template.** It renders user and assistant turns as in training. System prompts
  and thinking modes were never seen and may lower the quality of answers.

### Recommendations

- Have a qualified person review every answer before it has an effect.
- Treat the model as an assistant to expert judgement, most of all for weaknesses that are newer
  than its training records.
- Validate on your own advisories and your own taxonomy: a public benchmark is not your feed.
- Evaluate again at intervals as new CVEs arrive, and give the model retrieval over current data
  where time matters.
- Where it reads text from outside (feeds, web pages), separate data from instructions and limit
  what its output can set off."""


_DATA_LICENCES = """\
Training records come from public sources under their own terms: NVD (public domain), the CVE
List (CVE terms of use), CISA Vulnrichment (CC0), MITRE CWE (CWE terms of use). CTI-Bench is
CC BY-NC-SA 4.0; it serves to measure and to decontaminate, and is neither trained on nor
shipped."""

SYNTHESIS = """\
Beside the corpus the model was trained on questions of a defensive analyst with their answers. Each
pair carries the text that it rests on, and was checked: its answer is supported by that text and no
wrong option is, it repeats no other, helps no attack, and overlaps with no benchmark item, neither
in its words nor in the fact that it states."""

DISTILLATION = """\
The answers to learn were written by another model, the teacher, which was shown each example's
prompt and never its label. An answer was kept only where its last line is the gold label alone,
and where it is whole, argues, fits the length limit and overlaps with no benchmark item."""

DRAFT = """\
> **Draft.** This run is not finished: it has no evaluation of the model, and what is said about
> its use below is not backed by a measurement yet.

"""

_GEMMA = """\
The weights derive from Gemma. Use and distribution follow the
[Gemma Terms of Use](https://ai.google.dev/gemma/terms) and the prohibited use policy they
name; whoever passes the weights on passes these terms on with them."""


def licence(name: str) -> str:
    """Say under which terms the weights and the data stand, for the licence `name` of a recipe."""
    weights = _GEMMA if name == "gemma" else f"The weights are released under `{name}`."
    return f"{weights}\n\n{_DATA_LICENCES}"


CITATIONS = f"""\
The benchmark, CTI-Bench:

{CTI_BENCH}

The evaluation protocol follows appendix B.3-B.4 of the Foundation-Sec-8B report:

```bibtex
@misc{{foundationsec8b,
  title  = {{{{Llama-3.1-FoundationAI-SecurityLLM-Base-8B}} Technical Report}},
  author = {{Kassianik, Paul and Saglam, Baturay and Chen, Alexander and others}},
  year   = {{2025}},
  eprint = {{2504.21039}},
  archivePrefix = {{arXiv}}
}}
```"""

SMOKE = """\
> **A smoke test, not a usable model.** The network began with random weights and is tiny: it
> knows nothing about security. The run shows that every stage works, and its scores say nothing
> more. The sections on use and limits describe what a full run of the same stages is for."""

SPREADS = """\
Strict accuracy is correct answers over all items; an answer that cannot be parsed is wrong. The
± is the standard deviation between trials: the noise of sampling answers to the same items. The
95 % interval (Wilson) is the one over items, and the one to use when models are compared."""

NOT_CTI_BENCH = """\
Scores marked as not CTI-Bench come from other items, such as the sample that ships with the
tool. They do not compare with any published number, so none stands beside them."""

COMPARATORS = """\
Published rows are quoted from the source they name and were not measured here. Where the
protocols differ, so do prompt, shots and answer extraction, and the numbers do not compare
directly. "Closed" book means that nothing was looked up to answer; "open", that passages were.
The embedded model and the baselines are no language models: what they score is what a language
model has to beat."""


def usage(recipe: Recipe) -> str:
    """Show how to query the model in process and over HTTP, as its evaluation does."""
    protocol = find_protocol(recipe.evaluation.protocol)
    question = mcq_prompt("{question}", ["{a}", "{b}", "{c}", "{d}"])
    return f"""\
The prompt is CTI-Bench's own, to the character; the answer ends with the CWE id.

```python
{_snippet(recipe, protocol)}
```

A multiple-choice question is asked like this, and the last line of the answer is the letter:

```text
{question}
```

The folder's `chat_template.jinja` is the one of the training, in full:

```jinja
{CHAT_TEMPLATES[recipe.model.chat_template]}
```

### Serving

Any OpenAI-compatible server takes the folder; with vLLM:

```bash
vllm serve ./{recipe.name} --served-model-name {recipe.name} --dtype {recipe.model.precision}

curl http://localhost:8000/v1/chat/completions \\
  -H 'Content-Type: application/json' \\
  -d {shlex.quote(_body(recipe, protocol))}
```"""


def _snippet(recipe: Recipe, protocol: Protocol) -> str:
    sampling = (
        f"do_sample=True, temperature={protocol.temperature}, top_p={protocol.top_p}"
        if protocol.temperature
        else "do_sample=False"
    )
    return f"""\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "{recipe.name}"  # where this card lies, or its id on the Hub
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")  # device_map="auto" for a GPU

description = "{_DESCRIPTION}"
prompt = (
{_literal(rcm_prompt("{description}"))}
)
inputs = tokenizer.apply_chat_template(
    [{{"role": "user", "content": prompt}}],
    add_generation_prompt=True,
    return_dict=True,
    return_tensors="pt",
).to(model.device)
output = model.generate(**inputs, max_new_tokens={protocol.max_tokens}, {sampling})
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))"""


def _literal(prompt: str) -> str:
    """Write the prompt as Python source, a sentence a line."""
    sentences = re.split(r"(?<=\.)(?= )", prompt)
    return "\n".join(f"    {'f' * ('{' in s)}{json.dumps(s)}" for s in sentences)


def _body(recipe: Recipe, protocol: Protocol) -> str:
    body = {
        "model": recipe.name,
        "messages": [{"role": "user", "content": rcm_prompt(_DESCRIPTION)}],
        "temperature": protocol.temperature,
        "top_p": protocol.top_p,
        "max_tokens": protocol.max_tokens,
    }
    return json.dumps(body)
