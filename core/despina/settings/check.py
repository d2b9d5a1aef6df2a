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
    if not (settings.allow_http or settings.allow_grpc or settings.allow_metrics):
        text = "--allow-http=false, --allow-grpc=false and --allow-metrics=false"
        raise _invalid(f"{text}: nothing would listen")
    _check_ports(settings)
    _check_tls(settings, "https")
    _check_tls(settings, "grpc")


def _check_ports(settings: Settings) -> None:
    """No two front ends listen at one place, unless the system chooses their ports."""
    ports = {
        "http_port": (settings.allow_http, settings.http_address, settings.http_port),
        "grpc_port": (settings.allow_grpc, settings.grpc_address, settings.grpc_port),
        "metrics_port": (
            settings.allow_metrics,
            settings.metrics_address or settings.http_address,
            settings.metrics_port,
        ),
    }
    taken: dict[tuple[str, int], str] = {}
    for name, (allowed, address, port) in ports.items():
        if not allowed or port == 0:
            continue
        other = taken.setdefault((address, port), name)
        if other != name:
            raise _invalid(f"--{flag_name(other)} and --{flag_name(name)} are both {port}")


def _check_dev(settings: Settings) -> None:
    if settings.model_control_mode != "none":
        mode = f"--model-control-mode={settings.model_control_mode}"
        raise _invalid(f"--dev follows the files of all models itself: leave out {mode}")
    folder = Path(settings.dev)
    if not folder.is_dir():
        raise _invalid(f"--dev: '{folder}' is no folder")
    if not (folder / "pyproject.toml").is_file():
        raise _invalid(f"--dev: there is no pyproject.toml in '{folder}'")


def _check_tls(settings: Settings, prefix: str) -> None:
    """Of HTTPS or of gRPC, whose settings have the same names behind the prefix."""

    def given(name: str) -> bool:
        return bool(getattr(settings, f"{prefix}_{name}"))

    flag = f"--{prefix}"
    mutual, used = given("use_ssl_mutual"), given("use_ssl") or given("use_ssl_mutual")
    if mutual and not given("root_cert"):
        raise _invalid(f"{flag}-use-ssl-mutual needs {flag}-root-cert")
    if given("root_cert") and not mutual:
        raise _invalid(f"{flag}-root-cert needs {flag}-use-ssl-mutual")
    for name in ("server_cert", "server_key"):
        # A certificate alone must not make anybody believe that TLS is spoken.
        if given(name) and not used:
            raise _invalid(f"{flag}-{flag_name(name)} needs {flag}-use-ssl")
        if not given(name) and used:
            raise _invalid(f"{flag}-use-ssl needs {flag}-{flag_name(name)}")


def _invalid(text: str) -> DespinaError:
    return DespinaError(Code.INVALID_ARGUMENT, text)
