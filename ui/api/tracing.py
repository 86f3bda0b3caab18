"""OpenTelemetry, where its extra is installed and its environment names an exporter; otherwise nothing happens."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llmrec.errors import MissingExtra
from llmrec.turn import Turn

logger = logging.getLogger("llmrec.api")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing:
    """Spans of one application: one a request, one a stage of a turn."""

    def __init__(self) -> None:
        self._tracer: Any = None
        if not any(os.environ.get(name) for name in _ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED") == "true":
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            logger.warning("%s", MissingExtra("otel", "tracing (OTEL_EXPORTER_OTLP_ENDPOINT is set)"))
            return
        name = os.environ.get("OTEL_SERVICE_NAME", "llmrec")
        provider = TracerProvider(resource=Resource.create({"service.name": name}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = provider.get_tracer("llmrec.api")

    @contextmanager
    def request(self, headers: Mapping[str, str]) -> Iterator[Any]:
        """The span of one request, a child of the caller's where it sends `traceparent`; None where tracing is off."""
        if self._tracer is None:
            yield None
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        with self._tracer.start_as_current_span("request", context=extract(headers), kind=SpanKind.SERVER) as span:
            yield span

    def turn(self, turn: Turn) -> None:
        """The stages of a turn that has just ended, as children of the current span."""
        if self._tracer is None:
            return
        at = time.time_ns() - int(sum(stage.milliseconds for stage in turn.trace) * 1e6)
        for stage in turn.trace:
            span = self._tracer.start_span(stage.name, start_time=at)
            at += int(stage.milliseconds * 1e6)
            span.end(end_time=at)
