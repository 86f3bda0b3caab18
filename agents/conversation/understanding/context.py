"""What the clauses of a message make of each other: answers, corrections, contrasts, asides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from llmrec.agents.conversation.understanding.clauses import Clause
from llmrec.agents.conversation.understanding.lexicon import NEGATORS, words
from llmrec.agents.conversation.understanding.statements import ABOUT_NAMES, SURE, Statement

_SHOWING = words("show give see list play recommend suggest results result recommendations suggestions picks got")
_EITHER = words("either both any all")
_BARE = words("and or the oh hmm well so ugh ooh a an")

LEAD = 0.2
"""By how much praise must lead over dislike, or yes over no, where the message says more."""


def settle(statements: Sequence[Statement], asked: str | None) -> list[Statement]:
    """The statements that count, their intents as the others make them."""
    _hand_back(statements, asked)
    intents = {statement.intent for statement in statements}
    if intents & {"undo", "reset"}:
        # "oh no, wrong button" is no answer
        statements = [s for s in statements if s.intent not in ("yes", "no")]
    if "reset" in intents:
        statements = [s for s in statements if s.intent != "undo"]
    answers = [s for s in statements if s.intent in ("yes", "no") or (s.intent == "dont_care" and not s.clause.names)]
    if "results" in intents or any(s.score > SURE for s in answers):
        for statement in answers:
            if statement.score < SURE:
                statement.intent = "none"  # "go on, what have you got", "yes, that takes me back"
    if len(answers) == 2 and abs(answers[0].score - answers[1].score) > LEAD:
        min(answers, key=lambda statement: statement.score).intent = "none"  # "oh, i should like that"
    if {"yes", "no"} <= {statement.intent for statement in statements}:
        # "yes and no", "could be, could be not"
        for statement in statements:
            statement.intent = {"yes": "dont_care", "no": "none"}.get(statement.intent, statement.intent)
    if any(s.intent == "more_like" and s.clause.names for s in statements):
        # "more of the same, like Portishead"
        statements = [s for s in statements if s.intent != "more_like" or s.clause.names]
    if (asked and intents & {"yes", "no"}) or intents & {"explain", "compare"}:
        for statement in statements:
            if statement.intent in ("positive", "negative") and _is_aside(statement):
                statement.intent = "none"  # "yes, we must save paper"
    if len(statements) > 1:
        statements = [s for s in statements if not _is_empty(s, statements, asked)]
    return list(statements)


def _is_aside(statement: Statement) -> bool:
    """Whether it is open what a clause says about its names."""
    likes, dislikes, nothing = map(statement.of, ("positive", "negative", "none"))
    return max(likes, dislikes) < SURE and (abs(likes - dislikes) < LEAD or nothing > LEAD)


def _is_empty(statement: Statement, among: Sequence[Statement], asked: str | None) -> bool:
    """Whether a clause says nothing beside the others."""
    clause = statement.clause
    if statement.intent in ("yes", "no"):
        return asked is None and any(s.intent not in ("yes", "no", "none", "small_talk") for s in among)
    if statement.intent == "results":
        undone = any(s.intent in ("undo", "reset") for s in among) and len(clause.units) == 1
        bounded = any(s.clause.bounds for s in among) and not any(unit.word in _SHOWING for unit in clause.units)
        return undone or bounded  # "shoot, wrong key"; "classic movies, before 1960"
    if statement.intent == "negative" and clause.units[0].word == "too":
        # "not Air, too slow": a reason
        return any(s.intent == "negative" and any(u.word == "@i" for u in s.clause.names) for s in among)
    return False


def _hand_back(statements: Sequence[Statement], asked: str | None) -> None:
    """ "Radiohead? never": what a clause without names of its own says is about the bare names in front of it."""
    for before, statement in pairwise(statements):
        if _only_names(before.clause, asked) and statement.intent in ("yes", "no", "dont_care"):
            before.intent = "none"  # "Documentary? No": the question again
            continue
        if before.intent == "seen" and [unit.word for unit in statement.clause.units] == ["not", "@i"]:
            statement.intent = "none"  # "seen Alien, not Psycho"
            continue
        if _is_correction(statement.clause) and before.intent in ABOUT_NAMES:
            before.intent, statement.intent = "none", before.intent  # "lose the second one, Evita i mean"
            continue
        if _is_bare(before.clause) and before.intent == "positive":
            items = all(unit.word == "@i" for unit in before.clause.names)
            if statement.intent in ("explain", "compare") and not statement.clause.named:
                before.intent = "none"  # "Suede? where did that come from"
                continue
            if (
                items
                and statement.clause.contrast
                and statement.intent in ("positive", "negative")
                and all(unit.word == "@a" for unit in statement.clause.names)
            ):
                before.intent = "more_like"  # "Alien but funny"
            if items and statement.intent == "dont_care" and not statement.clause.named:
                before.intent, statement.intent = "negative", "none"  # "Blur, meh"
                continue
        if statement.clause.named:
            continue
        if not _is_bare(before.clause):
            turned = statement.intent == "no" and statement.score >= SURE
            if turned and asked is None and before.intent == "positive" and before.clause.named:
                before.intent, statement.intent = "negative", "none"  # "Jaws gave me nightmares, never again"
            continue
        said = {unit.word for unit in statement.clause.units}
        if len(before.clause.names) > 1 and said & _EITHER and not said & NEGATORS and statement.intent == "dont_care":
            statement.intent = "positive"  # "reggae or ska, either is fine"
        intent = {"yes": "positive", "no": "negative"}.get(statement.intent, statement.intent)
        if intent in ABOUT_NAMES and not (intent != statement.intent and asked):
            before.intent, statement.intent = intent, "none"


def _only_names(clause: Clause, attribute: str | None) -> bool:
    named = [unit.mention.attribute if unit.mention else None for unit in clause.names]
    return attribute is not None and _is_bare(clause) and set(named) == {attribute}


def _is_bare(clause: Clause) -> bool:
    """Nothing but names and fillers: says nothing about them by itself."""
    spoken = [unit.word for unit in clause.units]
    if spoken[-2:] == ["or", "not"]:
        spoken = spoken[:-2]
    return bool(clause.names) and all(word in ("@a", "@i") or word in _BARE for word in spoken)


def _is_correction(clause: Clause) -> bool:
    """Names, and "i mean" before or behind them."""
    spoken = [unit.word for unit in clause.units]
    meant = spoken[-2:] == ["i", "mean"] or spoken[:2] == ["i", "mean"] or spoken[:2] == ["i", "meant"]
    return meant and bool(clause.named) and sum(word not in ("@a", "@i") for word in spoken) == 2
