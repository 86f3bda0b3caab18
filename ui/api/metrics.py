"""What `/metrics` shows to Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from llmrec.turn import Turn

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The figures of one application, in a registry of its own; `process_*` tell memory and processor time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "llmrec_requests", "Answered requests.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "llmrec_request_seconds",
            "From request to end of answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.active = Gauge("llmrec_active_requests", "API requests in work.", registry=self.registry)
        self.streams = Gauge("llmrec_active_streams", "Chat answers being streamed.", registry=self.registry)
        self.turns = Counter("llmrec_turns", "Chat turns by what they ended in.", ("outcome",), registry=self.registry)
        self.stages = Histogram(
            "llmrec_stage_seconds", "Stages of a chat turn.", ("stage",), buckets=_SECONDS, registry=self.registry
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is a template, never a path with ids."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def turn(self, turn: Turn) -> None:
        """Count one chat turn and its stages."""
        self.turns.labels("items" if turn.items else "question" if turn.question else "text").inc()
        for stage in turn.trace:
            self.stages.labels(stage.name).observe(stage.milliseconds / 1000)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
