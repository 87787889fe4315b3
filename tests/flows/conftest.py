"""One Prefect test server for all flow tests: it takes seconds to start."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def prefect_server():
    """A temporary Prefect API with an empty database."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=300):
        yield
