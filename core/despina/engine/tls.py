"""TLS of a front end: its files are read, and checked, when they are named."""

from __future__ import annotations

from despina import _engine
from despina.engine.native import translated


class TlsContext:
    """Certificate and key of a server, and whose certificates clients need.

    Each method takes a file in PEM form, and raises ``DespinaError`` (INVALID_ARGUMENT) that says
    what is wrong with it, without its name.
    """

    def __init__(self) -> None:
        """Has nothing yet."""
        self.handle = _engine.TlsContext()

    def use_certificate(self, file: str) -> None:
        """The server's certificate, with those that lead to its authority behind it."""
        with translated():
            self.handle.use_certificate(file)

    def use_key(self, file: str) -> None:
        """The key of the certificate, which is named before."""
        with translated():
            self.handle.use_key(file)

    def require_client_certificates(self, file: str) -> None:
        """Certificates of authorities: clients need a certificate of one of them."""
        with translated():
            self.handle.require_client_certificates(file)
