"""The state of a conversation: a fold over typed acts, never over text or arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ConfigDict

from llmrec.acts import Act, ActKind
from llmrec.filters import Filter

ANSWERS = (ActKind.ACCEPT, ActKind.REJECT, ActKind.DONT_CARE)
ITEM_ACTS = (ActKind.LIKE_ITEM, ActKind.REJECT_ITEM, ActKind.SEEN, ActKind.MORE_LIKE)
EVIDENCE = (*ANSWERS, *ITEM_ACTS, ActKind.SEARCH, ActKind.FILTER)
"""Acts that change what is believed."""
CHANGES = (*EVIDENCE, ActKind.RESULTS, ActKind.RESET)
"""Acts that an undo takes back."""


class Record(BaseModel):
    """One turn as it is stored: what the person did, and what the agent asked and showed in return."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """The message id."""
    acts: tuple[Act, ...] = ()
    asked: tuple[str, ...] = ()
    """Attributes that the agent asked about, in answer."""
    shown: tuple[str, ...] = ()
    """Items that the agent showed, in answer, best first."""
    listed: bool = False
    """Whether they were shown as recommendations, not beside a question."""


@dataclass(frozen=True)
class State:
    """Where a conversation stands. Dictionaries keep the order in which things were said."""

    answers: dict[str, ActKind] = field(default_factory=dict)
    """Attribute to the last answer on it: a contradiction replaces what was said before."""
    items: dict[str, ActKind] = field(default_factory=dict)
    """Item to the last thing said of it."""
    query: str = ""
    """The last search."""
    filters: tuple[Filter, ...] = ()
    passed: tuple[str, ...] = ()
    """Attributes that were asked and passed over without an answer."""
    asked: tuple[str, ...] = ()
    """What the last answer of the agent asked."""
    shown: tuple[str, ...] = ()
    """What the last answer of the agent showed."""
    listed: tuple[str, ...] = ()
    """Everything recommended since the last evidence, so that "more" goes on where the list ended."""
    questions: int = 0
    """Questions since recommendations were last shown."""
    turns: int = 0
    """Turns of evidence since the start."""

    def kept(self, kind: ActKind) -> list[str]:
        """Attributes or items of this kind, in order."""
        return [name for name, last in (*self.answers.items(), *self.items.items()) if last == kind]


def fold(log: Sequence[Record]) -> State:
    """The state after all turns of `log`: undo takes back the turn before it, reset starts over."""
    return _fold(effective(log), log[-1] if log else None)


def effective(log: Sequence[Record]) -> list[Record]:
    """The turns that still count."""
    counting: list[Record] = []
    for record in log:
        undoes = has(record.acts, ActKind.UNDO)
        if undoes:
            last = _last_change(counting)
            counting = counting if last is None else counting[:last]
        if not undoes or len(record.acts) > 1:
            counting.append(record)
    return counting


def undone(log: Sequence[Record]) -> Record | None:
    """The turn that an undo after `log` takes back, None where there is nothing to undo."""
    counting = effective(log)
    last = _last_change(counting)
    return None if last is None else counting[last]


def _last_change(counting: Sequence[Record]) -> int | None:
    """Undo passes over turns that only asked for information."""
    changes = (at for at in reversed(range(len(counting))) if any(a.kind in CHANGES for a in counting[at].acts))
    return next(changes, None)


def has(acts: Iterable[Act], kind: ActKind) -> bool:
    return any(act.kind == kind for act in acts)


def evident(acts: Iterable[Act]) -> bool:
    """Whether any act changes what is believed."""
    return any(act.kind in EVIDENCE for act in acts)


def resolve(acts: Iterable[Act], state: State) -> tuple[Act, ...]:
    """Acts that name what they speak of: a bare yes or no answers the question asked (of several choices, all), a
    bare "not these" means all items shown, and other acts on items without an id mean the only item shown."""
    resolved: list[Act] = []
    for act in acts:
        if act.kind in ANSWERS and act.value is None:
            resolved += [act.model_copy(update={"value": name}) for name in state.asked]
        elif act.kind in ITEM_ACTS and act.item_id is None:
            named = state.shown if act.kind == ActKind.REJECT_ITEM or len(state.shown) == 1 else ()
            resolved += [act.model_copy(update={"item_id": name}) for name in named]
        else:
            resolved.append(act)
    return tuple(dict.fromkeys(resolved))


def step(state: State, acts: Iterable[Act]) -> State:
    """The state after the acts of one turn, before the agent answers it."""
    acts = tuple(acts)
    if has(acts, ActKind.RESET):
        state = State()
    for act in resolve(acts, state):
        state = _apply(state, act)
    if evident(acts):
        passed = [name for name in state.asked if name not in state.answers]
        state = replace(state, listed=(), passed=(*state.passed, *passed), turns=state.turns + 1)
    return state


def answer(state: State, record: Record) -> State:
    """The state once the agent has answered with what `record` says it asked and showed."""
    if record.listed:
        listed = tuple(dict.fromkeys((*state.listed, *record.shown)))
        return replace(state, asked=record.asked, shown=record.shown, listed=listed, questions=0)
    asked_anew = bool(record.asked) and record.asked != state.asked
    return replace(state, asked=record.asked, shown=record.shown, questions=state.questions + asked_anew)


def _fold(counting: Sequence[Record], last: Record | None) -> State:
    state = State()
    for record in counting:
        state = answer(step(state, record.acts), record)
    # After an undo the screen shows the answer to the undo, not that of the turn that counts last.
    return replace(state, asked=last.asked, shown=last.shown) if last else state


def _apply(state: State, act: Act) -> State:
    if act.kind in ANSWERS and act.value:
        return replace(state, answers=_put(state.answers, act.value, act))
    if act.kind in ITEM_ACTS and act.item_id:
        return replace(state, items=_put(state.items, act.item_id, act))
    if act.kind == ActKind.SEARCH:
        return replace(state, query="" if act.remove else (act.value or "").strip())
    if act.kind == ActKind.FILTER and act.filter:
        kept = tuple(known for known in state.filters if not _replaces(act.filter, known))
        return replace(state, filters=kept if act.remove else (*kept, act.filter))
    return state


def _put(names: dict[str, ActKind], name: str, act: Act) -> dict[str, ActKind]:
    kept = {known: kind for known, kind in names.items() if known != name}
    if act.remove:
        # Removing an entry that has since been changed to another kind would surprise.
        return kept if names.get(name) == act.kind else names
    return {**kept, name: act.kind}


def _replaces(new: Filter, old: Filter) -> bool:
    """A new bound replaces an older one in the same direction; names are only replaced by themselves."""
    if new.field != old.field:
        return False
    if new.field in ("price", "year"):
        return new.operator == "=" or old.operator == "=" or new.operator[0] == old.operator[0]
    if new.field == "brand" and new.operator == old.operator == "=":
        return True
    return str(new.value).casefold() == str(old.value).casefold()
