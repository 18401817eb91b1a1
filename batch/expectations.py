"""The one place that knows Great Expectations: numbers are checked, and pages say what was found.

A suite looks at one row of numbers, so nothing passes for want of rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from batch.suites import Check, applicable

SITE: Final = "lake"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a suite is about (`day 2026-03-10`), its numbers, and what they must be."""

    name: str
    measures: Mapping[str, float]
    checks: Sequence[Check]


def examine(subjects: Sequence[Subject], docs: Path) -> list[str]:
    """Runs every suite; returns a sentence for each failure, and writes Data Docs into `docs`."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    context.add_data_docs_site(site_name=SITE, site_config=_site(docs))
    source = context.data_sources.add_pandas("nightly")
    failures: list[str] = []
    for subject in subjects:
        failures += _examined(gx, context, source, subject)
    context.build_data_docs(site_names=[SITE])
    return failures


def _examined(gx: Any, context: Any, source: Any, subject: Subject) -> list[str]:
    import pandas as pd

    checks = applicable(subject.checks, subject.measures)
    expectations = [
        gx.expectations.ExpectColumnValuesToBeBetween(
            column=check.measure,
            min_value=check.least,
            max_value=check.most,
            meta={"notes": check.because},
        )
        for check in checks
    ]
    expectations.append(gx.expectations.ExpectTableRowCountToEqual(value=1))
    suite = context.suites.add(gx.ExpectationSuite(subject.name, expectations))
    asset = source.add_dataframe_asset(subject.name)
    definition = gx.ValidationDefinition(
        name=subject.name,
        data=asset.add_batch_definition_whole_dataframe(subject.name),
        suite=suite,
    )
    frame = pd.DataFrame([dict(subject.measures)])
    run = context.validation_definitions.add(definition).run(batch_parameters={"dataframe": frame})
    failed = {r.expectation_config.kwargs.get("column") for r in run.results if not r.success}
    return [_sentence(subject, check) for check in checks if check.measure in failed]


def _sentence(subject: Subject, check: Check) -> str:
    value = subject.measures[check.measure]
    limits = [
        *([f"at least {check.least:g}"] if check.least is not None else []),
        *([f"at most {check.most:g}"] if check.most is not None else []),
    ]
    expected = f"{check.least:g}" if check.least == check.most else " and ".join(limits)
    return f"{subject.name}: {check.measure} is {value:.3g}, expected {expected}: {check.because}"


def _site(docs: Path) -> dict[str, Any]:
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    return {"class_name": "SiteBuilder", "site_index_builder": index, "store_backend": store}
