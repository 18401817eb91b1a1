"""What `make audit` makes of pip-audit's report."""

from __future__ import annotations

from typing import Any

import pytest

from infra.audit import verdict

FINE = {"name": "orjson", "version": "3.10", "vulns": []}
ADVISORY = {"id": "PYSEC-2024-1", "fix_versions": ["3.7"], "aliases": [], "description": ""}
BAD = {"name": "idna", "version": "3.6", "vulns": [ADVISORY]}
UNKNOWN = {"name": "millrace", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([FINE], 0, "1 packages audited, 0 unknown, 0 advisories"),
        ([FINE, UNKNOWN], 0, "1 packages audited, 1 unknown, 0 advisories"),
        ([FINE, BAD], 1, "idna 3.6: PYSEC-2024-1; mended in 3.7"),
        ([UNKNOWN], 0, "NOT AUDITED"),
        ([], 0, "NOT AUDITED"),
        (None, 0, "NOT AUDITED"),
    ],
)
def test_an_advisory_fails_and_silence_is_said_to_be_silence(
    packages: list[dict[str, Any]] | None, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdict(None if packages is None else {"dependencies": packages}) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(("ci", "loud"), [("true", True), ("", False)])
def test_ci_cannot_overlook_that_nothing_was_audited(
    ci: str, loud: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    assert verdict(None) == 0
    assert ("did NOT look for advisories" in capsys.readouterr().err) == loud
