"""What ``--trace-config`` takes."""

from __future__ import annotations

from typing import Any

import pytest

from despina import Code, DespinaError
from despina.settings import Settings
from despina.settings.trace import TraceConfig, trace_config


def test_without_the_flag_nothing_is_traced():
    assert trace_config(Settings()) == TraceConfig()


def test_each_key_is_read():
    given = (
        "level=TIMESTAMPS",
        "level=TENSORS",
        "rate=5",
        "count=7",
        "mode=triton",
        "triton,file=/a=b,c",
        "triton,log-frequency=3",
        "opentelemetry,url=https://x/y",
        "opentelemetry,resource=a=b=c",
        "opentelemetry,bsp_max_queue_size=10",
    )
    assert trace_config(Settings(trace_config=given)) == TraceConfig(
        level=("TIMESTAMPS", "TENSORS"),
        rate=5,
        count=7,
        mode="triton",
        file="/a=b,c",
        log_frequency=3,
        url="https://x/y",
        resource=(("a", "b=c"),),
        bsp=(("max_queue_size", 10),),
    )


def test_off_takes_back_what_was_said_before():
    given = ("level=TIMESTAMPS", "level=OFF")
    assert trace_config(Settings(trace_config=given)).level == ()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"trace_config": ("level",)}, "'level' is not [MODE,]KEY=VALUE"),
        ({"trace_config": ("levels=OFF",)}, "there is no key 'levels'; did you mean 'level'?"),
        ({"trace_config": ("triton,path=x",)}, "there is no key 'triton,path'"),
        ({"trace_config": ("tritn,file=x",)}, "there is no mode 'tritn'; did you mean 'triton'?"),
        ({"trace_config": ("level=ALL",)}, "level: 'ALL' is none of OFF, TIMESTAMPS, TENSORS"),
        ({"trace_config": ("rate=x",)}, "rate: 'x' is not a whole number"),
        ({"trace_config": ("rate=-1",)}, "rate: -1 is not between 0 and 4294967295"),
        ({"trace_config": ("rate=0",)}, "rate=0 is for mode=opentelemetry"),
        ({"trace_config": ("count=-2",)}, "count: -2 is not between -1 and "),
        ({"trace_config": ("mode=jaeger",)}, "mode: 'jaeger' is none of triton, opentelemetry"),
        ({"trace_config": ("opentelemetry,url=x",)}, "url: 'x' does not begin with http://"),
        ({"trace_config": ("opentelemetry,resource=x",)}, "resource: 'x' is not KEY=VALUE"),
        (
            {"trace_config": ("opentelemetry,bsp_max_queue_size=0",)},
            "bsp_max_queue_size: 0 is not between 1 and ",
        ),
        (
            {"trace_config": ("mode=opentelemetry", "level=TENSORS")},
            "level=TENSORS cannot go with mode=opentelemetry",
        ),
        (
            {"trace_config": ("rate=1",), "trace_rate": "2"},
            "cannot go with --trace-rate, which it replaces",
        ),
    ],
)
def test_what_cannot_be_is_refused(flags: dict[str, Any], text: str):
    with pytest.raises(DespinaError) as raised:
        trace_config(Settings(**flags))
    assert raised.value.code is Code.INVALID_ARGUMENT
    assert raised.value.message.startswith(f"--trace-config: {text}")
