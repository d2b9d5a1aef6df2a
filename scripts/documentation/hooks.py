"""What the site adds to the pages of `docs/`: references, and the files that the pages link to."""

from __future__ import annotations

import re
from pathlib import Path

from checkout_pages import Checkout
from header_pages import abi_page, cpp_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from python_pages import sdk_page, server_page, testing_page

GENERATED = {
    "reference/abi.md": abi_page,
    "reference/cpp.md": cpp_page,
    "reference/sdk.md": sdk_page,
    "reference/testing.md": testing_page,
    "reference/server.md": server_page,
}
# Of the checkout: what the site has a better page for than their text.
PAGES = {
    "sdk/despina_sdk/include/despina/abi.h": "reference/abi.md",
    "sdk/despina_sdk/include/despina/backend.hpp": "reference/cpp.md",
    "sdk/despina_sdk/backend.py": "reference/sdk.md",
    "sdk/despina_sdk/testing/__init__.py": "reference/testing.md",
    "core/despina/server.py": "reference/server.md",
}

ELSEWHERE = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*(?:src|href)=["']?(https?:[^"' >]+)""")

checkout = Checkout(PAGES)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds pages; called once, before any is rendered."""
    for uri, page in GENERATED.items():
        files.append(File.generated(config, uri, content=page()))
    for uri, text in checkout.pages(files.documentation_pages()):
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links out of `docs/` to the pages that were added for them."""
    return checkout.with_links(markdown, page.file.src_uri)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuses a site that needs a network to be looked at."""
    for path in Path(config.site_dir).rglob("*.html"):
        if found := ELSEWHERE.search(path.read_text()):
            raise PluginError(f"{path} fetches {found[1]}")
