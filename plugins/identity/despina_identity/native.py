"""The backend of ``src/identity.cc``."""

from despina_sdk.native import NativeBackend

IDENTITY = NativeBackend(package="despina_identity", library="libdespina_identity.so")
