"""Tonight: what each stage of the nightly does, and what it hands to the next one through disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from batch.answers import landed_from
from batch.beyond import beyond
from batch.canary import try_canary
from batch.compare import compare, remember
from batch.explain import days, drift, keep
from batch.files import read_json, write_json
from batch.fit import fit_content
from batch.gate import Evidence, Verdict, judge
from batch.history import read
from batch.lake import Lake
from batch.land import land
from batch.learn import Lesson, Teacher, learn, training_cuts
from batch.need import Learned, Need, need
from batch.outcomes import Outcomes
from batch.precompute import precompute
from batch.progress import Progress
from batch.publish import publish
from batch.recipe import Recipe
from batch.reconcile import reconcile
from batch.recount import recount
from batch.rematch import rematch
from batch.report import Story, describe, params, refusal, skipped
from batch.shown import shown
from batch.stages import BEGUN, Facts, Night, made_by
from batch.validate import validate
from feature_store.declaration import Declaration, load
from feature_store.events import WEIGHTS
from feature_store.settings import Settings
from feature_store.topics import IMPRESSIONS, INTERACTIONS, TOPICS
from models import bundle
from models.bundle import Bundle
from models.registry import NIGHT, Registry, RegistryUnavailable
from models.sources import Sources
from models.tracking import Record

STAGES: Final = 9


@dataclass(frozen=True)
class Tonight:
    """One run of the nightly; a stage that a killed run finished is read from disk."""

    spark: SparkSession
    settings: Settings
    declaration: Declaration
    recipe: Recipe
    night: Night

    @classmethod
    def begin(
        cls, spark: SparkSession, settings: Settings, recipe: Recipe, go_on: bool = True
    ) -> Tonight:
        """Lands what is new; to `go_on`, a night that was killed is finished first, without."""
        declaration, lake = load(settings.features), Lake(settings.lake)
        progress = Progress("nightly", STAGES)
        night = Night.of(settings, declaration, recipe, progress)
        with progress.stage("land") as said:
            if go_on and night.unfinished:
                said.append(f"going on with night {night.key}, which was not finished")
                return cls(spark, settings, declaration, recipe, night)
            landings = land(spark, settings, lake)
            said.append(f"{sum(landing.rows for landing in landings)} new messages")
            said += [f"{x.lost} of {x.topic} LOST to retention" for x in landings if x.lost]
        night = Night.of(settings, declaration, recipe, progress)
        new = {landing.topic: asdict(landing) for landing in landings}
        night.begin({"new": new})
        return cls(spark, settings, declaration, recipe, night)

    @property
    def lake(self) -> Lake:
        """The master dataset."""
        return Lake(self.settings.lake)

    @cached_property
    def teacher(self) -> Teacher:
        """The history, read when the first stage wants it; raises `NothingToLearn`."""
        history = read(self.spark, self.settings, self.lake)
        began, *_, until = training_cuts(history.start, history.end, self.recipe)
        lists = landed_from(self.lake, self.settings.topic(IMPRESSIONS.name), began)
        return Teacher(
            self.spark, self.declaration, history, fit_content(history), self.recipe,
            shown(lists, history, until),
        )  # fmt: skip

    @cached_property
    def registry(self) -> Registry:
        """MLflow; raises `RegistryUnavailable` when it is asked something and does not answer."""
        return Registry(self.settings.mlflow, self.settings.namespace, patience_s=60)

    def landed(self) -> Facts:
        """What lies in the lake now, and what of it came tonight."""
        topics = {name: self.lake.landed(name) for name in self._topics()}
        return {
            "night": self.night.key,
            "landed": {name: {"rows": x.rows, "invalid": x.invalid} for name, x in topics.items()},
            "offsets": {name: x.offsets for name, x in topics.items()},
            "new": (self.night.said(BEGUN) or {}).get("new", {}),
        }

    def validate(self) -> Facts:
        """The data gate; raises `DataRefused`."""

        def work(said: list[str]) -> Facts:
            found = validate(self.spark, self.settings, self.lake, self.night.root / "data_docs")
            said.append(f"{found.checks} checks, {len(found.failures)} failed")
            if found.failures:
                self.night.finish({"refused": found.failures})  # the next run lands first
                self._note(refusal(self.night.key, found))
            found.require()
            return {"checks": found.checks, "judged": found.measures}

        return self.night.stage("validate", work)

    def recount(self) -> Facts:
        """Every tile again."""

        def work(said: list[str]) -> Facts:
            counted = recount(self.spark, self.settings, self.declaration, self.lake)
            said.append(f"{counted.tiles} tiles, {counted.late} events came late")
            return {"tiles": counted.tiles, "late": counted.late}

        return self.night.stage("recount", work)

    def reconcile(self) -> Facts:
        """What the batch layer owns is put right in both stores; the drift of the stream."""

        def work(said: list[str]) -> Facts:
            done = reconcile(self.settings, self.lake, self.declaration.fingerprint)
            said.extend(str(one) for one in done)
            missed = [one.store for one in done if one.unavailable]
            return {"reconciled": [asdict(one) for one in done], "missed": missed}

        return self.night.stage("reconcile", work)

    def need(self) -> Need:
        """Whether there is reason to learn."""
        if (self.night.said("precompute") or {}).get("missed"):
            return Need(True, "not every store has the lists made in advance")
        last = Learned.of(read_json(self._memory))
        champion = self.registry.champion() is not None
        return need(
            last, self._learned(), champion, lambda: drift(days(self.teacher.history), "category")
        )

    def compare(self) -> Facts:
        """What serving ranked with beside the log: the skew that the gate judges."""

        def work(said: list[str]) -> Facts:
            into = self.night.root / "served"
            found = compare(self.settings, self.lake, self.registry, self.teacher, into)
            said.append(str(found))
            return found.facts()

        return self.night.stage("compare", work)

    def learn(self) -> Facts:
        """Learns, measures, and writes two bundles: the one to publish and the one measured."""
        return self.night.stage("learn", self._learn)

    def judge(self) -> Facts:
        """The gate; asked again when another champion has come since."""
        champion = self.registry.champion()
        ours = champion is not None and champion.tags.get(NIGHT) == self.night.key
        rival = champion.version if champion else None
        before = self.night.said("judge")
        return self.night.stage(
            "judge", self._judge, always=bool(before and not ours and before["rival"] != rival)
        )

    def publish(self) -> Facts:
        """The registry, and `@champion` if the gate let it pass."""

        def work(said: list[str]) -> Facts:
            verdict = Verdict(**self._done("judge")["gate"])
            path, measured = self._bundle("bundle"), self._bundle("measured")
            done = publish(self.registry, self.night.key, path, measured, verdict, self._describe)
            said.append(f"{path.name} {'promoted' if done.verdict.passed else 'not promoted'}")
            champion = done.champion
            return {
                "gate": asdict(done.verdict),
                "bundle": path.name,
                "version": done.version.version,
                "champion": champion.version if champion else None,
                "champion_bundle": champion.bundle_id if champion else None,
            }

        return self.night.stage("publish", work, always=True)

    def precompute(self) -> Facts:
        """Lists made in advance by the champion, when tonight made it."""

        def work(said: list[str]) -> Facts:
            done, missed = self._done("publish"), list[str]()
            if done["champion"] != done["version"]:
                said.append("the lists of an earlier champion stay")
            else:
                loaded = Bundle.load(self._bundle("bundle"), self.declaration)
                told, missed = precompute(self.settings, self.teacher, loaded, self.night.began_at)
                said += told
            return {"lists": list(said), "missed": missed}

        return self.night.stage("precompute", work)

    def skip(self, facts: Mapping[str, Any]) -> Facts:
        """Who goes on serving, on a night that had no reason to learn; its run says why."""
        found = self.registry.champion()
        assert found is not None, "without a champion there is a need to learn"
        self._note(skipped(self.night.key, self.night.root / "data_docs", facts))
        return {"champion": found.version, "champion_bundle": found.bundle_id}

    def finish(self, facts: Mapping[str, Any]) -> Facts:
        """Closes the night and remembers what was learned from; returns the summary."""
        summary = {**facts, "seconds": self.night.progress.seconds}
        if "bundle" in facts:
            write_json(self._memory, self._learned().said())
            remember(self.settings, self.lake)
        self.night.finish(summary)
        return summary

    def _note(self, record: Record) -> None:
        """A run without a version, where MLflow answers."""
        try:
            self.registry.note(record)
        except RegistryUnavailable as error:
            print(f"[nightly] no run says so: {error}", flush=True)

    def _learn(self, said: list[str]) -> Facts:
        lesson, root = learn(self.teacher, Progress("learn", 3)), self.night.root
        parts = (("bundle", lesson.everything), ("measured", lesson.measured))
        written = {name: self._write(name, sources, lesson).name for name, sources in parts}
        if lesson.test:
            lesson.outcomes.write(root / "outcomes.parquet")
            keep(root, lesson.test, lesson.ranker, self.teacher.history)
        told = beyond(lesson.test, lesson.ranker, lesson.measured, self.recipe.k)
        said.append(f"{len(self.teacher.history.events)} events, {len(lesson.test)} test baskets")
        return {
            **written,
            "measures": lesson.measures.report() if lesson.measures else None,
            "metrics": lesson.measures.flat() if lesson.measures else {},
            "slices": lesson.outcomes.means() if lesson.test else {},
            "beyond": told.flat() if told else {},
        }

    def _judge(self, said: list[str]) -> Facts:
        ours = self._outcomes()
        canary = try_canary(self._bundle("bundle"), self._bundle("measured"), self.declaration)
        rival = rematch(self.registry, self.teacher, self.night.root / "rival")
        if rival and rival.outcomes:
            rival.outcomes.write(self.night.root / "rival.parquet")
        skewed = self._done("compare")["skew"]
        differing = skewed["mismatched"] if skewed else None
        verdict = judge(Evidence(ours, canary, rival, differing))
        said.append("passed" if verdict.passed else f"refused, {'; '.join(verdict.reasons)}")
        return {
            "gate": asdict(verdict),
            "rival": rival.version.version if rival else None,
            "knows": canary.knows,
            "latency_ms": canary.latency_ms,
        }

    def _write(self, name: str, sources: Sources, lesson: Lesson) -> Path:
        return bundle.write(
            self.night.root / name,
            self.declaration,
            sources,
            self.teacher.items_at(sources.cut_ms).catalogue,
            lesson.ranker,
            {**params(self.recipe), "event_weights": WEIGHTS},
            {topic: self.lake.landed(topic).offsets for topic in self._topics()},
        )

    def _outcomes(self) -> Outcomes | None:
        path = self.night.root / "outcomes.parquet"
        return Outcomes.read(path) if path.exists() else None

    def _describe(self) -> Record:
        return describe(
            Story(
                self.night.root,
                self.settings,
                self.declaration,
                self.recipe,
                {
                    **self.landed(),
                    **self._done("reconcile"),
                    **self._done("compare"),
                    **self._done("learn"),
                    **self._done("judge"),
                },
            )
        )

    def _done(self, stage: str) -> Facts:
        """The facts of a stage that is over."""
        facts = self.night.said(stage)
        assert facts is not None, f"{stage} comes first"
        return facts

    def _bundle(self, name: str) -> Path:
        return self.night.root / name / str(self._done("learn")[name])

    def _learned(self) -> Learned:
        topic = self.settings.topic(INTERACTIONS.name)
        rows = self.lake.landed(topic).rows
        return Learned(self.night.began_at, rows, made_by(self.declaration, self.recipe))

    @property
    def _memory(self) -> Path:
        """What the last night learned from."""
        return self.lake.root / "learned.json"

    def _topics(self) -> list[str]:
        return [self.settings.topic(topic.name) for topic in TOPICS]
