"""One turn as a LangGraph graph: understand, believe, decide, act, say.

The checkpoint of a conversation is its log of typed acts; everything else is derived from it in each turn, so a turn
is one checkpoint and undo is a matter of the fold.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from langgraph.channels import UntrackedValue
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from llmrec import pool
from llmrec.acts import Act, ActKind
from llmrec.agents.conversation import answer, wording
from llmrec.agents.conversation.decide import Decision, decide, informing
from llmrec.agents.conversation.fold import (
    ANSWERS,
    ITEM_ACTS,
    Record,
    State,
    effective,
    fold,
    has,
    resolve,
    undone,
)
from llmrec.agents.conversation.weigh import Weighed, weigh
from llmrec.agents.conversation.world import World
from llmrec.agents.memory import MemoryEntry, MemoryKind, StateStore
from llmrec.errors import UnknownName
from llmrec.turn import Question, RecommendedItem, Stage, Turn, TurnRequest

LONGEST_TEXT = 4000
"""Characters of a message that are read; what people mean stands at its beginning."""
_REMEMBER: dict[ActKind, MemoryKind] = {
    ActKind.LIKE_ITEM: "like",
    ActKind.REJECT_ITEM: "dislike",
    ActKind.SEEN: "seen",
}


@dataclass(frozen=True)
class Context:
    """What the nodes of one turn work with."""

    world: World
    store: StateStore
    thread: str
    message_id: str
    continues: bool = False
    """Whether the thread must be there already."""
    dry: bool = False
    """A replayed turn: nothing is written."""


class TurnState(TypedDict, total=False):
    """Only `log` is kept in the checkpoint."""

    log: list[dict[str, Any]]
    """`fold.Record`s as JSON values."""
    request: Annotated[TurnRequest, UntrackedValue]
    records: Annotated[list[Record], UntrackedValue]
    """`log` read."""
    acts: Annotated[tuple[Act, ...], UntrackedValue]
    unknown: Annotated[list[str], UntrackedValue]
    failed: Annotated[bool, UntrackedValue]
    """Whether the language model failed to understand the message."""
    reacted: Annotated[tuple[Act, ...], UntrackedValue]
    """The acts that the answer reacts to: after an undo, those of the turn before."""
    before: Annotated[State, UntrackedValue]
    after: Annotated[State, UntrackedValue]
    memory: Annotated[list[MemoryEntry], UntrackedValue]
    weighed: Annotated[Weighed, UntrackedValue]
    decision: Annotated[Decision, UntrackedValue]
    items: Annotated[list[RecommendedItem], UntrackedValue]
    question: Annotated[Question | None, UntrackedValue]
    data: Annotated[dict[str, Any], UntrackedValue]
    turn: Annotated[Turn, UntrackedValue]


Update = dict[str, Any]
Node = Callable[[TurnState, Runtime[Context]], Awaitable[tuple[Update, str]]]


def build_graph() -> StateGraph[TurnState, Context]:
    """The uncompiled graph; compile it with the checkpointer of a state store."""
    graph = StateGraph(TurnState, Context)
    nodes: dict[str, Node] = {
        "understand": _understand,
        "believe": _believe,
        "decide": _decide,
        "act": _act,
        "say": _say,
    }
    last = START
    for name, node in nodes.items():
        graph.add_node(name, _staged(name, node))
        graph.add_edge(last, name)
        last = name
    graph.add_edge(last, END)
    return graph


def _staged(name: str, node: Node) -> Any:
    """The node, telling the stream that it is done, what it found and how long it took."""

    async def run(state: TurnState, *, runtime: Runtime[Context]) -> Update:
        started = time.perf_counter()
        update, detail = await node(state, runtime)
        milliseconds = round(1000 * (time.perf_counter() - started), 2)
        runtime.stream_writer(Stage(name=name, detail=detail, milliseconds=milliseconds))
        if "turn" in update:
            runtime.stream_writer(update["turn"])
        return update

    run.__name__ = name
    return run


def records(log: Sequence[dict[str, Any]], message_id: str) -> list[Record]:
    """The turns before this message; a turn whose answer was lost is answered anew."""
    turns = [Record.model_validate(record) for record in log]
    return turns[:-1] if turns and turns[-1].id == message_id else turns


async def _understand(state: TurnState, runtime: Runtime[Context]) -> tuple[Update, str]:
    context, request = runtime.context, state["request"]
    world = context.world
    if context.continues and not state.get("log"):
        raise UnknownName(f"there is no conversation {context.thread!r} of this user: start one without a thread")
    log = records(state.get("log", []), context.message_id)
    before = fold(log)
    acts = list(request.acts)
    text = request.text.strip()
    by = note = ""
    if text:
        asked = before.asked[0] if before.asked else None
        understood = await world.understand(text[:LONGEST_TEXT], asked, before.shown)
        acts += understood.acts
        note = understood.note
        by = f" ({understood.source}{': ' + note if note else ''})"
    known: list[Act] = []
    unknown: list[str] = []
    for act in resolve(acts, before):
        missing = _missing(world, act)
        if missing is None:
            known.append(act)
        elif missing:
            unknown.append(missing)
    kinds = ", ".join(act.kind.value for act in known) or "nothing"
    update = {"records": log, "acts": tuple(known), "unknown": unknown, "before": before, "failed": bool(note)}
    return update, kinds + by


def _missing(world: World, act: Act) -> str | None:
    """None where what the act names exists or where it names nothing that must; else words for it, "" without any."""
    if act.remove:
        return None
    if act.item_id is not None:
        return None if act.item_id in world.catalogue.index else act.value or "what you mean"
    if act.kind in ITEM_ACTS:
        return act.value or ""
    if act.kind in ANSWERS:
        return None if act.value and act.value in world.catalogue.attributes else act.value or ""
    if act.kind in (ActKind.SEARCH, ActKind.FILTER):
        return None if (act.value or "").strip() or act.filter else ""
    return None


async def _believe(state: TurnState, runtime: Runtime[Context]) -> tuple[Update, str]:
    context, request, acts = runtime.context, state["request"], state["acts"]
    world = context.world
    log = state["records"]
    counting = effective([*log, Record(id=context.message_id, acts=acts)])
    update: Update = {"reacted": acts}
    if has(acts, ActKind.UNDO) and len(acts) == 1:
        # What is left is answered again as it was answered then.
        while counting and informing(counting[-1].acts):
            counting.pop()
        update = {"reacted": counting[-1].acts if counting else (), "before": fold(counting[:-1])}
        counting[-1:] = [Record(id=record.id, acts=record.acts) for record in counting[-1:]]
    after = fold(counting)
    if not context.dry:
        await _take_back(context, request, acts, log)
    memory = await context.store.memory(request.owner, request.user) if request.user else []
    memory = _standing(memory, acts)
    found = await world.find(after.query, after.filters) if after.query else None
    weighed = await pool.run(weigh, world, request.user, after, memory, found)
    update |= {"after": after, "memory": memory, "weighed": weighed}
    return update, f"{weighed.belief.candidates_left} candidates left"


async def _take_back(context: Context, request: TurnRequest, acts: Sequence[Act], log: Sequence[Record]) -> None:
    """What this turn takes out of long-term memory: what an undone message left there, withdrawn entries, or all."""
    owner, user, store = request.owner, request.user, context.store
    if not user:
        return
    record = undone(log) if has(acts, ActKind.UNDO) else None
    if record is not None:
        await store.revert(owner, user, record.id, context.thread)
    if _deletes(acts):
        await store.delete_all(owner, user)
    withdrawn = _withdrawn(acts)
    for entry in await store.memory(owner, user) if withdrawn else ():
        if (answer.MEMORY_ACTS[entry.kind], entry.target) in withdrawn:
            await store.forget(owner, user, entry.id)


def _standing(memory: Sequence[MemoryEntry], acts: Sequence[Act]) -> list[MemoryEntry]:
    """The entries that hold after this turn, also where it is replayed and takes nothing out."""
    withdrawn = _withdrawn(acts)
    kept = [] if _deletes(acts) else memory
    return [entry for entry in kept if (answer.MEMORY_ACTS[entry.kind], entry.target) not in withdrawn]


def _deletes(acts: Sequence[Act]) -> bool:
    return any(act.kind == ActKind.MEMORY and act.value == "delete" for act in acts)


def _withdrawn(acts: Sequence[Act]) -> set[tuple[ActKind, str | None]]:
    return {(act.kind, act.item_id or act.value) for act in acts if act.remove}


async def _decide(state: TurnState, runtime: Runtime[Context]) -> tuple[Update, str]:
    def chosen() -> Decision:
        policy = runtime.context.world.policy(state["request"].policy)  # the first time it may have to be loaded
        return decide(policy, state["before"], state["after"], state["reacted"], state["weighed"].belief)

    decision = await pool.run(chosen)
    what = f"ask about {', '.join(decision.attributes)}" if decision.kind == "ask" else decision.kind
    return {"decision": decision}, what


async def _act(state: TurnState, runtime: Runtime[Context]) -> tuple[Update, str]:
    context, request, acts = runtime.context, state["request"], state["acts"]
    world, after, weighed, decision = context.world, state["after"], state["weighed"], state["decision"]

    def prepare() -> Update:
        ids: Sequence[str] = decision.items
        data: dict[str, Any] = {}
        if decision.kind == "inform":
            ids = _spoken_of(acts, state["before"])
        if has(acts, ActKind.COMPARE):
            compared = [
                name for name in _named(acts, ActKind.COMPARE, state["before"]) if name in world.catalogue.index
            ]
            data["comparison"] = answer.comparison(world.catalogue, after, compared) if len(compared) > 1 else None
        scores = {name: weighed.belief.probability(name) for name in ids}
        items = answer.cards(world, after, request.user, scores, weighed.liked, weighed.found)
        question = answer.question(world, weighed.belief, after, request.user, decision.attributes)
        if has(acts, ActKind.WHY) and question is not None and state["before"].asked:
            data["why"] = question.why
        return {"items": items, "question": question, "data": data}

    update = await pool.run(prepare)
    if any(act.kind == ActKind.MEMORY for act in acts):
        update["data"] |= await _answer_memory(context, request, acts, state["memory"])
    if not context.dry:
        await _remember(context, request, acts)
    return update, f"{len(update['items'])} items"


def _named(acts: Sequence[Act], kind: ActKind, before: State) -> list[str]:
    """The items that acts of this kind name; those shown last where they name too few."""
    named = [act.item_id for act in acts if act.kind == kind and act.item_id]
    if kind == ActKind.COMPARE and len(named) < 2:
        named += list(before.shown)
    elif not named:
        named = list(before.shown[:3])
    return list(dict.fromkeys(named))[: answer.COMPARED]


def _spoken_of(acts: Sequence[Act], before: State) -> list[str]:
    """The items that an informing answer is about."""
    for kind in (ActKind.COMPARE, ActKind.EXPLAIN):
        if has(acts, kind):
            return _named(acts, kind, before)
    return []


async def _answer_memory(
    context: Context, request: TurnRequest, acts: Sequence[Act], memory: Sequence[MemoryEntry]
) -> dict[str, Any]:
    if not request.user:
        return {}
    if any(act.kind == ActKind.MEMORY and act.value == "export" for act in acts):
        return {"export": await context.store.export(request.owner, request.user)}
    labels = [(entry, wording.memory_label(context.world, entry)) for entry in memory]
    return {"memory": [{"id": e.id, "kind": e.kind, "label": label} for e, label in labels]}


async def _remember(context: Context, request: TurnRequest, acts: Sequence[Act]) -> None:
    """What this turn leaves in long-term memory; anonymous people have none."""
    if not request.user:
        return
    entries = [
        MemoryEntry(
            owner=request.owner,
            user=request.user,
            kind=_REMEMBER[act.kind],
            item_id=act.item_id,
            thread=context.thread,
            message_id=context.message_id,
        )
        for act in acts
        if act.kind in _REMEMBER and act.item_id and not act.remove
    ]
    await context.store.remember(entries)


async def _say(state: TurnState, runtime: Runtime[Context]) -> tuple[Update, str]:
    context, request, acts = runtime.context, state["request"], state["acts"]
    world, after, decision, items = context.world, state["after"], state["decision"], state["items"]
    log = state["records"]
    facts = wording.Facts(
        acts=acts,
        text=request.text,
        first=not log,
        unknown=state["unknown"],
        undone=undone(log) if has(acts, ActKind.UNDO) else None,
        memory=state["memory"],
        user=request.user,
        data=state["data"],
    )
    draft = wording.words(world, facts, state["weighed"], decision, items, state["question"])
    # A language model that has just failed is not waited for again in the same turn.
    if context.dry or state["failed"]:
        text, note = draft, "the language model has just failed" if state["failed"] else ""
    else:
        text, note = await world.reword(draft, request.text)
    runtime.stream_writer(text)
    shown = tuple(item.item_id for item in items)
    if decision.kind == "inform" and not has(acts, ActKind.COMPARE):
        shown = decision.items  # what was on the screen stays what "the second one" means
    question = state["question"]
    record = Record(
        id=context.message_id,
        acts=acts,
        asked=tuple(question.choices) if question else (),
        shown=shown,
        listed=decision.kind == "list",
    )
    turn = Turn(
        thread=context.thread,
        message_id=context.message_id,
        turn=len(log) + 1,
        text=text,
        acts=list(acts),
        question=question,
        items=items,
        candidates_left=state["weighed"].belief.candidates_left,
        preferences=answer.preferences(world.catalogue, after, state["memory"]),
        data={key: value for key, value in state["data"].items() if value and key != "why"},
    )
    kept = [*state.get("log", [])[: len(log)], record.model_dump(mode="json", exclude_defaults=True)]
    by = "language-model" if text != draft else "templates"
    return {"log": kept, "turn": turn}, f"{by}: {note}" if note else by
