import pytest

from despina.config.connections import check_tensors
from despina.config.definition import Definition, Tensor, define
from despina.config.ensemble import check_ensemble, check_flow, cycle, members, missing_members
from despina.config.load import parse_config
from despina.config.model_config_pb2 import ModelConfig
from despina.config.normalise import normalise
from despina.config.problem import Origin

ENDS = """
input { name: "IN" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "OUT" data_type: TYPE_FP32 dims: [ 4 ] }
"""


def step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
    maps = [f'input_map {{ key: "{k}" value: "{v}" }}' for k, v in inputs.items()]
    maps += [f'output_map {{ key: "{k}" value: "{v}" }}' for k, v in outputs.items()]
    return f'ensemble_scheduling {{ step {{ model_name: "{model}" {" ".join(maps)} }} }}'


def ensemble(*steps: str, ends: str = ENDS) -> ModelConfig:
    config = parse_config(ends, "c")
    for each in steps:
        config.MergeFrom(parse_config(each, "c"))
    normalise(config, "e")
    return config


CHAIN = (step("a", {"x": "IN"}, {"y": "mid"}), step("b", {"x": "mid"}, {"y": "OUT"}))


def model(name: str, x: Tensor | None = None, y: Tensor | None = None, batch: int = 0):
    x = x or Tensor("x", "FP32", (4,))
    y = y or Tensor("y", "FP32", (4,))
    return Definition(name, 1, "b", batch, (x,), (y,))


def test_a_chain_in_any_order_is_fine():
    assert check_flow(ensemble(*CHAIN)) == []
    assert check_flow(ensemble(*reversed(CHAIN))) == []


def test_members_are_named_once():
    assert members(ensemble(*CHAIN, step("a", {"x": "IN"}, {"y": "z"}))) == ("a", "b")


def test_a_missing_member_is_named_with_its_step():
    (problem,) = missing_members(ensemble(*CHAIN), ["a", "bb"])
    assert problem.field == "ensemble_scheduling.step[1].model_name"
    assert problem.text == "there is no model 'b'; did you mean 'bb'?"


@pytest.mark.parametrize(
    ("steps", "field", "what"),
    [
        (
            (*CHAIN, step("c", {"x": "IN"}, {"y": "mid"})),
            "ensemble_scheduling.step[2].output_map['y']",
            "'mid' has several producers: step 0 (model 'a'), step 2 (model 'c')",
        ),
        (
            (*CHAIN, step("c", {"x": "mid"}, {"y": "IN"})),
            "ensemble_scheduling.step[2].output_map['y']",
            "'IN' has several producers: the ensemble's inputs, step 2 (model 'c')",
        ),
        (
            (*CHAIN, step("c", {"x": "mit"}, {"y": "z"}), step("d", {"x": "z"}, {"y": "w"})),
            "ensemble_scheduling.step[2].input_map['x']",
            "'x' of model 'c' takes 'mit', which nothing makes; did you mean 'mid'?",
        ),
        (
            (*CHAIN, step("c", {"x": "mid"}, {"y": "z"})),
            "ensemble_scheduling.step[2].output_map['y']",
            "'z', from 'y' of model 'c', is used by nothing",
        ),
        (
            (step("a", {"x": "IN"}, {"y": "Out"}),),
            "output[0]",
            "no step makes 'OUT'; did you mean 'Out'?",
        ),
        ((step("a", {}, {"y": "OUT"}),), "input[0]", "no step takes 'IN'"),
        (
            (
                step("a", {"x": "IN", "w": "two"}, {"y": "one"}),
                step("b", {"x": "one"}, {"y": "two", "z": "OUT"}),
            ),
            "ensemble_scheduling.step",
            "steps wait for each other: 0 (model 'a'), 1 (model 'b')",
        ),
    ],
)
def test_a_tensor_that_goes_wrong_is_named(steps, field, what):
    found = [(each.field, what in each.text) for each in check_flow(ensemble(*steps))]
    assert (field, True) in found


