"""The assistant: recommendations, search, memory, health, and how it fails."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmrec.agents.assistant import Assistant
from llmrec.errors import UnknownName, UserError, VectorStoreError, WorkspaceError
from llmrec.filters import Filter
from llmrec.settings import Settings
from llmrec.turn import RecommendedItem, TurnRequest


def ids(items: list[RecommendedItem]) -> list[str]:
    return [item.item_id for item in items]


# --- Recommendations --------------------------------------------------------------------------------------------------


async def test_known_new_and_anonymous_people_in_one_call(assistant: Assistant) -> None:
    user = assistant.users(1)[0]
    known, new, anonymous, unknown = await assistant.recommend([user, ["book-0001", "book-0004"], [], "nobody"], 10)
    assert all(len(items) == 10 for items in (known, new, anonymous, unknown))
    assert not set(ids(known)) & set(assistant._live.world.seen(user))
    assert not {"book-0001", "book-0004"} & set(ids(new))
    assert ids(anonymous) == ids(unknown) != ids(known)
    popularity = assistant._live.world.popularity
    assert ids(anonymous)[0] == assistant.catalogue.index.ids[int(popularity.argmax())]
    for items in (known, new, anonymous):
        assert all(item.path[-1].id == item.item_id for item in items)
        assert [item.score for item in items] == sorted((item.score for item in items), reverse=True)


async def test_the_default_is_the_blend_of_all(assistant: Assistant, demo_workspace: Path) -> None:
    from llmrec.data.read import read_dataset
    from llmrec.retrieval.fusion import Blend
    from llmrec.workspace import Workspace

    with Workspace.open(demo_workspace) as workspace:
        model = Blend().fit(read_dataset(workspace.artefact("data/dataset")))
    for user in assistant.users(3):
        [items] = await assistant.recommend([user], 10)
        assert ids(items) == model.recommend([user], 10).items[0].tolist()
        [again] = await assistant.recommend([user], 10, recommender="blend")
        assert ids(again) == ids(items)


@pytest.mark.parametrize("name", ["popularity", "ease", "item-to-item", "ials", "content"])
async def test_every_recommender_by_its_name(assistant: Assistant, name: str) -> None:
    user = assistant.users(1)[0]
    [items] = await assistant.recommend([user], 5, recommender=name)
    assert len(items) == 5 and not set(ids(items)) & set(assistant._live.world.seen(user))


async def test_a_wrong_recommender_is_named_with_the_nearest(assistant: Assistant) -> None:
    with pytest.raises(UnknownName, match="did you mean ease"):
        await assistant.recommend([[]], recommender="eaze")


async def test_filters_hold_for_recommendations_and_search(assistant: Assistant) -> None:
    price = float(np.nanmedian(assistant.catalogue.prices))
    filters = [Filter(field="price", operator="<", value=price)]
    [items] = await assistant.recommend([["book-0001"]], 10, filters=filters)
    found = await assistant.search("a story of the sea", 10, filters)
    for item in (*items, *found):
        assert item.price is not None and item.price < price + 0.01


async def test_short_lists_are_short(assistant: Assistant) -> None:
    filters = [Filter(field="price", operator="<", value=0.0)]
    assert await assistant.recommend([[]], 10, filters=filters) == [[]]
    assert await assistant.search("anything", 10, filters) == []


# --- Search -----------------------------------------------------------------------------------------------------------


async def test_search_finds_and_a_person_s_taste_orders(assistant: Assistant) -> None:
    title = assistant.item("book-0020")["title"]
    assert ids(await assistant.search(title, 3))[0] == "book-0020"
    plain = ids(await assistant.search("mystery", 30))
    personal = await assistant.search("mystery", 30, user=assistant.users(1)[0])
    assert plain != ids(personal)
    assert [item.score for item in personal] == sorted((item.score for item in personal), reverse=True)
    assert ids(await assistant.search("mystery", 30, user="nobody")) != []


async def test_similar_items_share_content_and_people(assistant: Assistant) -> None:
    items = await assistant.similar("book-0005", 10)
    assert len(items) == 10 and "book-0005" not in ids(items)
    shared = [set(item.attributes) & set(assistant.item("book-0005")["attributes"]) for item in items]
    assert np.mean([len(names) for names in shared]) > 2
    with pytest.raises(UnknownName):
        await assistant.similar("no such item")


async def test_rerank_takes_texts_and_items_and_is_personal(assistant: Assistant) -> None:
    facts = assistant.item("book-0007")
    documents = ["quarterly tax forms", "book-0007", "how to repair a bicycle"]
    scores = await assistant.rerank(f"{facts['title']} {facts['description'][:100]}", documents)
    assert int(np.argmax(scores)) == 1
    user = assistant.users(1)[0]
    personal = await assistant.rerank("a good book", ["book-0007", "book-0008", "tax"], user)
    assert personal[2] == (await assistant.rerank("a good book", ["book-0007", "book-0008", "tax"]))[2]
    assert personal[:2] != (await assistant.rerank("a good book", ["book-0007", "book-0008", "tax"]))[:2]


async def test_embed_gives_unit_vectors(assistant: Assistant) -> None:
    vectors = await assistant.embed(["a", "b"])
    assert vectors.shape == (2, 384) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


# --- Memory and feedback ----------------------------------------------------------------------------------------------


async def test_feedback_reaches_the_history_at_once(assistant: Assistant) -> None:
    [before] = await assistant.recommend(["critic"], 10)
    await assistant.feedback("", "critic", before[0].item_id, "dislike")
    [after] = await assistant.recommend(["critic"], 10)
    assert ids(after)[:9] == ids(before)[1:]
    await assistant.feedback("", "critic", before[1].item_id, "like")
    assert before[1].item_id in assistant._live.world.history("critic")
    with pytest.raises(UserError, match="use like, dislike, seen"):
        await assistant.feedback("", "critic", "book-0001", "sideways")
    with pytest.raises(UnknownName):
        await assistant.feedback("", "critic", "no such item", "like")


async def test_memory_is_written_shown_and_forgotten(assistant: Assistant) -> None:
    entry = await assistant.remember("", "anna", "like", item_id="book-0001")
    attribute = str(assistant.catalogue.attributes.ids[0])
    await assistant.remember("", "anna", "reject", attribute)
    assert [e.target for e in await assistant.memory("", "anna")] == ["book-0001", attribute]
    await assistant.forget("", "anna", entry.id)
    assert [e.target for e in await assistant.memory("", "anna")] == [attribute]
    with pytest.raises(UnknownName):
        await assistant.forget("", "ben", entry.id)
    await assistant.delete_memory("", "anna")
    assert (await assistant.export_memory("", "anna"))["memory"] == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"kind": "like"}, UserError),
        ({"kind": "hate", "item_id": "book-0001"}, UserError),
        ({"kind": "like", "item_id": "no such item"}, UnknownName),
        ({"kind": "accept", "value": "no such attribute"}, UnknownName),
    ],
)
async def test_what_cannot_be_remembered_is_refused(assistant: Assistant, arguments: Any, error: type) -> None:
    with pytest.raises(error):
        await assistant.remember("", "anna", **arguments)


# --- The rest ---------------------------------------------------------------------------------------------------------


async def test_names_users_starters_and_health(assistant: Assistant) -> None:
    assert assistant.name.startswith("demo")
    users = assistant.users(10)
    assert len(set(users)) == 10
    for user in (None, users[0], "nobody"):
        starters = assistant.starters(user)
        assert len(starters) >= 3 and all(starters)
    await assistant.search("warm", 1)
    health = assistant.health()
    assert health["ready"] and health["search"] == "ready" and health["items"] == 200


async def test_every_starter_is_understood_as_something(assistant: Assistant) -> None:
    for text in assistant.starters(assistant.users(1)[0]):
        turn = await assistant.turn(TurnRequest(text=text))
        assert turn.acts and turn.items


async def test_no_workspace_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises((UserError, WorkspaceError), match="build"):
        await Assistant.open(tmp_path / "nothing")


async def test_other_embeddings_than_the_build_s_are_refused(demo_workspace: Path, state_settings: Settings) -> None:
    settings = state_settings.model_copy(update={"embeddings": "some/other-model"})
    with pytest.raises(WorkspaceError, match="change it back, or build the workspace again"):
        await Assistant.open(demo_workspace, settings)


async def test_a_damaged_vector_store_is_said_and_the_conversation_goes_on(
    demo_workspace: Path, tmp_path: Path, state_settings: Settings
) -> None:
    copy = tmp_path / "workspace"
    shutil.copytree(demo_workspace, copy)
    for folder in (copy / "retrieval" / "vectors").iterdir():
        for file in folder.rglob("*"):
            if file.is_file() and file.name != "artefact.json":
                file.write_bytes(b"damaged")
    async with await Assistant.open(copy, state_settings) as assistant:
        with pytest.raises(VectorStoreError):
            await assistant.search("sea")
        assert not assistant.health()["ready"] and "vector" in assistant.health()["search"].lower()
        assert (await assistant.turn(TurnRequest(text="hello"))).items
        await assistant.upsert_items([{"item_id": "book-0001", "price": 1.0}])
        assert (await assistant.turn(TurnRequest(text="hello"))).items and assistant.item("book-0001")["price"] == 1.0
