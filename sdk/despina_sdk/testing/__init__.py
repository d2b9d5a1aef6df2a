"""The author's kit: run a backend in a test, without a server."""

from despina_sdk.testing.fakes import FakeBatch, FakeRequest, run_batch

__all__ = ["FakeBatch", "FakeRequest", "run_batch"]
