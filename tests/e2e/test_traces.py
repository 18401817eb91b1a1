"""A click is one trace from its POST to its feature in a store, and answers link to it."""

from __future__ import annotations

from infra.shopper import Shopper, some_user
from serving.tracing import context_of
from tests.collector import Collector, Span
from tests.e2e.conftest import Pipeline
from tests.scrape import OPERATOR, of_job, scrape_until

MS = 1_000_000


def click(api: str) -> str:
    """The id of a click that an answer knew of."""
    shopper = Shopper(api, some_user(api))
    return str(shopper.click(shopper.recommendations(), position=0).after["last_event_id"])


def test_a_click_is_one_trace_up_to_the_written_feature_and_the_answer_links_to_it(
    api: str, collector: Collector
) -> None:
    event_id = click(api)
    context = context_of(event_id)
    trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"

    def of_store(span: Span) -> bool:
        return span.trace_id == trace_id and span.attributes.get("millrace.store") == "redis"

    (accepted,) = collector.wait_for(lambda span: span.span_id == span_id)
    (written,) = collector.wait_for(of_store)
    answer, *_ = collector.wait_for(
        lambda s: s.attributes.get("millrace.last_event_id") == event_id
    )
    (posted,) = collector.wait_for(lambda span: accepted.links == [(span.trace_id, span.span_id)])
    assert (posted.name, posted.service) == ("POST /api/interactions", "millrace-serving")
    assert (accepted.name, accepted.trace_id) == ("interaction", trace_id)
    assert (written.name, written.service) == ("feature written", "millrace-streaming")
    assert (written.parent_id, written.attributes["millrace.event_id"]) == (span_id, event_id)
    assert answer.links == [(trace_id, span_id)]
    # Kafka's clock has milliseconds; an answer may come before the sink has seen its own success.
    assert accepted.start - MS <= written.start <= min(written.end, answer.end)


def test_without_a_collector_clicks_are_written_and_no_job_restarts(
    pipeline: Pipeline, api: str, collector: Collector
) -> None:
    """The last test of the pipeline that needs the collector."""
    before = pipeline.restarts("hot")
    collector.close()
    click(api)
    lost = (f"{OPERATOR}millrace_spans_lost", of_job(f"{pipeline.settings.namespace}-hot"))
    scrape_until(pipeline.stack, "flink-taskmanager", {lost: bool})
    assert pipeline.restarts("hot") == before
