"""Pages of the site that mkdocstrings makes of docstrings: what each of them is to show."""

from __future__ import annotations

BACKEND = ("Backend", "Model", "Instance", "Batch", "Request", "DetachedRequest")
VALUES = ("ModelSpec", "Placement", "Signature", "Capability")
TENSORS = ("TensorSpec", "NUMPY_DTYPES", "Array", "ArrayLike", "SupportsDLPack")
METRICS = ("Metrics", "Counter", "Gauge", "Histogram", "LocalMetrics", "Series")


def sdk_page() -> str:
    """The package `despina_sdk`."""
    return _page(
        "The SDK: despina_sdk",
        "What a backend in Python is written against.",
        "despina_sdk.functional.batch_function",
        *(f"despina_sdk.backend.{name}" for name in (*BACKEND, *VALUES)),
        *(f"despina_sdk.tensors.{name}" for name in TENSORS),
        "despina_sdk.errors.BackendError",
        "despina_sdk.errors.Code",
        *(f"despina_sdk.metrics.{name}" for name in METRICS),
        "despina_sdk.native.NativeBackend",
        "despina_sdk.hooks",
    )


def testing_page() -> str:
    """The kit that backends are tested with."""
    return _page(
        "The kit: despina_sdk.testing",
        "What a backend is tested with; [Testing a backend](../testing.md) shows its use.",
        "despina_sdk.testing.fakes.run_batch",
        "despina_sdk.testing.fakes.FakeRequest",
        "despina_sdk.testing.fakes.FakeBatch",
        "despina_sdk.testing.answers.RefusedError",
        "despina_sdk.testing.answers.Reason",
        "despina_sdk.testing.conformance.BackendConformance",
        "despina_sdk.testing.native_conformance.NativeBackendConformance",
        "despina_sdk.testing.plugin.LiveServer",
        "despina_sdk.testing.plugin.despina_server",
    )


def server_page() -> str:
    """The server in process."""
    return _page(
        "The server in process: despina.Server",
        "A server inside a Python program, without front ends: `from despina import Server`.",
        "despina.server.Server",
        "despina.lifecycle.state.ModelStatus",
        "despina.errors.DespinaError",
        "despina.errors.ConfigError",
        "despina.errors.Diagnostic",
    )


def _page(title: str, text: str, *names: str) -> str:
    return "\n\n".join([f"# {title}", text, *(f"::: {name}" for name in names)]) + "\n"
