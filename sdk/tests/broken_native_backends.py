"""Native backends that each break one promise of the contract, under the conformance tests.

Not collected by itself: ``test_native_conformance_catches.py`` builds the libraries, runs it, and
looks at what fails.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from despina_sdk import Array, ModelSpec
from despina_sdk.testing.native_conformance import NativeBackendConformance

LIBRARIES = Path(os.environ["DESPINA_BROKEN_LIBRARIES"])


def request(first: float, second: float) -> dict[str, Array]:
    text = np.array([[b"mug"]], object)
    return {"X": np.array([[first, second]], np.float32), "TEXT": text}


class Suite(NativeBackendConformance):
    time_limit: ClassVar[float] = 5.0
    cycles: ClassVar[int] = 5

    @pytest.fixture
    def spec(self) -> ModelSpec:
        config = {"model_transaction_policy": {"decoupled": True}}
        return ModelSpec("broken", "1", Path("broken/1"), 8, config=config)

    @pytest.fixture
    def sample(self) -> dict[str, Array]:
        return request(1, 2)


TWICE = {"Y": np.array([[2, 4]], np.float32)}
ONCE = {"Y": np.array([[1, 2]], np.float32)}
QUIRKS: dict[str, dict[str, Any]] = {
    "BlocksForEver": {"time_limit": 1.0},
    "DetachesAndForgets": {"time_limit": 1.0},
    "ForgetsCancelledRequests": {"time_limit": 1.0},
    "FailsAWholeBatch": {"fails_on": request(-1, 2)},
    "NeverLoads": {"time_limit": 1.0},
    "ReleasesNothing": {"cycles": NativeBackendConformance.cycles},
    "BlocksInACancellation": {"slow": request(9, 9), "cancel_seconds": 0.1, "time_limit": 1.0},
    "HearsNoCancellation": {"slow": request(9, 9), "cancel_seconds": 0.1},
    "LeaksMemory": {"cycles": NativeBackendConformance.cycles},
    "SendsInTheWrongOrder": {"expected_parts": [ONCE, TWICE, TWICE]},
    "ReadsPastItsInput": {"source": LIBRARIES},
    "LeaksWhatIsRefused": {"source": LIBRARIES},
    "Overflows": {"source": LIBRARIES},
}

for library in LIBRARIES.glob("libdespina_*.so"):
    fault = library.stem.removeprefix("libdespina_")
    members = {"native_backend": library, **QUIRKS.get(fault, {})}
    globals()[f"Test{fault}"] = type(f"Test{fault}", (Suite,), members)
