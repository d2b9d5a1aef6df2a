import os
import shutil
from pathlib import Path

import pytest

from despina.config.load import parse_config
from despina.config.model_config_pb2 import ModelVersionPolicy
from despina.errors import ConfigError, DespinaError
from despina.lifecycle.plan import Plan, make_plan
from despina.repository import fingerprint
from despina.repository.catalog import Catalog
from despina.repository.layout import check_repositories, places, read_folder, scan
from despina.repository.versions import choose_versions, version_number
from despina_sdk import Code

IDENTITY = """
backend: "b"
input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }
"""


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("1", 1),
        ("42", 42),
        ("0", None),
        ("01", None),
        ("-1", None),
        ("1.0", None),
        ("v1", None),
        ("", None),
        ("configs", None),
        ("\u0661", None),
        ("9" * 30, None),
    ],
)
def test_a_version_is_a_positive_number_without_leading_zeros(name: str, version: int | None):
    assert version_number(name) == version


def policy(text: str) -> ModelVersionPolicy:
    return parse_config(f"version_policy {{ {text} }}", "c").version_policy


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("latest { num_versions: 1 }", (10,)),
        ("latest { num_versions: 2 }", (2, 10)),
        ("latest { num_versions: 9 }", (1, 2, 10)),
        ("all { }", (1, 2, 10)),
        ("specific { versions: [ 10, 1, 1 ] }", (1, 10)),
    ],
)
def test_a_policy_chooses_versions(text: str, chosen: tuple[int, ...]):
    assert choose_versions(policy(text), [10, 1, 2]) == chosen


def test_a_version_that_is_asked_for_and_missing_is_named():
    with pytest.raises(ConfigError, match="no folder for 3, 4"):
        choose_versions(policy("specific { versions: [ 4, 3, 1 ] }"), [1])


def test_no_version_is_an_error():
    with pytest.raises(ConfigError, match="no version to serve"):
        choose_versions(policy("all { }"), [])


def test_models_are_the_folders_of_a_repository(repository: Path, write_model):
    write_model("a", None, ("1", "3", "02", "warmup"))
    write_model("b", None, ())
    (repository / "README.md").touch()
    (repository / ".git").mkdir()
    (repository / "a" / "7").touch()
    folders, _ = scan(repository)
    versions = {
        p.id: read_folder(p.name, *p.folders).versions for p in places({repository: folders})
    }
    assert versions == {"a": (1, 3), "b": ()}


def test_a_model_in_two_repositories_is_served_by_neither(tmp_path: Path):
    for name in ("one/a/1", "one/b/1", "two/a/1"):
        (tmp_path / name).mkdir(parents=True)
    catalog = Catalog([tmp_path / "one", tmp_path / "two"])
    catalog.refresh()
    assert catalog.names() == ["a", "b"]
    with pytest.raises(DespinaError, match="'a' is in more than one repository") as raised:
        catalog.read("a")
    assert raised.value.code is Code.ALREADY_EXISTS
    assert str(tmp_path / "two" / "a") in raised.value.message


def test_a_repository_that_is_not_there_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DespinaError, match="none' does not exist"):
        check_repositories([tmp_path, tmp_path / "none"])
    with pytest.raises(DespinaError, match="file' is not a folder"):
        check_repositories([tmp_path / "file"])


def read(repository: Path, name: str, **settings):
    return catalog_of(repository, **settings).read(name)


def catalog_of(repository: Path, **settings) -> Catalog:
    catalog = Catalog([repository], **settings)
    catalog.refresh()
    return catalog


def plan_of(catalog: Catalog, *models: str) -> Plan:
    return make_plan(models, catalog, catalog.places(), {})


def test_a_model_is_read_with_its_versions(repository: Path, write_model):
    write_model("m", IDENTITY + "version_policy { latest { num_versions: 2 } }", ("1", "2", "5"))
    source = read(repository, "m")
    assert source.name == "m"
    assert source.versions == (2, 5)
    assert str(source.origin) == str(repository / "m" / "config.pbtxt")
    assert not source.is_ensemble


