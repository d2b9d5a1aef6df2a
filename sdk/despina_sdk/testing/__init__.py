"""The author's kit: run a backend in a test, without a server.

``despina_sdk.testing.conformance`` holds the tests that every backend passes,
``despina_sdk.testing.native_conformance`` those for shared libraries, and
``despina_sdk.testing.plugin`` fixtures with a live server; all need pytest.
"""

from despina_sdk.testing.answers import Reason, RefusedError
from despina_sdk.testing.fakes import FakeBatch, FakeRequest, run_batch

__all__ = ["FakeBatch", "FakeRequest", "Reason", "RefusedError", "run_batch"]
