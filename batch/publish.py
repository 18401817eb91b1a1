"""Publishing: a bundle goes into the registry, and if the gate let it pass to `@champion`.

Everything here may be done twice: a version is known by its night, and an alias is moved in one
step, so whoever follows it meets the old bundle or the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from batch.gate import Verdict
from models.registry import NIGHT, ROLLED_BACK, Registry, Version
from models.tracking import Record

#: Tags of a version that say what the gate thought of it.
VERDICT, REASONS = "gate", "gate_reasons"


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a bundle: its version, who is champion now, and the verdict that held."""

    version: Version
    champion: Version | None
    verdict: Verdict


def publish(
    registry: Registry,
    night: str,
    path: Path,
    measured: Path,
    verdict: Verdict,
    describe: Callable[[], Record],
) -> Published:
    """Registers the bundle and promotes it if the gate lets it pass.

    A bundle that is the champion already (the same night run twice) is not registered again. One
    that a person took back does not return by a rerun of its night, whatever the gate said of it.
    """
    champion = registry.champion()
    if champion and champion.bundle_id == path.name:
        return Published(champion, champion, verdict)
    version = registry.of_night(night) or registry.publish(
        path, describe(), {NIGHT: night}, measured
    )
    if ROLLED_BACK in version.tags:
        reason = f"version {version.version}, the same bundle, was rolled back by hand"
        verdict = replace(verdict, reasons=(*verdict.reasons, reason))
    said = {VERDICT: "passed" if verdict.passed else "refused"}
    said[REASONS] = "; ".join((*verdict.reasons, *verdict.notes)) or "none"
    registry.tag(version, said)
    registry.challenge(version)
    if verdict.passed:
        registry.promote(version)
        champion = version
    return Published(version, champion, verdict)