def test_a_model_without_version_folders_is_version_1(repository: Path, write_model):
    write_model("m", IDENTITY, ())
    assert read(repository, "m").versions == (1,)


def test_a_model_without_configuration_is_told_by_its_file(repository: Path, write_model):
    (write_model("m", None) / "1" / "model.onnx").touch()
    assert read(repository, "m").config.backend == "onnxruntime"


def test_a_plugin_may_tell_the_backend(repository: Path, write_model):
    (write_model("m", None) / "1" / "model.onnx").touch()
    asked = []

    def detect(folder: Path) -> str:
        asked.append(folder)
        return "mine"

    assert read(repository, "m", detect=detect).config.backend == "mine"
    assert asked == [repository / "m" / "1"]


def test_an_unknown_model_is_not_found(repository: Path, write_model):
    write_model("hrnet", IDENTITY)
    with pytest.raises(DespinaError, match="no model 'hrmet'; did you mean 'hrnet'") as raised:
        read(repository, "hrmet")
    assert raised.value.code is Code.NOT_FOUND


def test_every_problem_names_file_line_and_field(repository: Path, write_model):
    lines = 'backend: "b"', "max_batch_size: -1", "runtime: 'x'", "instance_group { count: -1 }"
    write_model("m", "\n".join(lines))
    with pytest.raises(ConfigError) as raised:
        read(repository, "m")
    file = repository / "m" / "config.pbtxt"
    wrong = ("2:1", "max_batch_size"), ("3:1", "runtime"), ("4:18", "instance_group[0].count")
    for (place, field), problem in zip(wrong, raised.value.problems, strict=True):
        assert str(problem).startswith(f"{file}:{place}: {field}: ")


def test_a_version_policy_that_fits_nothing_names_the_file(repository: Path, write_model):
    write_model("m", IDENTITY + "version_policy { specific { versions: [ 9 ] } }")
    with pytest.raises(ConfigError, match=r"config.pbtxt:\d+:\d+: version_policy.*for 9"):
        read(repository, "m")


def test_without_completion_a_configuration_must_be_complete(repository: Path, write_model):
    write_model("m", 'backend: "b" input { name: "x" }')
    assert read(repository, "m").name == "m"
    with pytest.raises(ConfigError, match=r"input\[0\].data_type"):
        read(repository, "m", auto_complete=False)


def test_a_model_that_a_program_hands_over_is_read(repository: Path, write_model):
    write_model("a", IDENTITY)
    catalog = Catalog(
        [repository], {"m": {"backend": "b", "max_batch_size": 4}, "a": {"backend": "b"}}
    )
    catalog.refresh()
    source = catalog.read("m")
    assert (source.versions, source.config.max_batch_size) == ((1,), 4)
    assert not (source.folder / "1").exists()
    with pytest.raises(DespinaError, match="'a' is handed over, and is in a repository"):
        catalog.read("a")


def test_a_folder_that_is_gone_is_named(repository: Path, write_model):
    folder = write_model("m", IDENTITY)
    catalog = catalog_of(repository)
    shutil.rmtree(folder)
    with pytest.raises(DespinaError, match=f"folder '{folder}': No such file"):
        catalog.read("m")


def test_dynamic_batching_does_not_keep_the_backend_from_being_told_by_a_file(
    repository: Path, write_model
):
    (write_model("m", "dynamic_batching { }") / "1" / "model.onnx").touch()
    assert read(repository, "m").config.backend == "onnxruntime"


def test_a_folder_name_that_is_not_utf8_is_refused_and_named(repository: Path, write_model):
    write_model(os.fsdecode(b"bad\xff"), IDENTITY)
    write_model("good", IDENTITY)
    plan = plan_of(catalog_of(repository), "bad\\udcff", "good")
    assert plan.sources.keys() == {"good"}
    where = f"folder '{repository}/bad\\udcff'"
    assert plan.failures == {"bad\\udcff": f"{where}: its name is not UTF-8"}


