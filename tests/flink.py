"""A Flink cluster inside the test's own process."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

from feature_store.reference import Message


def local_flink(**options: str) -> Any:
    """A table environment that has the connectors and what of the job runs in the JVM.

    Python collects no garbage until the test is over (`tests/conftest.py`). An environment must be
    used on the Java thread that made it (FLINK-23020); a proxy that dies on another thread of ours,
    or in the middle of a call, makes a second connection, and so a second Java thread.
    """
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.table import StreamTableEnvironment
    from pyflink.util.java_utils import add_jars_to_context_class_loader

    from infra.stack.jars import jars

    gc.collect()
    gc.disable()
    urls = [jar.as_uri() for jar in (*jars("flink"), *jars("streaming"))]
    add_jars_to_context_class_loader(urls)
    config = Configuration()
    for key, value in {
        "parallelism.default": "1",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": "50 ms",
        "table.exec.mini-batch.size": "3",
        "pipeline.jars": ";".join(urls),
        **options,
    }.items():
        config.set_string(key, value)
    return StreamTableEnvironment.create(
        StreamExecutionEnvironment.get_execution_environment(config)
    )


def arrived(t_env: Any, messages: Sequence[Message]) -> Any:
    """The messages as a table, as `streaming/sources.py` reads them; all are traced."""
    from pyflink.table import DataTypes

    kinds = {
        "message_key": DataTypes.BYTES(),
        "message": DataTypes.BYTES(),
        "partition": DataTypes.INT(),
        "offset": DataTypes.BIGINT(),
        "appended": DataTypes.BIGINT(),
        "traceparent": DataTypes.STRING(),
    }
    rows = [
        (
            None,
            None if m.value is None else bytearray(m.value),
            m.partition,
            m.offset,
            m.append_time,
            traceparent(m.offset),
        )
        for m in messages
    ]
    fields = [DataTypes.FIELD(name, kind) for name, kind in kinds.items()]
    return t_env.from_elements(rows, DataTypes.ROW(fields))


def traceparent(offset: int) -> str:
    """The header of the message there."""
    return f"00-{0xACE:032x}-{offset + 1:016x}-01"
