"""The backends of ``src/``."""

from despina_sdk.native import NativeBackend

IDENTITY = NativeBackend(package="despina_identity", library="libdespina_identity.so")
REPEAT = NativeBackend(package="despina_identity", library="libdespina_repeat.so")
SEQUENCE = NativeBackend(package="despina_identity", library="libdespina_sequence.so")
