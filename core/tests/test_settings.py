from pathlib import Path

import pytest

from despina.errors import DespinaError
from despina.settings import Origin, Settings, resolve
from despina.settings.check import check_served, check_settings
from despina.settings.model import environment_name, setting_fields
from despina.settings.reference import render
from despina.settings.sources import backend_options

ROOT = Path(__file__).parents[2]


def toml(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "despina.toml"
    file.write_text(text)
    return file


def test_without_any_source_the_defaults_stand():
    settings, origins = resolve({}, {})
    assert settings == Settings()
    assert set(origins.values()) == {Origin.DEFAULT}
    assert settings.http_address == "127.0.0.1"


def test_a_flag_comes_before_the_environment_before_the_file(tmp_path: Path):
    file = toml(tmp_path, 'http-port = 1\nhttp-thread-count = 2\nmetrics-port = 3\nid = "file"')
    environment = {"DESPINA_HTTP_PORT": "10", "DESPINA_HTTP_THREAD_COUNT": "20"}
    settings, origins = resolve({"http_port": "100"}, environment, file)
    assert (settings.http_port, settings.http_thread_count) == (100, 20)
    assert (settings.metrics_port, settings.id) == (3, "file")
    names = ("http_port", "http_thread_count", "metrics_port", "log_info")
    assert [origins[name] for name in names] == [
        Origin.FLAG,
        Origin.ENVIRONMENT,
        Origin.FILE,
        Origin.DEFAULT,
    ]


@pytest.mark.parametrize("field", setting_fields(), ids=lambda field: field.name)
def test_every_setting_can_be_given_by_every_source(field, tmp_path: Path):
    default = field.default
    if isinstance(default, bool):
        text, literal, value = "1" if not default else "0", str(not default).lower(), not default
    elif field.name == "log_format":
        text, literal, value = "json", '"json"', "json"
    elif field.name == "model_control_mode":
        text, literal, value = "explicit", '"explicit"', "explicit"
    elif field.name == "grpc_infer_response_compression_level":
        text, literal, value = "high", '"high"', "high"
    elif isinstance(default, int | float):
        text, literal, value = "7", "7", 7
    else:
        text, literal, value = "a", '"a"', "a"
    if field.name in ("http_max_header_size",):
        text, literal, value = "2048", "2048", 2048
    if isinstance(default, tuple):
        text, literal = field.metadata["separator"].join("ab"), '["a", "b"]'
        value = tuple(map(Path, "ab")) if field.name == "model_repository" else ("a", "b")
    flag = ("a", "b") if isinstance(default, tuple) else text
    file = toml(tmp_path, f"{field.name.replace('_', '-')} = {literal}")
    for settings, _ in (
        resolve({field.name: flag}, {}),
        resolve({}, {environment_name(field.name): text}),
        resolve({}, {}, file),
    ):
        assert getattr(settings, field.name) == value


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({"http_port": "x"}, "--http-port: 'x' is not a whole number"),
        ({"http_port": "-1"}, "--http-port: -1 is less than 0"),
        ({"http_port": "70000"}, "--http-port: 70000 is more than 65535"),
        ({"http_max_input_size": "0"}, "--http-max-input-size: 0 is less than 1"),
        ({"exit_timeout_secs": "nan"}, "--exit-timeout-secs: 'nan' is not a number"),
        ({"exit_timeout_secs": "inf"}, "--exit-timeout-secs: inf is more than 1000000.0"),
        ({"exit_timeout_secs": "-inf"}, "--exit-timeout-secs: -inf is less than 0"),
        (
            {"exit_timeout_secs": 10**400},
            f"--exit-timeout-secs: {hex(10**400)[:40]}... is more than 1000000.0",
        ),
        (
            {"http_max_connections": "1" * 400},
            f"--http-max-connections: {'1' * 40}... is more than {2**63 - 1}",
        ),
        (
            {"http_max_connections": "1" * 5000},
            f"--http-max-connections: '{'1' * 40}...' is not a whole number",
        ),
        (
            {"http_max_connections": 2**63},
            f"--http-max-connections: {2**63} is more than {2**63 - 1}",
        ),
        ({"allow_http": "maybe"}, "--allow-http: 'maybe' is neither true nor false"),
        (
            {"model_control_mode": "all"},
            "--model-control-mode: 'all' is none of none, poll, explicit",
        ),
        ({"model_repository": ("",)}, "--model-repository: is empty"),
    ],
)
def test_a_value_that_cannot_be_names_its_flag(flags, error: str):
    with pytest.raises(DespinaError) as raised:
        resolve(flags, {})
    assert raised.value.message == error


def test_an_error_names_the_source(tmp_path: Path):
    with pytest.raises(DespinaError, match="^DESPINA_HTTP_PORT: 'x' is not a whole number"):
        resolve({}, {"DESPINA_HTTP_PORT": "x"})
    file = toml(tmp_path, "http-port = true")
    with pytest.raises(DespinaError, match="despina.toml: http-port: True is not a whole number"):
        resolve({}, {}, file)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("http-prt = 1", "despina.toml: there is no setting 'http-prt'; did you mean 'http-port'?"),
        ("http-port = ", "despina.toml: "),
        (f"http-port = {'1' * 5000}", "despina.toml: "),
        (f"http-port = 0x{'f' * 5000}", f"http-port: 0x{'f' * 38}... is more than 65535"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, error: str):
    with pytest.raises(DespinaError) as raised:
        resolve({}, {}, toml(tmp_path, text))
    assert error in raised.value.message


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DespinaError, match="none.toml: No such file"):
        resolve({}, {}, tmp_path / "none.toml")


