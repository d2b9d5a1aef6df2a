"""Pages of the site for what the pages of `docs/` link to elsewhere in the checkout.

On the site a link out of `docs/` would lead nowhere. What it names becomes a page below
`checkout/`: Markdown as it is, with links of its own, other text as one listing.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
# A listing, which holds no links, or a link.
LINK = re.compile(
    r"^```.*?^```$|(?P<text>!?\[[^\]\[]*\])\((?P<target>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)",
    re.MULTILINE | re.DOTALL,
)
LANGUAGES = {".py": "python", ".h": "c", ".hpp": "cpp", ".cc": "cpp", ".toml": "toml"}


class Checkout:
    """The files outside of `docs/`, by their path in the checkout."""

    def __init__(self, pages: Mapping[str, str]) -> None:
        """Takes the pages that stand for some of them, by path."""
        self._pages = dict(pages)

    def pages(self, documentation: Iterable[File]) -> Iterator[tuple[str, str]]:
        """Address and text of a page for each file that is linked to, and for what that links to.

        Args:
            documentation: the pages of `docs/`.
        """
        texts = [(f"docs/{file.src_uri}", file.content_string) for file in documentation]
        while texts:
            path, text = texts.pop()
            for found in LINK.finditer(text):
                target = found["target"] and _target(path, found["target"])
                if not target or target in self._pages or target.startswith("docs/"):
                    continue
                file = ROOT / target
                is_page = file.suffix == ".md"
                self._pages[target] = f"checkout/{target}" if is_page else f"checkout/{target}.md"
                content = file.read_text()
                if is_page:
                    texts.append((target, content))
                yield self._pages[target], content if is_page else _listing(file, content)

    def with_links(self, markdown: str, uri: str) -> str:
        """The text of the page at an address, with links to pages of the site."""
        path = next((path for path, page in self._pages.items() if page == uri), f"docs/{uri}")

        def lead(found: re.Match[str]) -> str:
            if not found["target"]:
                return found[0]
            target = _target(path, found["target"])
            page = self._pages.get(target, target.removeprefix("docs/"))
            if not target and _path(path, found["target"]).exists():
                return found["text"].strip("![]")  # a folder without a page
            if not target:
                return found[0]  # dead, as the build will say
            relative = posixpath.relpath(page, posixpath.dirname(uri) or ".")
            anchor = found["anchor"] if found["anchor"] and target.endswith(".md") else ""
            return f"{found['text']}({relative}{anchor})"

        return LINK.sub(lead, markdown)


def _path(path: str, target: str) -> Path:
    """What a page in the checkout links to."""
    return ROOT / posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def _target(path: str, target: str) -> str:
    """The file that a page in the checkout links to; "" where there is nothing to read."""
    file = _path(path, target)
    name = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else ""
    if name.startswith("docs/"):
        return name
    if file.is_dir():
        file, name = file / "README.md", f"{name}/README.md"
    return name if file.is_file() else ""


def _listing(file: Path, content: str) -> str:
    language = LANGUAGES.get(file.suffix, "")
    return f"# {file.name}\n\n```{language}\n{content}\n```\n"
