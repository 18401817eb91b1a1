"""Logs as JSON lines. No user, session or item id is ever logged."""

from __future__ import annotations

import logging
from typing import Final

import orjson

LOGGER: Final = "millrace.serving"


class JsonFormatter(logging.Formatter):
    """One object a line; `extra={"fields": …}` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(said, default=str).decode()


def configure() -> logging.Logger:
    """The API's own logger, writing to stderr; asking twice changes nothing."""
    logger = logging.getLogger(LOGGER)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger
