r"""The product that a description says is affected.

>>> affected_product("SQL injection in the get_user() function of Foo Server before 2.4.1 allows …")
'Foo Server'
>>> affected_product("Windows Print Spooler Remote Code Execution Vulnerability")
'Windows Print Spooler'
"""

from __future__ import annotations

import re

_WORD = r"[A-Z][\w.+/'&()-]*"
_LINK = r"(?:for|of|and|de|by|the|&|-|–|[\d.]{1,4}[a-z]?(?=\s[A-Z]))"
_NAME = rf"(?P<name>{_WORD}(?: (?:{_WORD}|{_LINK}(?=\s[A-Z\d])))*)"
_LOWER = r"(?P<lower>[a-z][\w.+/-]{2,40})"
_BEHIND = (
    r"(?=[,;]?\s+(?:\(|(?:core |firmware |software |plugin |theme |devices? |versions? ?)*"
    r"(?:versions?\b|v?\d|before|prior|through|up to|and (?:earlier|prior|below)|all|allows?|"
    r"could|may|was|is|are|has|have|had|does|do|contains?|fails?|suffers?|when|where|which|that|"
    r"via|due|on|in|with|uses?|lets?|enables?|could|leads?|makes?|mishandles?|lacks?|permits?|"
    r"plugin|theme|module|extension|application|app|library|package|component)\b)|[,.;:]|\s*$)"
)
_OPENING = r"(?:An? |The |All |Some |Multiple |Certain |In |On |For |Within )*"
_PATTERNS = [
    re.compile(pattern)
    for pattern in (
        # Vulnerability in the Oracle X product of Oracle Y
        r"[Vv]ulnerabilit\w+ in the (?P<name>Oracle [\w.+/ -]+?) (?:product|component)",
        # X Remote Code Execution Vulnerability
        r"^(?P<name>[A-Z][\w.+/&() -]+?) (?:Remote Code Execution|Elevation of Privilege|"
        r"Information Disclosure|Denial of Service|Spoofing|Security Feature Bypass|Tampering|"
        r"Memory Corruption|Cross-site Scripting) Vulnerability",
        # was found in X 1.0; has been discovered in X
        rf"(?:found|discovered|identified|exists?|detected|reported) in (?:the )?{_NAME}",
        # The X plugin for WordPress
        rf"(?P<name>[A-Z0-9][^.;:]{{2,80}}? (?:plugin|theme|extension)) for {_WORD}",
        rf"\b(?:implementation|contract|add-on|module|driver|library) (?:for|of) (?:the )?{_NAME}",
        rf"(?:^|\b(?:[Ii]n|of|within|affects?|affecting) )(?:the )?{_NAME}"
        rf"(?=,? (?:versions? |v)?(?:before|prior to|through|up to|\d))",
        rf"^{_OPENING}{_NAME}{_BEHIND}",
        rf"\b(?:in|of|within|affects?|affecting|on) (?:the )?{_NAME}{_BEHIND}",
        rf"\b(?:in|of|within) {_LOWER}(?=,? (?:versions? |v)?(?:before|prior to|through|up to|\d))",
        rf"^{_LOWER}(?=,? (?:versions? |v)?(?:before|prior to|through|up to|is\b|\d))",
    )
]
_NO_PRODUCT = re.compile(
    r"^(?:An?|The|This|These|It|There|If|When|While|By|Due|Improper|Incorrect|Insufficient|Missing|"
    r"Buffer|Heap|Stack|Integer|Use|Cross|SQL|CSRF|XSS|Directory|Path|Absolute|Relative|Multiple|"
    r"Uncontrolled|Unrestricted|Unspecified|Out|Double|Race|Format|Off|Remote|Local|Open|Server|"
    r"Deserialization|Command|OS|Code|Memory|Type|Null|NULL|Cleartext|Weak|Inadequate|Unquoted|"
    r"Untrusted|Session|Information|Authentication|Authorization|Privilege|Denial|Affected|"
    r"Exposure|Stored|Reflected|DOM|Vulnerability|Versions?|Issue|Bypass|Arbitrary|Insecure|"
    r"Incomplete|External|Observable|Access|Error|Function|Product|Successful|Certain|Some|All|"
    r"XML|HTTP|TLS|SSL|PHP remote|Eval|CRLF|Argument|Inclusion|Execution|Failure|Lack|Possible|"
    r"Potential|Possibly|Exploitation|Attackers?|Users?|In|On|For|Within|Files?|Web|Improperly|"
    r"Specifically|Permissions?|Hard|Hardcoded|Static|Default|Dell|Loop|Infinite|Divide|Stack-based)"
    r"(?:[ -](?:of|in|to|site|free|based|bounds|injection|traversal|overflow|injections?|"
    r"scripting|vulnerabilit\w+|errors?|upload|exists?|was|is|has)\b.*)?$"
)


def affected_product(text: str) -> str:
    """Return the product that a description names as affected, "" where none is found."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(text[:1500]):
            name = next(filter(None, match.groups()), "")
            name = re.sub(rf"^{_OPENING}", "", name).strip(" .,;:-(")
            if name.count("(") != name.count(")"):
                name = name.rpartition("(")[0].strip()
            if len(name) > 1 and not _NO_PRODUCT.match(name):
                return name
    return ""
