"""``despina new``: a backend to begin with."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shlex
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from importlib.resources import as_file, files
from pathlib import Path

import click

from despina.text import escaped

KINDS = ("model", "preprocess", "postprocess")
FOLDERS = {"python": "python", "cpp": "native"}
TOOLS = {"python": "pytest hatchling editables", "cpp": "pytest scikit-build-core cmake ninja"}
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
# Targets that CMake has in every project, and what lies in a plugin's folder already.
TAKEN = {"all", "clean", "depend", "edit_cache", "help", "install", "package", "rebuild_cache"}
TAKEN |= {"build", "dist", "model_repository", "src", "test", "tests", "wheels"}


@click.command()
@click.argument("name")
@click.option(
    "--lang", type=click.Choice(list(FOLDERS)), required=True, help="What it is written in."
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="model",
    show_default=True,
    help="What the sample does: floats to floats, bytes to a tensor, or scores to the best.",
)
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of Despina's wheels, for the printed commands of another environment.",
)
def new(name: str, lang: str, kind: str, wheels: Path | None) -> None:
    """Make a folder NAME that holds a complete backend: sources, tests, a model to serve.

    NAME is that of the distribution and, with underscores for hyphens, of the backend. Commands
    that install, test and serve it as it is are printed.
    """
    target = Path(name)
    try:
        backend = checked(name)
        if os.path.lexists(target):
            raise click.UsageError(f"'{name}' exists already")
        render(target, backend, [FOLDERS[lang], kind, f"{FOLDERS[lang]}_{kind}"])
    except OSError as error:
        click.echo(f"error: {escaped(f'cannot make {name}: {error.strerror or error}')}", err=True)
        sys.exit(1)
    click.echo(_next_steps(name, backend, lang, wheels))


def checked(name: str) -> str:
    """The backend's name, which is that of its Python package too.

    Raises:
        click.UsageError: it can be no name of a distribution, package or library, or is taken.
    """
    if not NAME.fullmatch(name) or len(name) > 64:
        raise click.UsageError(
            f"'{escaped(name)}' is no name for a backend: lower-case letters and digits, parts of"
            " them joined by '-' or '_', a letter first, at most 64 of them"
        )
    backend = name.replace("-", "_")
    taken = [e for e in entry_points(group="despina.backends") if e.name == backend]
    if taken:
        of = taken[0].dist
        raise click.UsageError(
            f"there is a backend '{backend}' already{f', of {of.name}' if of else ''}"
        )
    if installed := _installed(name):
        raise click.UsageError(
            f"there is a distribution '{installed}' already: to install this one would remove it"
        )
    if keyword.iskeyword(backend) or backend in TAKEN or importlib.util.find_spec(backend):
        raise click.UsageError(
            f"'{backend}' cannot be the name of the backend's package: it means something else"
        )
    return backend


def _installed(name: str) -> str:
    """The distribution that pip takes for the one of that name, or nothing."""
    try:
        return distribution(name).name or name
    except PackageNotFoundError:
        return ""


def render(target: Path, backend: str, layers: list[str]) -> None:
    """Makes the folder from the templates, all of it or nothing.

    The templates are plugins called my_backend that work as they are: the layers are laid over
    each other, and the name is replaced in texts and paths.

    Args:
        target: must not exist; its parent must.

    Raises:
        OSError: the system's, nothing of the folder is left.
    """
    names = {"my_backend": backend, "my-backend": backend.replace("_", "-")}
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as parent:
        made = Path(parent, target.name)
        with as_file(files("despina_sdk") / "template") as templates:
            for layer in ["common", *layers]:
                _lay(templates / layer, made, names)
        made.rename(target)


def _lay(layer: Path, made: Path, names: dict[str, str]) -> None:
    for source in sorted(layer.rglob("*")):
        # Where the SDK was installed, its modules were compiled.
        if source.is_dir() or "__pycache__" in source.parts:
            continue
        path = made / _replaced(str(source.relative_to(layer)), names)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_replaced(source.read_text(), names))
        shutil.copymode(source, path)


def _replaced(text: str, names: dict[str, str]) -> str:
    for old, new_name in names.items():
        text = text.replace(old, new_name)
    return text


def _next_steps(name: str, backend: str, lang: str, wheels: Path | None) -> str:
    folder = shlex.quote(str(wheels)) if wheels else "WHEELS"
    return f"""\
Made {name}/, a backend in {"Python" if lang == "python" else "C++"}. To install, test, serve and \
ask it:

  pip install {TOOLS[lang]}
  pip install --no-build-isolation --no-deps --editable ./{name}
  pytest {name}
  despina serve --model-repository {name}/model_repository
  curl --data @{name}/request.json localhost:8000/v2/models/{backend}/infer

In another environment, begin with Despina's wheels. They are on no package index: name the files,
so that pip takes them from nowhere else.

  pip install {folder}/despina-*.whl {folder}/despina_sdk-*.whl"""