@pytest.mark.parametrize(
    ("graph", "path"),
    [
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["x", "b"], "b": ["c"], "c": ["y", "a"]}, ["a", "b", "c", "a"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, None),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, None),
    ],
)
def test_an_ensemble_that_contains_itself_is_found(graph, path):
    assert cycle("a", graph) == path


def definition(*steps: str, ends: str = ENDS) -> Definition:
    return define(ensemble(*steps, ends=ends), 1, None, Origin("c"))


def test_tensors_that_fit_have_no_problems():
    models = {("a", -1): model("a"), ("b", -1): model("b")}
    assert check_tensors(definition(*CHAIN), models) == []


@pytest.mark.parametrize(
    ("a", "b", "field", "what"),
    [
        (
            model("a", y=Tensor("y", "FP16", (4,))),
            model("b"),
            "ensemble_scheduling.step[1].input_map['x']",
            "'mid' is FP16 from step 0 (model 'a') and FP32 for 'x' of model 'b'",
        ),
        (
            model("a", y=Tensor("y", "FP32", (5,))),
            model("b"),
            "ensemble_scheduling.step[1].input_map['x']",
            "'mid' is [5] from step 0 (model 'a') and [4] for 'x' of model 'b'",
        ),
        (
            model("a", x=Tensor("x", "INT8", (4,))),
            model("b"),
            "ensemble_scheduling.step[0].input_map['x']",
            "'IN' is FP32 from the ensemble's input and INT8 for 'x' of model 'a'",
        ),
        (
            model("a"),
            model("b", y=Tensor("y", "FP32", (2, 2))),
            "output[0]",
            "'OUT' is [2, 2] from step 1 (model 'b') and [4] for the ensemble's output",
        ),
        (
            model("a", y=Tensor("Y", "FP32", (4,))),
            model("b"),
            "ensemble_scheduling.step[0].output_map['y']",
            "model 'a' has no output 'y'; did you mean 'Y'?",
        ),
        (
            model("a"),
            model("b", x=Tensor("X", "FP32", (4,))),
            "ensemble_scheduling.step[1].input_map",
            "model 'b' needs 'X', and does not list 'x'",
        ),
        (
            model("a", batch=8),
            model("b"),
            "ensemble_scheduling.step[1].input_map['x']",
            "'mid' is [-1, 4] from step 0 (model 'a') and [4] for 'x' of model 'b'",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(a, b, field, what):
    found = check_tensors(definition(*CHAIN), {("a", -1): a, ("b", -1): b})
    assert (field, what) in [tuple(each) for each in found]


def test_an_optional_input_of_a_member_may_be_left_out():
    a = Definition(
        "a",
        1,
        "b",
        0,
        (Tensor("x", "FP32", (4,)), Tensor("box", "FP32", (4,), optional=True)),
        (Tensor("y", "FP32", (4,)),),
    )
    assert check_tensors(definition(*CHAIN), {("a", -1): a, ("b", -1): model("b")}) == []


def test_a_batch_axis_may_meet_a_varying_axis():
    a = model("a", batch=8)
    b = model("b", x=Tensor("x", "FP32", (-1, 4)), y=Tensor("y", "FP32", (4,)))
    ends = ENDS.replace(
        '"IN" data_type: TYPE_FP32 dims: [ 4 ]', '"IN" data_type: TYPE_FP32 dims: [ 1, 4 ]'
    )
    assert check_tensors(definition(*CHAIN, ends=ends), {("a", -1): a, ("b", -1): b}) == []


def test_every_version_of_a_member_is_checked_for_itself():
    two = CHAIN[0], CHAIN[1].replace('model_name: "b"', 'model_name: "a" model_version: 2')
    old, new = model("a"), model("a", x=Tensor("x", "BOOL", (4,)))
    found = check_tensors(definition(*two), {("a", -1): old, ("a", 2): new})
    assert [each.field for each in found] == ["ensemble_scheduling.step[1].input_map['x']"]


def test_an_ensemble_takes_no_more_rows_than_its_models():
    ends = f"max_batch_size: 8 {ENDS}"
    models = {("a", -1): model("a", batch=8), ("b", -1): model("b", batch=4)}
    (problem,) = check_tensors(definition(*CHAIN, ends=ends), models)
    assert problem == ("max_batch_size", "is 8, and model 'b' of step 1 takes 4 rows at most")


def member(text: str, name: str) -> ModelConfig:
    config = parse_config(f'backend: "b" {text}', "c")
    normalise(config, name)
    return config


WHOLE = """
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }
"""


def alone(a: str, b: str = WHOLE, *, completing: bool = True, known: tuple[str, ...] = ("a", "b")):
    """What the configurations tell of the chain before any model is loaded."""
    configs = {"e": ensemble(*CHAIN), "a": member(a, "a"), "b": member(b, "b")}
    found = {name: config for name, config in configs.items() if name in (*known, "e")}
    return [tuple(each) for each in check_ensemble("e", found, known, completing=completing)]


def test_configurations_that_fit_have_no_problems():
    assert alone(WHOLE) == []
    assert alone(WHOLE, completing=False) == []


def test_datatypes_and_shapes_are_compared_before_anything_is_loaded():
    assert alone(WHOLE.replace("FP32", "INT8")) == [
        (
            "ensemble_scheduling.step[0].input_map['x']",
            "'IN' is FP32 from the ensemble's input and INT8 for 'x' of model 'a'",
        ),
        (
            "ensemble_scheduling.step[1].input_map['x']",
            "'mid' is INT8 from step 0 (model 'a') and FP32 for 'x' of model 'b'",
        ),
    ]
    ((field, text),) = alone(WHOLE, WHOLE.replace("4", "5", 1))
    assert field == "ensemble_scheduling.step[1].input_map['x']"
    assert text == "'mid' is [4] from step 0 (model 'a') and [5] for 'x' of model 'b'"


@pytest.mark.parametrize(
    "a",
    [
        "",
        'input { name: "x" }',
        'input { name: "x" data_type: TYPE_FP32 }',
        'output { name: "y" dims: [ 4 ] }',
    ],
)
def test_what_the_backend_may_still_fill_in_is_no_problem(a: str):
    assert alone(a) == []


def test_an_axis_of_rows_may_still_come():
    b = WHOLE.replace("[ 4 ]", "[ -1, 4 ]", 1)
    assert alone(WHOLE, b) == []
    ((_, text),) = alone(WHOLE, b, completing=False)
    assert text == "'mid' is [4] from step 0 (model 'a') and [-1, 4] for 'x' of model 'b'"


def test_without_completion_every_tensor_must_be_listed():
    ((field, text),) = alone(WHOLE.replace('"y"', '"Y"'), completing=False)
    assert field == "ensemble_scheduling.step[0].output_map['y']"
    assert text == "model 'a' has no output 'y'; did you mean 'Y'?"
    assert alone(WHOLE.replace('"y"', '"Y"')) == []


def test_an_input_that_a_member_lists_must_be_given():
    ((field, text),) = alone(WHOLE + 'input { name: "w" }')
    assert (field, text) == ("ensemble_scheduling.step[0].input_map", "model 'a' needs 'w'")


def test_a_member_that_could_not_be_read_is_not_compared():
    configs = {"e": ensemble(*CHAIN), "a": member(WHOLE, "a")}
    assert check_ensemble("e", configs, ("a", "b"), completing=True) == []
    (problem,) = check_ensemble("e", configs, ("a",), completing=True)
    assert problem.text == "there is no model 'b'"


def test_an_ensemble_within_itself_is_a_problem():
    configs = {
        "e": ensemble(*CHAIN),
        "a": ensemble(step("e", {"IN": "IN"}, {"OUT": "OUT"})),
        "b": member(WHOLE, "b"),
    }
    (problem,) = check_ensemble("e", configs, ("a", "b", "e"), completing=True)
    assert problem.text == "the ensemble contains itself: e -> a -> e"