def test_a_model_that_cannot_be_read_for_any_reason_fails_alone(repository: Path, write_model):
    write_model("bad", None)
    write_model("good", IDENTITY)

    def detect(folder: Path) -> str:
        raise RuntimeError("no idea")

    plan = plan_of(catalog_of(repository, detect=detect), "bad", "good")
    assert plan.sources.keys() == {"good"}
    assert plan.failures == {"bad": "RuntimeError: no idea"}


def test_a_problem_of_a_model_without_configuration_names_its_folder(repository: Path, write_model):
    write_model("m", None)
    with pytest.raises(ConfigError) as raised:
        read(repository, "m")
    assert raised.value.message.startswith(f"{repository / 'm'}: backend: neither")


def test_a_configuration_that_is_a_link_to_nowhere_is_an_error(repository: Path, write_model):
    folder = write_model("m.onnxruntime", None)
    (folder / "config.pbtxt").symlink_to("gone")
    with pytest.raises(ConfigError, match=r"m.onnxruntime/config.pbtxt: No such file"):
        read(repository, "m.onnxruntime")


def test_a_version_policy_of_a_model_that_is_handed_over_is_refused():
    config = {"backend": "b", "version_policy": {"all": {}}}
    catalog = Catalog(in_process={"m": config})
    catalog.refresh()
    with pytest.raises(ConfigError, match="version_policy: a model that is handed over has one"):
        catalog.read("m")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("instance_group { kind: KIND_CPU }", set()),
        ("optimization { input_pinned_memory { enable: false } }", set()),
        ("instance_group { gpus: [ 0 ] }", {"instance_group.gpus"}),
        ("instance_group { kind: KIND_GPU gpus: [ 0 ] }", {"instance_group.gpus"}),
        ("optimization { graph { level: 1 } }", {"optimization"}),
        ('default_model_filename: "net"', {"default_model_filename"}),
    ],
)
def test_what_only_a_backend_can_act_on_is_noted(repository: Path, write_model, text, fields):
    write_model("m", IDENTITY.replace('"b"', '"onnxruntime"') + text)
    assert read(repository, "m").backend_fields == fields


def test_thousands_of_versions_cost_only_those_that_are_served(
    repository: Path, write_model, monkeypatch: pytest.MonkeyPatch
):
    folder = write_model("m", IDENTITY, tuple(map(str, range(1, 3001))))
    (folder / "3000" / "weights").touch()
    monkeypatch.setattr(fingerprint, "MAX_ENTRIES", 10)
    assert read(repository, "m").versions == (3000,)


def test_links_that_lead_nowhere_or_back_do_not_keep_a_model_from_being_read(
    repository: Path, write_model
):
    folder = write_model("m", IDENTITY)
    (folder / "1" / "loop").symlink_to("loop")
    (folder / "1" / "up").symlink_to(folder)
    (folder / "2").symlink_to("2")
    (repository / "loop").symlink_to("loop")
    catalog = catalog_of(repository)
    assert catalog.names() == ["m"]
    assert catalog.read("m").versions == (1,)


def test_the_revision_of_a_version_follows_its_content(repository: Path, write_model):
    folder = write_model("m", IDENTITY + "version_policy { all { } }", ("1", "2"))
    before = read(repository, "m").revisions
    (folder / "config.pbtxt").write_text("# the same\n" + IDENTITY + "version_policy { all { } }")
    assert read(repository, "m").revisions == before
    (folder / "2" / "weights").touch()
    after = read(repository, "m").revisions
    assert (after[1] == before[1], after[2] == before[2]) == (True, False)
    write_model("m", IDENTITY + "max_batch_size: 2")
    assert read(repository, "m").revisions[2] != after[2]
