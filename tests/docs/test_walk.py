"""What `harness/walk.py` does with pages: those that are right end well, the others are caught."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from harness.walk import Walk


def walk(page: str, tmp_path: Path) -> None:
    """Walks a page."""
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "page.md"
    path.write_text(textwrap.dedent(page))
    with Walk(tmp_path) as reader:
        reader.page(path)


def test_files_and_commands_build_on_each_other(tmp_path: Path) -> None:
    page = """
        `one/names.txt`:

        ```csv title="one/names.txt"
        ada
        grace
        ```

        ```sh
        cd one
        export NAME=grace
        ```

        1. In a list:

            ```sh
            grep --line-number "$NAME" names.txt
            ls
            ```

            ```text
            2:...
            names.txt
            ```

        ```python
        print(open("names.txt").read())
        ```

        ```text
        ada
        ...
        ```
    """
    walk(page, tmp_path)


SERVER = """
    ```text title="models/echo/config.pbtxt"
    backend: "identity_python"
    input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] }
    output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 1 ] }
    ```

    ```sh
    despina serve --model-repository models
    ```

    ```text
    Started HTTPService at 127.0.0.1:8000
    ...
    Server is ready
    ```
"""


def test_a_server_goes_on_while_the_page_asks_it(tmp_path: Path) -> None:
    page = (
        SERVER
        + """
    ```sh
    curl --silent localhost:8000/v2/models/echo/versions/1/ready --write-out '%{http_code}'
    curl --silent localhost:8002/metrics | grep --max-count 1 pending
    despina models list --url http://localhost:8000
    ```

    ```text
    200# HELP nv_inference_pending_request_count ...
    ...
    | echo  | 1       | READY  |
    ...
    ```
    """
    )
    walk(page, tmp_path)


def test_what_a_page_installs_is_installed_for_this_page_only(
    tmp_path: Path, checkout: Path
) -> None:
    page = """
        ```toml title="pyproject.toml"
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"

        [project]
        name = "a-page-of-the-tests"
        version = "1"
        dependencies = ["despina-sdk"]

        [tool.hatch.build.targets.wheel]
        only-include = ["page_of_tests.py"]
        ```

        ```python title="page_of_tests.py"
        import despina_sdk
        ```

        ```sh
        pip install --quiet --no-index --no-build-isolation --editable .
        cd /
        ```

        ```python
        import page_of_tests
        ```
    """
    walk(page, tmp_path)
    with pytest.raises(AssertionError, match="No module named 'page_of_tests'"):
        walk("```python\nimport page_of_tests\n```\n", tmp_path / "another")


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("```sh\nfalse\ntrue\n```\n", r"page.md:1: ended with 1"),
        ("```sh\necho one\n```\n\n```text\ntwo\n```\n", r"page.md:5: .*\none"),
        ("```sh\nprintf 'a\\nb\\n'\n```\n\n```text\na\n```\n", r"page.md:5: "),
        ("<!-- exit status: 3 -->\n```sh\nexit 2\n```\n", r"page.md:2: ended with 2"),
        ("```python\n1 / 0\n```\n", r"page.md:1: .*\n(.*\n)*ZeroDivisionError"),
        ("```cpp\nint x;\n```\n", r"page.md:1: a listing of 'cpp' needs a title"),
        ("```text\nprinted by nothing\n```\n", r"page.md:1: this text follows nothing"),
        ("<!-- perhaps: later -->\n```sh\ntrue\n```\n", r"page.md:2: .* no mark '{'perhaps'}'"),
        ("```sh\ndespina serve --no-such-flag\n```\n", r"page.md:1: ended with 2"),
    ],
)
def test_what_is_not_as_the_page_says_is_told_with_its_line(
    page: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=told):
        walk(page, tmp_path)


def test_a_page_may_expect_a_failure_and_leave_a_listing_alone(tmp_path: Path) -> None:
    page = """
        <!-- exit status: 3 -->
        ```sh
        echo no >&2
        exit 3
        ```

        ```text
        no
        ```

        <!-- not run: it would never end -->
        ```sh
        sleep infinity
        ```
    """
    walk(page, tmp_path)


def test_a_walk_ends_where_a_program_is_missing(tmp_path: Path) -> None:
    page = "<!-- needs: no-such-program -->\n```sh\nfalse\n```\n"
    with pytest.raises(pytest.skip.Exception, match="no-such-program"):
        walk(page, tmp_path)
