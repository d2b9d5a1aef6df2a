"""The same models for both servers: each folder has what either of them needs."""

from __future__ import annotations

from pathlib import Path

from harness.repository import DATATYPES, add_model, ensemble, step, tensor

MIRROR = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            outputs = [
                pb_utils.Tensor(tensor.name().replace("INPUT", "OUTPUT"), tensor.as_numpy())
                for tensor in request.inputs()
            ]
            answers.append(pb_utils.InferenceResponse(outputs))
        return answers
"""
"""``1/model.py`` of a model that gives INPUT<i> as OUTPUT<i>."""

REPEAT = """import numpy
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            values = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy().reshape(-1)
            for index, value in enumerate(values):
                out = pb_utils.Tensor("OUT", numpy.array([value], numpy.int32))
                number = pb_utils.Tensor("IDX", numpy.array([index], numpy.uint32))
                sender.send(pb_utils.InferenceResponse([out, number]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
"""The same of a decoupled model that gives each element of IN."""


class Repositories:
    """A folder of models for each of the two servers."""

    def __init__(self, root: Path) -> None:
        """Writes all models."""
        self.ours, self.theirs = root / "despina", root / "triton"
        for datatype in DATATYPES:
            if datatype != "BF16":  # which Triton's Python backend does not give as an array
                self.mirror(f"any_{datatype.lower()}", [("0", datatype, [-1])], max_batch_size=0)
        self.mirror("batched", [("0", "FP32", [-1])], max_batch_size=4)
        self.mirror("counted", [("0", "FP32", [-1])], max_batch_size=4)
        self.mirror("plain", [("0", "FP32", [3])], max_batch_size=0)
        self.mirror("pair", [("0", "INT32", [2]), ("1", "FP32", [-1])], max_batch_size=8)
        self.mirror("optional", [("0", "FP32", [2]), ("1", "INT8", [-1])], optional=("1",))
        self.mirror("fixed", [("0", "INT64", [2, 3])], max_batch_size=0)
        self.mirror("text", [("0", "BYTES", [1])], max_batch_size=4)
        self.mirror("versions", [("0", "FP32", [1])], versions=(1, 3), extra=ALL_VERSIONS)
        self.mirror("classes", [("0", "FP32", [4])], labels="CAT\nDOG\nMUG\n")
        self.mirror("other", [("0", "FP32", [1])])
        self.repeat()
        self.chain()
        self.served = [each.name for each in self.ours.iterdir()]
        self.both("broken", 'backend: "nobody"\n')

    def mirror(
        self,
        name: str,
        tensors: list[tuple[str, str, list[int]]],
        *,
        max_batch_size: int = 0,
        optional: tuple[str, ...] = (),
        versions: tuple[int, ...] = (1,),
        labels: str = "",
        extra: str = "",
    ) -> None:
        """A model that gives back what it gets."""
        lines = [f"max_batch_size: {max_batch_size}", extra]
        for suffix, datatype, dims in tensors:
            entry = tensor(f"INPUT{suffix}", datatype, dims)
            if suffix in optional:
                entry = entry.replace("}", "optional: true }")
            lines.append(f"input [ {entry} ]")
            entry = tensor(f"OUTPUT{suffix}", datatype, dims)
            if labels:
                entry = entry.replace("}", 'label_filename: "labels.txt" }')
            lines.append(f"output [ {entry} ]")
        config = "\n".join([*lines, "instance_group [ { kind: KIND_CPU } ]\n"])
        files = {"labels.txt": labels.encode()} if labels else {}
        for version in versions:
            code = {f"{version}/model.py": MIRROR.encode()}
            add_model(self.theirs, name, f'backend: "python"\n{config}', {**files, **code})
            (self.ours / name / str(version)).mkdir(parents=True)
        add_model(self.ours, name, f'backend: "identity_python"\n{config}', files)

    def repeat(self) -> None:
        """A decoupled model."""
        given = [
            tensor(*each)
            for each in (("IN", "INT32", [-1]), ("DELAY", "UINT32", [-1]), ("WAIT", "UINT32", [1]))
        ]
        made = [tensor("OUT", "INT32", [1]), tensor("IDX", "UINT32", [1])]
        config = (
            "model_transaction_policy { decoupled: true }\n"
            f"input [ {', '.join(given)} ]\noutput [ {', '.join(made)} ]\n"
            "instance_group [ { kind: KIND_CPU } ]\n"
        )
        add_model(self.ours, "repeat", f'backend: "repeat_python"\n{config}')
        code = {"1/model.py": REPEAT.encode()}
        add_model(self.theirs, "repeat", f'backend: "python"\n{config}', code)

    def chain(self) -> None:
        """An ensemble of the batched model, twice."""
        steps = [
            step("batched", {"INPUT0": "IN"}, {"OUTPUT0": "mid"}),
            step("batched", {"INPUT0": "mid"}, {"OUTPUT0": "OUT"}),
        ]
        ends = [tensor("IN", "FP32", [-1])], [tensor("OUT", "FP32", [-1])]
        self.both("chain", ensemble(*ends, steps, max_batch_size=4))

    def both(self, name: str, config: str) -> None:
        """A model whose configuration says all."""
        add_model(self.ours, name, config)
        add_model(self.theirs, name, config)


ALL_VERSIONS = "version_policy { all { } }"
