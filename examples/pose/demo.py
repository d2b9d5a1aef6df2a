"""Serves the pose-estimation ensemble of this folder and sends it pictures.

It prints keypoints, latency and throughput, and draws the skeletons. `make demo` runs it in the
environment that it needs.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tritonclient.utils import InferenceServerException

from coco import keypoint_names
from drawing import draw_skeleton
from own_model import ModelFileError, write_repository
from pose_client import MODEL, CurlError, CurlRequest, Keypoints, PoseClient
from server_process import ServerError, ServerProcess, running_server

HERE = Path(__file__).resolve().parent
LATENCY_REQUESTS = 50
THROUGHPUT_SECONDS = 3.0
CONNECTIONS = 4


class DemoError(Exception):
    """What the user is told, without a traceback."""


def shown(path: Path) -> str:
    """A path to paste: relative where it lies below the current folder."""
    path, current = path.absolute(), Path.cwd()
    return str(path.relative_to(current) if path.is_relative_to(current) else path)


def find_pictures(chosen: Sequence[Path], output: Path) -> list[Path]:
    """The pictures of the user, or else those of this folder.

    Raises:
        DemoError: one does not exist, or two have the same name, which the drawings get too, or
            its drawing would take its place in ``output``.
    """
    pictures = list(chosen) or sorted((HERE / "images").glob("*.jpg"))
    if not pictures:
        raise DemoError(f"no pictures in {HERE / 'images'}")
    names = [picture.stem for picture in pictures]
    for picture in pictures:
        if not picture.is_file():
            raise DemoError(f"there is no picture {picture}")
        if names.count(picture.stem) > 1:
            raise DemoError(f"two pictures are called {picture.stem}: send one after the other")
        if (output / f"{picture.stem}.png").resolve() == picture.resolve():
            raise DemoError(f"the drawing would take the place of {picture}: see --output")
    return pictures


def send(client: PoseClient, pictures: Sequence[Path]) -> list[Keypoints]:
    """Send the pictures with tritonclient and print their keypoints.

    Raises:
        DemoError: the server refuses a picture.
    """
    answers = []
    for picture in pictures:
        try:
            keypoints = client.infer(client.inputs(picture))
        except InferenceServerException as error:
            raise DemoError(f"{picture}: {error.message()}") from error
        answers.append(keypoints)
        print(f"\n{shown(picture)}\n  {'keypoint':<16}{'x':>8}{'y':>8}{'score':>8}")
        for name, (x, y, score) in zip(keypoint_names(len(keypoints)), keypoints, strict=True):
            print(f"  {name:<16}{x:8.1f}{y:8.1f}{score:8.3f}")
    return answers


def send_with_curl(client: PoseClient, picture: Path, expected: Keypoints, output: Path) -> None:
    """Send a picture with curl, and print how.

    Raises:
        CurlError: there is no curl, or no answer.
        DemoError: the answer is not the ``expected`` one.
    """
    body = Path(shown(output / "request.bin"))
    request = CurlRequest.prepare(client, picture, body, Path(shown(output / "response.bin")))
    print(f"\nThe same with curl. {body} holds this JSON, then the picture's length and bytes:")
    print(f"  {request.header}\n\n  {shlex.join(request.command)}\n")
    if not np.allclose(request.send(), expected, atol=0.01):
        raise DemoError("curl was answered other keypoints than tritonclient")
    print(f"curl was answered the same keypoints of {shown(picture)}")


def measure(client: PoseClient, picture: Path) -> None:
    """Print latency and throughput."""
    inputs = client.inputs(picture)
    p50, p99 = np.percentile(client.latencies(inputs, LATENCY_REQUESTS), [50, 99])
    print(f"\nLatency, {LATENCY_REQUESTS} requests in turn: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    rate = asyncio.run(client.throughput(inputs, CONNECTIONS, THROUGHPUT_SECONDS))
    print(f"Throughput, {CONNECTIONS} connections: {rate:.1f} pictures per second\n")


def draw(pictures: Sequence[Path], answers: Sequence[Keypoints], output: Path) -> None:
    """Draw the skeletons. Raises DemoError for a picture that cannot be read again."""
    for picture, keypoints in zip(pictures, answers, strict=True):
        target = output / f"{picture.stem}.png"
        try:
            draw_skeleton(picture, keypoints, target)
        except OSError as error:
            raise DemoError(f"{picture}: its skeleton cannot be drawn: {error}") from error
        print(f"Skeleton drawn: {shown(target)}")


def demonstrate(address: str, pictures: Sequence[Path], output: Path) -> int:
    """Everything that is asked of a running server; the number of keypoints of its network."""
    client = PoseClient(address)
    answers = send(client, pictures)
    send_with_curl(client, pictures[0], answers[0], output)
    measure(client, pictures[0])
    draw(pictures, answers, output)
    return len(answers[0])


def keep_running(server: ServerProcess, picture: Path, keypoints: int) -> None:
    """Print commands to try, and wait for Ctrl-C. Raises ServerError if the server ends."""
    base = f"http://{server.http_address}/v2"
    model = f"{base}/models/{MODEL}"
    program = shlex.join([shown(Path(sys.executable)), shown(HERE / "demo.py")])
    name = shlex.quote(shown(picture))
    print(
        f"""
