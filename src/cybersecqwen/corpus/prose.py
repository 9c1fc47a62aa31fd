"""The parts of a dataset card that no count changes: use, limits, licences, citations.

>>> LICENCE.split(":")[0]
'The texts and labels stand under the terms of their sources'
"""

from __future__ import annotations

CTI_BENCH = """\
```bibtex
@misc{ctibench,
  title  = {{CTIBench}: A Benchmark for Evaluating {LLMs} in Cyber Threat Intelligence},
  author = {Alam, Md Tanvirul and Bhusal, Dipkamal and Nguyen, Le and Rastogi, Nidhi},
  year   = {2024},
  eprint = {2406.07599},
  archivePrefix = {arXiv},
  url    = {https://github.com/xashru/cti-bench}
}
```"""

USES = """\
To fine-tune a language model that proposes a weakness for a vulnerability description, under
review by a qualified person. Not to judge a model by: the validation part is drawn from the same
records and serves to watch the training. Not for anything that helps an attack along."""

SAMPLE = """

> **Invented records.** They are the sample that ships with the tool, to see the chain work: no
> product and no CVE in them is real."""

CONSIDERATIONS = """\
- **Labels are judgements.** NVD, CNAs and CISA often disagree about the CWE of one record, and
  revise it later. `label_source` says whose label an example has.
- **Classes are uneven.** A few weaknesses make up most of the examples, and most weaknesses have
  a handful or none.
- **One time, one language.** Weaknesses that spread after the cohort's years are rare, and all
  texts are English.
- **Discouraged labels.** MITRE advises against mapping to some entries that sources use, such as
  CWE-20 and CWE-119. Where the recipe keeps them, a model learns to give them.
- **Rationales quote.** They name words of the description that speak for the class, and say
  nothing that is not in it or in the catalogue: they are no expert's analysis."""

LICENCE = """\
The texts and labels stand under the terms of their sources: CVE List
([CVE terms of use](https://www.cve.org/Legal/TermsOfUse)), NVD (public domain), CISA
Vulnrichment (CC0), MITRE CWE ([terms of use](https://cwe.mitre.org/about/termsofuse.html)). The
instruction in each prompt is CTI-Bench's; none of its items is here."""

CITATION = f"""\
Cite the sources: the [CVE Program](https://www.cve.org), the
[National Vulnerability Database](https://nvd.nist.gov), [CISA
Vulnrichment](https://github.com/cisagov/vulnrichment) and [CWE](https://cwe.mitre.org). The
instruction is from:

{CTI_BENCH}"""
