"""Where the full knowledge base lies that was installed, with its texts; else what ships.

    index = open_knowledge()
    index.has_texts           # whether an answer can quote its passages

`cybersecqwen knowledge install` makes it from upstream's files.
"""

from __future__ import annotations

import os
from pathlib import Path

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_json

CURRENT = "current.json"  # names the index in its folder
_TIP = "make it again with: cybersecqwen knowledge install"


def knowledge_folder() -> Path:
    """Give the folder of the installed index: $CYBERSECQWEN_KNOWLEDGE, or the platform's own."""
    import platformdirs

    chosen = os.environ.get("CYBERSECQWEN_KNOWLEDGE")
    return Path(chosen) if chosen else platformdirs.user_data_path("cybersecqwen") / "knowledge"


def installed(folder: Path | None = None) -> Path | None:
    """Give the path of the index that was installed with its texts, or None.

    Raises InputError when the file that names it is damaged.
    """
    current = (folder or knowledge_folder()) / CURRENT
    if not current.is_file():
        return None
    try:
        row = read_json(current)
    except InputError as error:
        raise InputError(error.what, where=error.where, tip=_TIP) from error
    name = row.get("index") if isinstance(row, dict) else None
    if not isinstance(name, str) or Path(name).name != name:
        raise InputError("names no index", where=current, tip=_TIP)
    return current.parent / name


def open_knowledge(folder: Path | None = None) -> KnowledgeIndex:
    """Load the installed index, or where there is none the one that ships.

    Raises InputError when it is missing or damaged, or of another version's format.
    """
    path = installed(folder)
    if path is None:
        return KnowledgeIndex.load()
    try:
        return KnowledgeIndex.load(path)
    except InputError as error:  # what was installed is not mended by installing the package
        raise InputError(error.what, where=error.where, tip=_TIP) from error
