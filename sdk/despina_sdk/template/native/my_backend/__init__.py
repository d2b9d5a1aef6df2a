"""The backend of ``src/my_backend.cc``."""

from despina_sdk.native import NativeBackend

my_backend = NativeBackend(package="my_backend", library="libdespina_my_backend.so")
