"""Every other route, with the real assistant."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest


@pytest.fixture
def client(server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
def items(client: httpx.Client) -> list[dict[str, Any]]:
    return client.get("/v1/items", params={"limit": 1000}).json()["items"]


def post(client: httpx.Client, path: str, status: int = 200, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def ids(listing: Any) -> list[str]:
    return [item["item_id"] for item in listing["items"]]


# --- Models, embeddings, rerank ---------------------------------------------------------------------------------------


def test_models(server: Any) -> None:
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    names = [model.id for model in client.models.list()]
    assert names == ["llmrec", "minilm"]
    assert client.models.retrieve("llmrec").owned_by == "llmrec"


def test_embeddings_are_the_same_in_every_encoding(server: Any, client: httpx.Client) -> None:
    official = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    texts = ["a book about the sea", "ocean novel", "tax law"]
    vectors = np.array(
        [row.embedding for row in official.embeddings.create(model="minilm", input=texts).data]
    )  # base64
    floats = [
        row.embedding for row in official.embeddings.create(model="minilm", input=texts, encoding_format="float").data
    ]
    assert np.allclose(vectors, floats, atol=1e-7)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    raw = post(client, "/v1/embeddings", model="minilm", input=texts[0], encoding_format="base64")
    assert np.allclose(np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), "<f4"), vectors[0], atol=1e-5)
    assert raw["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"input": []}, 400),
        ({"input": ""}, 400),
        ({"input": ["a", ""]}, 400),
        ({"input": [1, 2, 3]}, 400),
        ({"input": [[1], [2]]}, 400),
        ({"input": ["x"] * 2049}, 400),
        ({"dimensions": 8}, 400),
        ({"encoding_format": "hex"}, 400),
        ({"model": "text-embedding-3-small"}, 404),
    ],
)
def test_embeddings_that_cannot_be(client: httpx.Client, change: dict[str, Any], status: int) -> None:
    error = post(client, "/v1/embeddings", status, **{"model": "minilm", "input": "x", **change})["error"]
    assert error["param"].split(".")[0] == next(iter(change))


def test_rerank_takes_texts_item_ids_and_objects(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    item = items[3]
    documents = [
        "quarterly tax forms",
        item["item_id"],
        {"text": "how to repair a bicycle"},
        {"item_id": items[9]["item_id"]},
    ]
    query = f"{item['title']} {item['description'][:80]}"
    answer = post(client, "/v1/rerank", model="llmrec", query=query, documents=documents)
    results = answer["results"]
    assert sorted(result["index"] for result in results) == [0, 1, 2, 3]
    assert results[0]["index"] == 1
    scores = [result["relevance_score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert results[0]["document"] == {"text": item["item_id"]}
    best = post(client, "/v1/rerank", query=query, documents=documents, top_n=1)["results"]
    assert [result["index"] for result in best] == [1]
    post(client, "/v1/rerank", 404, query="x", documents=[{"item_id": "no-such-item"}])
    post(client, "/v1/rerank", 400, query="x", documents=[])
    post(client, "/v1/rerank", 400, query="x", documents=[{}])
    post(client, "/v1/rerank", 404, query="x", documents=["a"], model="cohere")


# --- Catalogue --------------------------------------------------------------------------------------------------------


def test_items_page_through_the_catalogue(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = client.get("/v1/items", params={"limit": "77", **after}).json()
        found += ids(page)
        if not page["has_more"]:
            break
        after = {"after": page["items"][-1]["item_id"]}
    assert found == [item["item_id"] for item in items]
    assert len(found) == page["total"] >= 200
    one = client.get(f"/v1/items/{found[5]}").json()
    assert one == items[5]
    assert client.get("/v1/items/no-such-item").status_code == 404
    assert client.get("/v1/items", params={"after": "no-such-item"}).status_code == 404
    assert client.get("/v1/items", params={"limit": 0}).json()["error"]["param"] == "limit"


def test_search_obeys_filters(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    target = items[10]
    assert target["item_id"] in ids(post(client, "/v1/search", query=target["title"], k=5))
    prices = sorted(item["price"] for item in items if item["price"] is not None)
    bound = prices[len(prices) // 2]
    cheap = post(client, "/v1/search", query="a story", k=20, filters=[f"price<={bound}"])["items"]
    assert cheap
    assert all(item["price"] <= bound for item in cheap)
    error = post(client, "/v1/search", 400, query="x", filters=["colour~red"])["error"]
    assert "price<=100" in error["message"]


def test_recommendations_for_known_new_and_anonymous_people(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    anonymous = ids(post(client, "/v1/recommendations", k=5))
    assert len(anonymous) == 5
    history = [items[0]["item_id"], items[1]["item_id"]]
    new = post(client, "/v1/recommendations", history=history, k=5)
    assert len(ids(new)) == 5
    assert not set(ids(new)) & set(history)
    assert all(item["path"] for item in new["items"])
    unheard = post(client, "/v1/recommendations", user="nobody-has-heard-of", k=5)
    assert len(ids(unheard)) == 5 and not unheard["known"] and new["known"]
    assert ids(post(client, "/v1/recommendations", history=history, k=5, recommender="popularity")) != []
    similar = ids(post(client, "/v1/recommendations", similar_to=history[0], k=5))
    assert similar
    assert history[0] not in similar
    post(client, "/v1/recommendations", 404, similar_to="no-such-item")
    post(client, "/v1/recommendations", 404, recommender="no-such-recommender")
    post(client, "/v1/recommendations", 400, user="a", history=[])
    assert post(client, "/v1/recommendations", 400, k=0)["error"]["param"] == "k"


def test_a_new_item_is_found_at_once(client: httpx.Client) -> None:
    row = {
        "item_id": "new/item 1",
        "title": "The Zeppelin Gardener",
        "description": "A gardener of zeppelins crosses the Sargasso sea.",
        "price": 12.5,
        "attributes": ["zeppelins"],
    }
    assert post(client, "/v1/items", items=[row])["upserted"] == 1
    item = client.get("/v1/items/new%2Fitem%201").json()
    assert (item["title"], item["price"]) == ("The Zeppelin Gardener", 12.5)
    assert "new/item 1" in ids(post(client, "/v1/search", query="zeppelin gardener", k=3))
    post(client, "/v1/items", items=[{"item_id": "new/item 1", "price": 7.0}])
    assert "new/item 1" in ids(post(client, "/v1/search", query="zeppelin gardener", k=3, filters=["price<=8"]))
    post(client, "/v1/items", items=[{"item_id": "new/item 1", "available": False}])
    assert "new/item 1" not in ids(post(client, "/v1/search", query="zeppelin gardener", k=3))


@pytest.mark.parametrize(
    "row", [{}, {"item_id": ""}, {"item_id": 3}, {"item_id": "x", "price": "cheap"}, {"item_id": "x", "price": [1]}]
)
def test_a_wrong_item_is_refused_with_a_sentence(client: httpx.Client, row: dict[str, Any]) -> None:
    assert post(client, "/v1/items", 400, items=[row])["error"]["message"]
    post(client, "/v1/items", 400, items=[])


# --- Users ------------------------------------------------------------------------------------------------------------


def test_events_reach_the_history_at_once(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    before = ids(post(client, "/v1/recommendations", user="fresh", k=10))
    bought = before[:2]
    events = [{"user_id": "fresh", "item_id": item, "event": "buy"} for item in bought]
    answer = post(client, "/v1/events", events=[*events, {"user_id": "fresh", "item_id": "no-such-item"}])
    assert (answer["added"], answer["unknown_items"]) == (3, 1)
    after = ids(post(client, "/v1/recommendations", user="fresh", k=10))
    assert not set(bought) & set(after)
    assert after


@pytest.mark.parametrize("row", [{}, {"user_id": "a"}, {"item_id": "b"}, {"user_id": 1, "item_id": "b"}])
def test_a_wrong_event_is_refused_with_a_sentence(client: httpx.Client, row: dict[str, Any]) -> None:
    assert post(client, "/v1/events", 400, events=[row])["error"]["message"]


def test_feedback(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    shown = ids(post(client, "/v1/recommendations", user="critic", k=10))
    post(client, "/v1/feedback", user="critic", item_id=shown[0], kind="dislike")
    assert shown[0] not in ids(post(client, "/v1/recommendations", user="critic", k=10))
    post(client, "/v1/feedback", 404, user="critic", item_id="no-such-item", kind="like")
    post(client, "/v1/feedback", 400, user="critic", item_id=shown[1], kind="sideways")


def test_memory_is_shown_edited_exported_and_deleted(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    who = {"user": "memo"}
    assert client.get("/v1/memory", params=who).json()["entries"] == []
    liked, seen = items[4]["item_id"], items[5]["item_id"]
    entry = post(client, "/v1/memory", kind="like", item_id=liked, **who)
    post(client, "/v1/memory", kind="seen", item_id=seen, **who)
    attribute = items[4]["attributes"][0]
    post(client, "/v1/memory", kind="reject", attribute=attribute, **who)
    entries = client.get("/v1/memory", params=who).json()["entries"]
    assert [(e["kind"], e["item_id"], e["attribute"]) for e in entries] == [
        ("like", liked, None),
        ("seen", seen, None),
        ("reject", None, attribute),
    ]
    assert entries[0]["label"] == items[4]["title"] and entries[2]["label"].startswith(attribute[:3])
    assert not any("owner" in e for e in entries)
    assert client.get("/v1/memory", params={"user": "other"}).json()["entries"] == []
    assert len(client.get("/v1/memory/export", params=who).json()["memory"]) == 3
    assert client.delete(f"/v1/memory/{entry['id']}", params={"user": "other"}).status_code == 404
    assert client.delete(f"/v1/memory/{entry['id']}", params=who).json()["deleted"]
    assert len(client.get("/v1/memory", params=who).json()["entries"]) == 2
    assert client.delete("/v1/memory", params=who).json()["deleted"]
    assert client.get("/v1/memory", params=who).json()["entries"] == []


def test_memory_that_cannot_be(client: httpx.Client, items: list[dict[str, Any]]) -> None:
    assert client.get("/v1/memory").json()["error"]["param"] == "user"
    item, attribute = items[0]["item_id"], items[0]["attributes"][0]
    for wrong in ({"kind": "like"}, {"kind": "like", "attribute": attribute}, {"kind": "hate", "item_id": item}):
        post(client, "/v1/memory", 400, user="memo", **wrong)
    post(client, "/v1/memory", 404, user="memo", kind="like", item_id="no-such-item")


def test_memory_belongs_to_the_user_whatever_the_key(key_server: Any, items: list[dict[str, Any]]) -> None:
    def key(name: str) -> httpx.Client:
        return httpx.Client(base_url=key_server.url, headers={"authorization": f"Bearer {name}"})

    entry = post(key("sk-anna"), "/v1/memory", kind="like", item_id=items[0]["item_id"])
    for operator in ("sk-all", "sk-shop"):
        entries = key(operator).get("/v1/memory?user=anna").json()["entries"]
        assert [e["id"] for e in entries] == [entry["id"]]
    assert key("sk-ben").get("/v1/memory?user=anna").status_code == 403
    assert key("sk-ben").delete(f"/v1/memory/{entry['id']}").status_code == 404, "ben has none of this id"
    assert key("sk-all").delete(f"/v1/memory/{entry['id']}?user=anna").json()["deleted"]
    assert key("sk-anna").get("/v1/memory").json()["entries"] == []


def test_health_and_description(client: httpx.Client) -> None:
    health = client.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "ok"
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/rerank", "/v1/memory", "/health", "/metrics"} <= set(paths)
