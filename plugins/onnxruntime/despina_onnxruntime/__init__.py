"""The backend ``onnxruntime``: serves ONNX models."""

from despina_onnxruntime.backend import OnnxRuntimeBackend

__all__ = ["OnnxRuntimeBackend"]
