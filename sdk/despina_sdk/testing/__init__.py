"""The author's kit: run a backend in a test, without a server.

``despina_sdk.testing.conformance`` holds the tests that every backend passes, and
``despina_sdk.testing.plugin`` fixtures with a live server; both need pytest.
"""

from despina_sdk.testing.fakes import FakeBatch, FakeRequest, Reason, RefusedError, run_batch

__all__ = ["FakeBatch", "FakeRequest", "Reason", "RefusedError", "run_batch"]