def test_settings_for_backends_are_sorted_by_backend():
    settings = Settings(backend_config=("a,x=1", "b,y=k=v", "a,z=,"))
    assert backend_options(settings) == {"a": {"x": "1", "z": ","}, "b": {"y": "k=v"}}


@pytest.mark.parametrize("text", ["", "a", "a,b", "a,=1", ",b=1"])
def test_a_setting_for_a_backend_has_its_form(text: str):
    with pytest.raises(DespinaError, match="is not BACKEND,KEY=VALUE"):
        backend_options(Settings(backend_config=(text,)))


def test_the_reference_page_is_current():
    page = ROOT / "docs" / "reference" / "flags.md"
    assert page.read_text() == render(), f"python -m despina.settings.reference > {page.name}"


def test_a_server_that_would_listen_nowhere_is_refused(tmp_path: Path):
    nowhere = {"allow_http": False, "allow_grpc": False, "allow_metrics": False}
    check_served(Settings(model_repository=(tmp_path,), **nowhere | {"allow_grpc": True}))
    with pytest.raises(DespinaError) as raised:
        check_served(Settings(model_repository=(tmp_path,), **nowhere))
    flags = "--allow-http=false, --allow-grpc=false and --allow-metrics=false"
    assert raised.value.message == f"{flags}: nothing would listen"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"grpc_port": 8000}, "--http-port and --grpc-port are both 8000"),
        ({"http_port": 8002}, "--http-port and --metrics-port are both 8002"),
        ({"metrics_port": 8001}, "--grpc-port and --metrics-port are both 8001"),
        ({"grpc_port": 8000, "allow_http": False}, ""),
        ({"grpc_port": 8000, "allow_grpc": False}, ""),
        ({"grpc_port": 8000, "grpc_address": "127.0.0.2"}, ""),
        ({"metrics_port": 8000, "metrics_address": "127.0.0.2"}, ""),
        ({"http_port": 0, "grpc_port": 0, "metrics_port": 0}, ""),
    ],
)
def test_front_ends_listen_at_places_of_their_own(given, error: str, tmp_path: Path):
    settings = Settings(model_repository=(tmp_path,), **given)
    if not error:
        check_served(settings)
        return
    with pytest.raises(DespinaError) as raised:
        check_served(settings)
    assert raised.value.message == error


@pytest.mark.parametrize("prefix", ["https", "grpc"])
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"use_ssl": True}, "use-ssl needs {}-server-cert"),
        ({"use_ssl": True, "server_cert": "c"}, "use-ssl needs {}-server-key"),
        ({"server_cert": "c"}, "server-cert needs {}-use-ssl"),
        ({"server_key": "k"}, "server-key needs {}-use-ssl"),
        ({"root_cert": "r"}, "root-cert needs {}-use-ssl-mutual"),
        ({"use_ssl_mutual": True}, "use-ssl-mutual needs {}-root-cert"),
        ({"use_ssl_mutual": True, "root_cert": "r"}, "use-ssl needs {}-server-cert"),
    ],
)
def test_settings_of_tls_that_do_not_go_together_are_refused(
    prefix: str, given: dict[str, object], error: str, tmp_path: Path
):
    named = {f"{prefix}_{name}": value for name, value in given.items()}
    with pytest.raises(DespinaError) as raised:
        check_served(Settings(model_repository=(tmp_path,), **named))
    assert raised.value.message == f"--{prefix}-{error.format(f'--{prefix}')}"


@pytest.mark.parametrize("prefix", ["https", "grpc"])
def test_a_server_with_tls_needs_certificate_and_key(prefix: str, tmp_path: Path):
    for used in ({"use_ssl": True}, {"use_ssl_mutual": True, "root_cert": "r"}):
        given = {"server_cert": "c", "server_key": "k", **used}
        named = {f"{prefix}_{name}": value for name, value in given.items()}
        check_served(Settings(model_repository=(tmp_path,), **named))


def test_a_plugin_that_is_being_written_brings_its_models_and_may_fail(tmp_path: Path):
    settings, origins = resolve({"dev": "plug"}, {})
    assert settings.model_repository == (Path("plug/model_repository"),)
    assert not settings.exit_on_error
    assert origins["model_repository"] is origins["exit_on_error"] is Origin.DEV
    settings, origins = resolve({"dev": "plug", "model_repository": ("a",)}, {})
    assert settings.model_repository == (Path("a"),)
    assert origins["model_repository"] is Origin.FLAG
    assert resolve({"dev": "plug", "exit_on_error": "true"}, {})[0].exit_on_error
    assert resolve({}, {"DESPINA_DEV": "plug"})[0].dev == "plug"


@pytest.mark.parametrize("mode", ["poll", "explicit"])
def test_a_plugin_that_is_being_written_leaves_no_choice_of_models(mode: str):
    with pytest.raises(DespinaError, match=f"leave out --model-control-mode={mode}"):
        check_settings(resolve({"dev": ".", "model_control_mode": mode}, {})[0])


def test_the_folder_of_a_plugin_that_is_being_written_is_one(tmp_path: Path):
    with pytest.raises(DespinaError, match="--dev: '.*/nothing' is no folder"):
        check_settings(resolve({"dev": str(tmp_path / "nothing")}, {})[0])
    with pytest.raises(DespinaError, match="--dev: there is no pyproject.toml in "):
        check_settings(resolve({"dev": str(tmp_path)}, {})[0])
