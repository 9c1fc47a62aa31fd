"""The notebooks run from top to bottom and print what is stored in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


def texts(notebook: Any) -> list[str]:
    """List what each code cell prints and returns; a picture or a progress bar does not count.

    What a cell prints comes in as many pieces as the kernel's timing makes of it.
    """
    return [
        "".join(
            o.get("text", "") or o.get("data", {}).get("text/plain", "")
            for o in cell.outputs
            if o.get("name") != "stderr"
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def run(path: Path, folder: Path) -> Any:
    """Run a notebook in a folder and return it with its outputs."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    return nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_shows(path: Path, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    assert len(EXAMPLES) == 2
    stored = texts(nbformat.read(path, as_version=4))
    assert any(stored)
    assert texts(run(path, tmp_path)) == stored


if __name__ == "__main__":  # python tests/test_examples.py: run them and store what they print
    import nbformat

    for example in EXAMPLES:
        nbformat.write(run(example, example.parent), example)
