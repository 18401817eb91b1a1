"""What only the API needs to know from its environment: deadlines, periods, limits."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.security import Access
from serving.units import Unit


class ServingSettings(BaseSettings):
    """Rules of one API process (`MILLRACE_SERVING_*`); addresses are in `Settings`."""

    model_config = SettingsConfigDict(env_prefix="MILLRACE_SERVING_", frozen=True, extra="ignore")

    only: Unit | None = Field(None, description="Serve this unit alone; all when left out.")
    redis_deadline_ms: int = Field(100, ge=1, description="For one answer of Redis to a request.")
    cassandra_deadline_ms: int = Field(250, ge=1, description="The same of Cassandra.")
    kafka_deadline_ms: int = Field(3_000, ge=1, description="For Kafka to acknowledge a POST.")
    pause_s: float = Field(1.0, gt=0, description="How long a store that failed is left alone.")
    refresh_s: float = Field(1.0, gt=0, description="Period of item and trending refreshes.")
    champion_s: float = Field(5.0, gt=0, description="Period of looking at MLflow's @champion.")
    impressions_queued: int = Field(2_000, ge=1, description="More than this are dropped.")
    result_s: float = Field(60.0, ge=0, description="How long a result is good; 0: none is kept.")
    traces_share: float = Field(1.0, ge=0, le=1, description="The share of traces that is kept.")
    max_body_bytes: int = Field(1 << 20, ge=1, description="Larger request bodies get a 413.")
    blocked: frozenset[str] = Field(frozenset(), description="Item ids never offered (JSON list).")
    category_share: float = Field(
        0.34, gt=0, le=1, description="Largest part of a list that one leaf category has."
    )
    brand_share: float = Field(1.0, gt=0, le=1, description="The same of one brand; 1: no cap.")

    access: Access = Field(
        Access.KEYS,
        description="Who needs a key: `keys` everybody, `local` nobody on this machine and nobody "
        "else gets in, `anyone` only administrators.",
    )
    keys: Path = Field(Path(".millrace/keys.json"), description="File of `millrace keys`.")
    audit: Path = Field(Path(".millrace/audit.jsonl"), description="Where admin calls are noted.")
    per_s: float = Field(500, gt=0, description="Requests a second of one key or address.")
    burst: int = Field(1_000, ge=1, description="Requests it may send at once.")
    workers: int = Field(1, ge=1, description="API processes: with Redis out each grants a part.")
    slots: int = Field(20, ge=1, description="Reads at work at once, and as many writes.")
    queue: int = Field(64, ge=0, description="Requests that wait for a slot; more get a 503.")
    queue_ms: int = Field(250, ge=1, description="How long they wait before they get it too.")
    max_head_bytes: int = Field(16_384, ge=1_024, description="Path, query and headers.")
    body_deadline_s: float = Field(10.0, gt=0, description="A slower body gets a 408.")
    drain_s: float = Field(
        0.5, ge=0, description="How long answers say `Connection: close` before SIGTERM counts."
    )
    links: dict[str, str] = Field({}, description="Other pages that /status names (JSON object).")
    cors: frozenset[str] = Field(
        frozenset(), description="Origins of web pages that may call this API (JSON list)."
    )
