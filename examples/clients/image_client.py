"""Sends pictures to an image classification model and prints the classes that it finds.

    python image_client.py -m squeezenet -c 3 -s VGG mug.jpg

Flags and output are those of Triton's Python client of the same name. Which input and output the
model has, of which size, layout and datatype, is asked from the server.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tritonclient import http
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

CHANNEL_MEANS = {1: (128,), 3: (123, 117, 104)}  # of ImageNet: grey, or red, green and blue


class ClientError(Exception):
    """What the user is told, without a traceback."""


@dataclass(frozen=True)
class Classifier:
    """How a model takes pictures and where it gives the scores of classes.

    Attributes:
        channels_first: pictures are [C, H, W], otherwise [H, W, C].
        batched: there is an axis of rows before these.
    """

    input_name: str
    output_name: str
    datatype: str
    width: int
    height: int
    channels: int
    channels_first: bool
    batched: bool

    @classmethod
    def from_server(cls, metadata: dict[str, Any], config: dict[str, Any]) -> Classifier:
        """Take what a server says about a model.

        Raises:
            ClientError: the model has another form than an image classifier.
        """
        name = metadata["name"]
        for kind in ("inputs", "outputs"):
            if len(metadata[kind]) != 1:
                found = ", ".join(tensor["name"] for tensor in metadata[kind])
                raise ClientError(f"model '{name}' must have one of {kind}; it has {found}")
        (tensor,), (output,) = metadata["inputs"], metadata["outputs"]
        batched = config.get("max_batch_size", 0) > 0
        shape, scores = tensor["shape"][batched:], output["shape"][batched:]
        if tensor["datatype"] == "BYTES" or len(shape) != 3 or min(shape) < 1:
            raise ClientError(
                f"model '{name}' input '{tensor['name']}' must be numbers of fixed channels, "
                f"height and width; it is {tensor['datatype']} {shape}"
            )
        if output["datatype"] == "BYTES" or sum(size != 1 for size in scores) != 1:
            raise ClientError(
                f"model '{name}' output '{output['name']}' must be a vector of scores; "
                f"it is {output['datatype']} {scores}"
            )
        layout = config["input"][0].get("format", "FORMAT_NONE")
        channels_first = layout == "FORMAT_NCHW" or (
            layout == "FORMAT_NONE" and shape[0] in CHANNEL_MEANS
        )
        channels, height, width = shape if channels_first else (shape[2], shape[0], shape[1])
        if channels not in CHANNEL_MEANS:
            text = f"model '{name}' takes pictures of {channels} channels, not 1 or 3: {shape}"
            raise ClientError(text)
        return cls(
            tensor["name"], output["name"], tensor["datatype"],
            width, height, channels, channels_first, batched,
        )  # fmt: skip

    def tensor(self, path: Path, scaling: str) -> NDArray[Any]:
        """The picture in a file as one row of the model's input.

        Args:
            path: a file that Pillow reads.
            scaling: ``INCEPTION`` to -1..1, ``VGG`` minus the means of ImageNet, ``NONE`` 0..255.

        Raises:
            ClientError: the file is no picture.
        """
        try:
            with Image.open(path) as file:
                picture = file.convert("L" if self.channels == 1 else "RGB")
        except OSError as error:
            raise ClientError(f"{path}: {error}") from error
        picture = picture.resize((self.width, self.height), Image.Resampling.BILINEAR)
        pixels = np.asarray(picture, np.float32).reshape(self.height, self.width, self.channels)
        if scaling == "INCEPTION":
            pixels = pixels / 127.5 - 1
        elif scaling == "VGG":
            pixels = pixels - np.array(CHANNEL_MEANS[self.channels], np.float32)
        if self.channels_first:
            pixels = pixels.transpose(2, 0, 1)
        return pixels.astype(triton_to_np_dtype(self.datatype))


def picture_files(path: Path) -> list[Path]:
    """The file at ``path``, or those of the folder there. Raises ClientError if there is none."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    if not files:
        raise ClientError(f"no pictures in folder {path}")
    if not files[0].is_file():
        raise ClientError(f"there is no picture {path}")
    return files


