"""A client of the whole application, on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from cybersecqwen.service.app import create_app
from cybersecqwen.service.settings import ServiceSettings


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = create_app(ServiceSettings(folder=tmp_path_factory.mktemp("workplace")))
    with TestClient(app, base_url="http://127.0.0.1:8080") as client:
        yield client
