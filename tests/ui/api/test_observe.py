"""What operators see: metrics and traces."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

CHAT = "/v1/chat/completions"


def body(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "metadata": {"thread": "t"}, **more}


def samples(url: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values) to value."""
    families = text_string_to_metric_families(httpx.get(url + "/metrics").text)
    return {(s.name, tuple(s.labels.values())): s.value for family in families for s in family.samples}


def test_metrics_count_requests_by_route_turns_and_stages(serve_faulty: Callable[..., Any]) -> None:
    server = serve_faulty(limits={})
    httpx.post(server.url + CHAT, json=body())
    httpx.post(server.url + CHAT, json=body(stream=True))
    httpx.post(server.url + CHAT, content=b"{")
    httpx.get(server.url + "/v1/items/a-private-id")
    httpx.get(server.url + "/v1/nope/a-private-id")
    found = samples(server.url)
    assert found["llmrec_requests_total", ("POST", CHAT, "200")] == 2
    assert found["llmrec_requests_total", ("POST", CHAT, "400")] == 1
    assert found["llmrec_requests_total", ("GET", "/v1/items/{item_id:path}", "200")] == 1
    assert found["llmrec_requests_total", ("GET", "/v1/{path:path}", "404")] == 1
    assert found["llmrec_request_seconds_count", (CHAT,)] == 3
    assert found["llmrec_turns_total", ("text",)] == 2
    assert found["llmrec_stage_seconds_count", ("understand",)] == 2
    assert found["llmrec_active_streams", ()] == 0
    assert found["process_resident_memory_bytes", ()] > 1e6
    assert not any("private" in str(key) for key in found)


@pytest.fixture
def collector() -> Iterator[tuple[str, Callable[[], list[Any]]]]:
    """An OTLP collector: its address, and the spans that reached it."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                raw = gzip.decompress(raw)
            for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", lambda: spans
    server.shutdown()
    server.server_close()


def test_traces_reach_a_collector(
    collector: tuple[str, Callable[[], list[Any]]],
    monkeypatch: pytest.MonkeyPatch,
    serve_faulty: Callable[..., Any],
    wait_until: Callable[..., None],
) -> None:
    address, spans = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    server = serve_faulty(limits={})
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    httpx.post(server.url + CHAT, json=body("my private wish"), headers={"traceparent": caller, "x-request-id": "r1"})
    wait_until(lambda: len(spans()) >= 3)
    by_name = {span.name: span for span in spans()}
    request = by_name[f"POST {CHAT}"]
    assert request.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    for stage, milliseconds in (("understand", 2), ("say", 1)):
        assert by_name[stage].parent_span_id == request.span_id
        length = by_name[stage].end_time_unix_nano - by_name[stage].start_time_unix_nano
        assert length == milliseconds * 1_000_000
    assert "private" not in str(spans())


def test_without_the_extra_tracing_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, serve_faulty: Callable[..., Any]
) -> None:
    load = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(builtins, "__import__", refuse)
    assert httpx.post(serve_faulty(limits={}).url + CHAT, json=body()).status_code == 200
    assert "pip install 'llmrec[otel]'" in caplog.text
