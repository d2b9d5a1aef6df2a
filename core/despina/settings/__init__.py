"""Settings of the server: declared once, read from flags, environment and a file.

``model.py`` declares them; the flags of ``despina serve``, the names in the environment, the keys
of a TOML file and the page ``docs/reference/flags.md`` are made of the declaration.
"""

from despina.settings.model import Settings
from despina.settings.sources import Origin, resolve

__all__ = ["Origin", "Settings", "resolve"]