def batches(rows: Sequence[NDArray[Any]], size: int) -> Iterator[list[NDArray[Any]]]:
    """Groups of ``size`` rows; the last is filled up from the start, over and over if need be."""
    for start in range(0, len(rows), size):
        yield [rows[index % len(rows)] for index in range(start, start + size)]


def classify(options: argparse.Namespace, client: http.InferenceServerClient) -> None:
    """Send the pictures and print the classes of each.

    Raises:
        ClientError: model, pictures and flags do not go together.
        InferenceServerException: the server refuses a request.
    """
    version = options.model_version
    model = Classifier.from_server(
        client.get_model_metadata(options.model_name, version),
        client.get_model_config(options.model_name, version),
    )
    if options.batch_size > 1 and not model.batched:
        raise ClientError(f"model '{options.model_name}' does not batch: --batch-size must be 1")
    rows = [model.tensor(file, options.scaling) for file in picture_files(options.image_filename)]
    output = http.InferRequestedOutput(
        model.output_name, binary_data=True, class_count=options.classes
    )
    infer = client.async_infer if options.async_set else client.infer
    results = []
    for index, batch in enumerate(batches(rows, options.batch_size), 1):
        data = np.ascontiguousarray(np.stack(batch) if model.batched else batch[0])
        tensor = http.InferInput(model.input_name, data.shape, model.datatype)
        tensor.set_data_from_numpy(data)
        results.append(
            infer(
                options.model_name, [tensor],
                model_version=version, request_id=str(index), outputs=[output],
            )
        )  # fmt: skip
    for index, result in enumerate(results, 1):
        answer = result.get_result() if options.async_set else result
        print(f"Request {index}, batch size {options.batch_size}")
        for text in answer.as_numpy(model.output_name).reshape(-1):
            value, number, *label = text.decode().split(":", 2)
            print(f"    {value} ({number})" + "".join(f" = {name}" for name in label))


def positive(text: str) -> int:
    """A number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def parse_options() -> argparse.Namespace:
    """The flags of this program."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("-v", "--verbose", action="store_true", help="print what is sent and received")
    add(
        "-a", "--async", dest="async_set", action="store_true",
        help="send all requests before the first answer is waited for",
    )  # fmt: skip
    add("-m", "--model-name", required=True, help="name of the model")
    add("-x", "--model-version", default="", help="version of the model (default: the latest)")
    add("-b", "--batch-size", type=positive, default=1, help="pictures per request (default: 1)")
    add("-c", "--classes", type=positive, default=1, help="classes per picture (default: 1)")
    add(
        "-s", "--scaling", choices=("NONE", "INCEPTION", "VGG"), default="NONE",
        help="of pixel values: 0..255, -1..1, or minus the means of ImageNet (default: NONE)",
    )  # fmt: skip
    add("-u", "--url", default="localhost:8000", help="host:port (default: localhost:8000)")
    add("-i", "--protocol", type=str.upper, choices=("HTTP",), default="HTTP", help="HTTP")
    add("image_filename", type=Path, metavar="IMAGE", help="a picture, or a folder of pictures")
    return parser.parse_args()


def main() -> None:
    """Run the client; exit status 1 and one line on standard error where it fails."""
    options = parse_options()
    try:
        # On one connection, requests would wait for each other's answers.
        with http.InferenceServerClient(
            options.url, verbose=options.verbose, concurrency=8 if options.async_set else 1
        ) as client:
            classify(options, client)
    except (ClientError, OSError) as error:
        sys.exit(f"error: {error}")
    except InferenceServerException as error:
        sys.exit(f"error: {error.message()}")
    print("PASS")


if __name__ == "__main__":
    main()
