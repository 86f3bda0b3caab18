"""The page's pieces as HTML. Jinja escapes every text; nothing here builds markup from strings of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from llmrec.acts import Act, ActKind
from llmrec.agents.conversation.decide import SHORTLIST
from llmrec.agents.conversation.fold import Record, effective, has
from llmrec.agents.conversation.say import plain
from llmrec.turn import Preference, RecommendedItem, Stage, Turn, TurnRequest
from llmrec.ui.chat.tile import tile
from llmrec.ui.chat.words import Words

if TYPE_CHECKING:
    from llmrec.agents.assistant import Assistant
    from llmrec.agents.memory import MemoryEntry

FOLDER = Path(__file__).parent
_STAGES = {
    "understand": "Reading",
    "believe": "Weighing",
    "decide": "Deciding",
    "act": "Finding",
    "say": "Wording",
}
_GROUPS = (
    ("You want", {ActKind.ACCEPT, ActKind.LIKE_ITEM, ActKind.MORE_LIKE, ActKind.SEARCH}),
    ("Only", {ActKind.FILTER}),
    ("Not", {ActKind.REJECT, ActKind.REJECT_ITEM}),
    ("Doesn’t matter", {ActKind.DONT_CARE, ActKind.SEEN}),
)
_MEMORY_MARKS = {"like": "♥", "dislike": "−", "seen": "seen", "accept": "+", "reject": "−"}


def _wire(acts: Iterable[Act]) -> Markup:
    """Acts as JSON for an attribute in single quotes."""
    text = json.dumps([act.model_dump(mode="json", exclude_defaults=True) for act in acts], ensure_ascii=True)
    for char in "<>&'":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def _act(kind: str, value: str | None = None, item_id: str | None = None) -> Act:
    return Act(kind=ActKind(kind), value=value, item_id=item_id)


def _price(price: float) -> str:
    return f"{price:,.0f}" if price == round(price) else f"{price:,.2f}"


def _hue(name: str) -> int:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=2).digest()[0] * 360 // 256


def _brief(text: str, items: Sequence[RecommendedItem]) -> str:
    """Where a text ends in a list of titles, the list is left out: the cards are the list."""
    head, mark, titles = text.partition(": “")
    return f"{head}." if mark and items and titles.startswith(plain(items[0].title)) else text


class Renderer:
    """Turns what the assistant says into HTML."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant = assistant
        self.words = Words(assistant)
        self._env = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters["wire"] = _wire
        self._env.globals.update(
            words=self.words,
            act=_act,
            price=_price,
            hue=_hue,
            withdraw=lambda act: act.model_copy(update={"remove": True}),
            compare=lambda items: [_act("compare", item_id=item.item_id) for item in items],
            dont_care_all=lambda names: [_act("dont_care", value=name) for name in names],
            stage_name=lambda name: _STAGES.get(name, name.capitalize()),
            tile=lambda item: tile(item.item_id, item.brand or "".join(item.attributes[-1:])),
            facts_of=lambda item: [fact for fact in (item.brand, str(item.year) if item.year else "") if fact],
            tags_of=self._tags,
        )

    # --- The conversation -----------------------------------------------------------------------------------------

    def person(self, request: TurnRequest, turn: Turn | None = None) -> str:
        """The bubble of a request: the text as it was typed and how it was understood, or the click in words."""
        text = "\n".join(filter(None, (request.text, self.words.say(request.acts))))
        read = self.words.understood(turn.acts) if turn and request.text else []
        return self._render("person.html", text=text, read=read)

    def agent(self, turn: Turn, known: Sequence[Preference] | None = None) -> str:
        """The answer with its items, question, table and steps; `known` is what is known by now, if more was said."""
        said_of = {(entry.act.item_id, entry.act.kind.value) for entry in known or turn.preferences}
        wanted = {p.act.value for p in turn.preferences if p.act.kind is ActKind.ACCEPT and p.act.value}
        # The question has its own place, and what follows it speaks of the items below it.
        asked = turn.question.text if turn.question and turn.question.text in turn.text else ""
        said, _, added = turn.text.partition(asked) if asked else (turn.text, "", "")
        return self._render(
            "agent.html",
            turn=turn,
            said=_brief(said.strip(), turn.items),
            added=_brief(added.strip(), turn.items),
            question=turn.question,
            asked=bool(asked) or (turn.question is not None and not turn.text),
            small=(turn.question is not None and len(turn.items) <= SHORTLIST) or "comparison" in turn.data,
            wanted=wanted,
            said_of=lambda item_id, kind: (item_id, kind) in said_of,
            starters=turn.starters[:4],
            table=turn.data.get("comparison"),
        )

    def log(self, turns: Sequence[tuple[TurnRequest, Turn]]) -> str:
        """A conversation without what was taken back; after a fresh start only what follows it."""
        records = [Record(id=turn.message_id, acts=tuple(turn.acts)) for _, turn in turns]
        counting = effective(records)
        resets = [at for at, record in enumerate(counting) if has(record.acts, ActKind.RESET)]
        shown = {record.id for record in (*counting[resets[-1] if resets else 0 :], *records[-1:])}
        known = turns[-1][1].preferences if turns else []
        return "".join(
            self.person(request, turn) + self.agent(turn, known) for request, turn in turns if turn.message_id in shown
        )

    def working(self, stages: Sequence[Stage], text: str) -> str:
        """The stages so far, what comes next and the words that are there already."""
        names = list(_STAGES)
        last = stages[-1].name if stages else ""
        after = names[(names.index(last) + 1) % len(names)] if last in names else names[0]
        return self._render("working.html", stages=stages, text=text, next_stage=_STAGES[after] + " …")

    def trouble(self, message: str, *, retry: bool) -> str:
        """A failed turn."""
        sentence = message[:1].upper() + message[1:]
        return self._render("trouble.html", message=sentence, retry=retry)

    def welcome(self, user: str | None) -> str:
        """What stands in an empty conversation."""
        return self._render(
            "welcome.html",
            name=self.assistant.name,
            user=user,
            total=len(self.assistant.catalogue),
            starters=self.assistant.starters(user)[:6],
        )

    # --- Beside the conversation ----------------------------------------------------------------------------------

    def side(self, left: int, preferences: Sequence[Preference]) -> str:
        """Candidates left and the preferences, each with its cross."""
        total = max(1, len(self.assistant.catalogue))
        groups = [
            (title, [entry for entry in preferences if entry.act.kind in kinds and not entry.act.remove])
            for title, kinds in _GROUPS
        ]
        # On a linear scale the last hundred of a large catalogue would not be seen.
        share = 100 * (max(0, left) / total) ** 0.4
        return self._render(
            "side.html",
            left=left,
            total=total,
            share=f"{min(share, 100):.1f}",
            groups=[(title, entries) for title, entries in groups if entries],
        )

    def policies(self, names: Sequence[str], chosen: str) -> str:
        """The choice of what decides; the first of `names` is the server's own, which "" stands for."""
        values = ["", *names[1:]]
        policies = list(zip(values, names, strict=True))
        return self._render("policies.html", policies=policies, chosen=chosen if chosen in values else "")

    def people(self, people: Sequence[str], user: str | None, *, free: bool, signed: bool) -> str:
        """The user picker; `free` lets any name be typed."""
        return self._render("people.html", people=people, user=user, free=free, signed=signed)

    def memory(self, entries: Sequence[MemoryEntry], user: str | None) -> str:
        """Everything that is remembered about a user, the newest first."""
        shown = []
        for entry in sorted(entries, key=lambda entry: -entry.created):
            label = self.words.item(entry.item_id) if entry.item_id else self.words.attribute(entry.attribute or "")
            shown.append({"id": entry.id, "kind": entry.kind, "mark": _MEMORY_MARKS[entry.kind], "label": label})
        return self._render("memory.html", entries=shown, user=user)

    def login(self, trouble: str = "") -> str:
        """The page that asks for a key."""
        css = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))
        return self._render("login.html", name=self.assistant.name, css=css, trouble=trouble)

    def _render(self, template: str, **values: Any) -> str:
        return self._env.get_template(template).render(**values)

    def _tags(self, item: RecommendedItem, wanted: set[str]) -> list[dict[str, Any]]:
        """Attributes for a card, the wanted ones first; the brand has its own place."""
        names = [name for name in item.attributes if not name.startswith("brand: ")]
        names.sort(key=lambda name: name not in wanted)
        return [{"label": self.words.attribute(name), "match": name in wanted} for name in names[:12]]
