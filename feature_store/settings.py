"""What the environment says, read once in an entry point and passed down."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_NAMESPACE = "millrace"


class Settings(BaseSettings):
    """Addresses and rules that every process of one deployment shares (`MILLRACE_*`)."""

    model_config = SettingsConfigDict(env_prefix="MILLRACE_", frozen=True, extra="ignore")

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers.")
    redis: str = Field("redis://127.0.0.1:6379/0", description="Hot store.")
    cassandra: str = Field("127.0.0.1:9042", description="Kept store, host:port.")
    cassandra_replication: int = Field(1, ge=1, le=9, description="Copies of every row.")
    mlflow: str = Field("http://127.0.0.1:5000", description="MLflow tracking server.")
    namespace: str = Field(DEFAULT_NAMESPACE, pattern=r"^[a-z][a-z0-9_]{0,30}$")
    features: str = Field("feature_store.features", description="Module with `FEATURES`.")
    horizon_hours: int = Field(48, ge=1, description="H: younger tiles belong to the stream.")
    epoch: int = Field(0, ge=0, le=65_535, description="Rises with repairs and upgrades.")
    lake: Path = Field(Path(".millrace/lake"), description="Master dataset (Parquet).")
    traces: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="OTLP/HTTP endpoint of traces, with its path; empty: none.",
    )
    bundles: Path = Field(Path(".millrace/bundles"), description="Local copies of bundles.")

    @property
    def horizon_ms(self) -> int:
        """H in milliseconds."""
        return self.horizon_hours * 3_600_000

    def topic(self, name: str) -> str:
        """A topic's name on the broker: namespaces keep tests and tenants apart."""
        return name if self.namespace == DEFAULT_NAMESPACE else f"{self.namespace}.{name}"
