"""What only the API needs to know from its environment: deadlines, periods, limits."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServingSettings(BaseSettings):
    """Rules of one API process (`MILLRACE_SERVING_*`); addresses are in `Settings`."""

    model_config = SettingsConfigDict(env_prefix="MILLRACE_SERVING_", frozen=True, extra="ignore")

    redis_deadline_ms: int = Field(100, ge=1, description="For one answer of Redis to a request.")
    cassandra_deadline_ms: int = Field(250, ge=1, description="The same of Cassandra.")
    kafka_deadline_ms: int = Field(3_000, ge=1, description="For Kafka to acknowledge a POST.")
    pause_s: float = Field(1.0, gt=0, description="How long a store that failed is left alone.")
    refresh_s: float = Field(1.0, gt=0, description="Period of item and trending refreshes.")
    champion_s: float = Field(5.0, gt=0, description="Period of looking at MLflow's @champion.")
    impressions_queued: int = Field(2_000, ge=1, description="More than this are dropped.")
    max_body_bytes: int = Field(1 << 20, ge=1, description="Larger request bodies get a 413.")
    blocked: frozenset[str] = Field(frozenset(), description="Item ids never offered (JSON list).")
    category_share: float = Field(
        0.34, gt=0, le=1, description="Largest part of a list that one leaf category has."
    )
    brand_share: float = Field(1.0, gt=0, le=1, description="The same of one brand; 1: no cap.")