The server is left running. Try, in this folder:

  # Is it ready? What does it serve, how is that configured, how was it used?
  curl --include {base}/health/ready
  curl {model}
  curl {model}/config
  curl {model}/stats
  curl http://{server.metrics_address}/metrics

  # A picture as it is in the file; the answer's last bytes as rows of x, y, score
  curl --silent --data-binary @{name} \\
    --header 'Inference-Header-Content-Length: 0' \\
    --header 'Content-Type: application/octet-stream' \\
    {model}/infer | tail -c {keypoints * 12} | od -A n -t f4 -w12

  # This program, with pictures of your own
  {program} --url {server.http_address} --image {name}

Ctrl-C ends it.""",
        flush=True,
    )
    try:
        while True:
            server.check_running()
            time.sleep(0.5)
    except KeyboardInterrupt:
        print()


@contextmanager
def model_repository(model: Path | None, output: Path) -> Iterator[Path]:
    """The repository of this folder, or a temporary one below ``output`` that runs ``model``.

    Raises:
        ModelFileError: ``model`` does not fit.
    """
    if model is None:
        yield HERE / "model_repository"
        return
    with tempfile.TemporaryDirectory(prefix="model_repository_", dir=output) as folder:
        write_repository(model, HERE / "model_repository", Path(folder))
        yield Path(folder)


def parse_options() -> argparse.Namespace:
    """The flags of this program."""
    parser = argparse.ArgumentParser(description=__doc__)
    server = parser.add_mutually_exclusive_group()
    server.add_argument(
        "--keep", action="store_true", help="leave the server running, and print commands to try"
    )
    server.add_argument(
        "--url", metavar="HOST:PORT", help="send to a server that --keep left running"
    )
    parser.add_argument(
        "--model", type=Path, metavar="FILE.onnx",
        help="another pose network: float images [N, 3, height, width] in, heatmaps out",
    )  # fmt: skip
    parser.add_argument(
        "--image", type=Path, metavar="FILE", nargs="+", action="extend", default=[],
        help="other pictures than those of this folder: one person, who fills the picture",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", default=HERE / "out",
        help="where drawings and the server's log go (default: out/, beside this program)",
    )  # fmt: skip
    options = parser.parse_args()
    if options.url and options.model:
        parser.error("--model starts a server of its own: it does not go with --url")
    return options


def run(options: argparse.Namespace) -> None:
    """Do what the flags ask for."""
    pictures, output = find_pictures(options.image, options.output), options.output
    output.mkdir(parents=True, exist_ok=True)
    if options.url:
        demonstrate(options.url, pictures, output)
        return
    log = output / "server.log"
    with (
        model_repository(options.model, output) as repository,
        running_server(repository, log) as server,
    ):
        keypoints = demonstrate(server.http_address, pictures, output)
        if options.keep:
            keep_running(server, pictures[0], keypoints)


def main() -> None:
    """Run the demo; exit status 1 and one line on standard error where it fails."""
    # As Ctrl-C does, SIGTERM ends the server too, which is in a session of its own.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        run(parse_options())
    except (DemoError, CurlError, ModelFileError, ServerError, OSError) as error:
        sys.exit(f"error: {error}")
    except InferenceServerException as error:
        sys.exit(f"error: {error.message()}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
