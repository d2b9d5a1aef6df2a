"""Backends in shared libraries: what their entry points name."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class NativeBackend:
    """A backend in a shared library that lies in a package of its distribution.

    An entry point of the group ``despina.backends`` names such an object where it would otherwise
    name a class::

        TWICE = NativeBackend(package="my_plugin", library="libdespina_twice.so")

    Attributes:
        package: the package, by its import name.
        library: the file's name in it.
        uses: as ``Backend.uses``.
    """

    package: str
    library: str
    uses: frozenset[str] = frozenset()

    def path(self) -> Path:
        """Where the library is: of an editable installation it may not lie beside the sources.

        Raises:
            FileNotFoundError: nowhere in the package; the text names the folders.
        """
        spec = importlib.util.find_spec(self.package)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        for folder in folders:
            path = Path(folder) / self.library
            if path.is_file():
                return path
        where = ", ".join(f"'{folder}'" for folder in folders) or f"package '{self.package}'"
        raise FileNotFoundError(f"there is no '{self.library}' in {where}: was it built?")
