"""CyberSecQwen: public vulnerability data to a compact, measured CTI language model.

>>> import cybersecqwen as cq
>>> cq.classify("SQL injection in login.php lets attackers read data.").candidates[0].cwe
'CWE-89'
>>> cq.ask("Which tactic does T1059.001 serve?").evidence[0].name
'PowerShell'

Importing this loads nothing else: each name comes with what it needs when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cybersecqwen.api import (
        ask,
        audit,
        classify,
        evaluate,
        load_recipe,
        lookup,
        run,
    )
    from cybersecqwen.errors import CyberSecQwenError

__version__ = "0.1.0"

__all__ = [
    "CyberSecQwenError",
    "__version__",
    "ask",
    "audit",
    "classify",
    "evaluate",
    "load_recipe",
    "lookup",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cybersecqwen import api, errors

    return getattr(errors if name == "CyberSecQwenError" else api, name)


def __dir__() -> list[str]:
    return list(__all__)
