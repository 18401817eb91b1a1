"""Writes the JSON Schema of each topic's messages (`make schemas`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from feature_store.events import MESSAGES, json_schema


def write(directory: Path) -> None:
    """One file per topic, as committed under `docs/schemas/`."""
    for topic in MESSAGES:
        text = json.dumps(json_schema(topic), indent=2)
        (directory / f"{topic}.json").write_text(text + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
