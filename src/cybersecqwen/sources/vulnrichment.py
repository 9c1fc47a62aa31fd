"""CISA's Vulnrichment: records of the CVE List with a container of CISA's (CWE, CVSS, SSVC).

https://github.com/cisagov/vulnrichment
"""

from __future__ import annotations

from cybersecqwen.sources import cve_json
from cybersecqwen.sources.feed import Feed, fetch_file

# Its records are recognised as those of cvelist.
FEED = Feed(
    "vulnrichment",
    "CVE JSON 5 with CISA's labels",
    url="https://github.com/cisagov/vulnrichment/archive/refs/heads/develop.zip",
    read=cve_json.read,
    fetch=fetch_file,
)
