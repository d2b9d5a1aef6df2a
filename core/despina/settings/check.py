"""What settings must keep to together."""

from __future__ import annotations

from pathlib import Path

from despina.errors import DespinaError
from despina.repository.layout import check_repositories, is_config_name
from despina.settings.metrics import metrics_config
from despina.settings.model import Settings, flag_name
from despina.settings.sources import backend_options
from despina.settings.trace import trace_config
from despina_sdk import Code


def check_settings(settings: Settings) -> None:
    """Checks what can be checked before anything starts.

    Raises:
        DespinaError: INVALID_ARGUMENT or NOT_FOUND, with the flag or the folder.
    """
    if settings.dev:
        _check_dev(settings)
    check_repositories(settings.model_repository)
    backend_options(settings)
    metrics_config(settings.metrics_config)
    trace_config(settings)
    if settings.load_model and settings.model_control_mode != "explicit":
        raise _invalid("--load-model needs --model-control-mode=explicit")
    if "*" in settings.load_model and len(settings.load_model) > 1:
        raise _invalid("--load-model=* leaves nothing to name besides")
    name = settings.model_config_name
    if not is_config_name(name):
        raise _invalid(f"--model-config-name={name!r}: not the name of a file in 'configs'")


def check_served(settings: Settings) -> None:
    """Checks what only a server with front ends needs.

    Raises:
        DespinaError: INVALID_ARGUMENT, with the flag.
    """
    if not settings.model_repository:
        raise _invalid("no --model-repository: there is nothing to serve")
    if not (settings.allow_http or settings.allow_metrics):
        raise _invalid("--allow-http=false and --allow-metrics=false: nothing would listen")
    both = settings.allow_http and settings.allow_metrics
    same_address = settings.metrics_address in ("", settings.http_address)
    if both and same_address and 0 != settings.http_port == settings.metrics_port:
        raise _invalid(f"--http-port and --metrics-port are both {settings.http_port}")
    _check_tls(settings)


def _check_dev(settings: Settings) -> None:
    if settings.model_control_mode != "none":
        mode = f"--model-control-mode={settings.model_control_mode}"
        raise _invalid(f"--dev follows the files of all models itself: leave out {mode}")
    folder = Path(settings.dev)
    if not folder.is_dir():
        raise _invalid(f"--dev: '{folder}' is no folder")
    if not (folder / "pyproject.toml").is_file():
        raise _invalid(f"--dev: there is no pyproject.toml in '{folder}'")


def _check_tls(settings: Settings) -> None:
    mutual = settings.https_use_ssl_mutual
    if mutual and not settings.https_root_cert:
        raise _invalid("--https-use-ssl-mutual needs --https-root-cert")
    if settings.https_root_cert and not mutual:
        raise _invalid("--https-root-cert needs --https-use-ssl-mutual")
    for name in ("https_server_cert", "https_server_key"):
        given = bool(getattr(settings, name))
        # A certificate alone must not make anybody believe that TLS is spoken.
        if given and not (settings.https_use_ssl or mutual):
            raise _invalid(f"--{flag_name(name)} needs --https-use-ssl")
        if not given and (settings.https_use_ssl or mutual):
            raise _invalid(f"--https-use-ssl needs --{flag_name(name)}")


def _invalid(text: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, text)
