"""References to shown items: "the second one", "number 3", "both", "the first two", "the blue one", "it"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from llmrec.agents.conversation.understanding.lexicon import FUNCTION, GENERIC, NUMBERS, ORDINALS, words
from llmrec.agents.conversation.understanding.names import singular
from llmrec.agents.conversation.understanding.normalise import Token, name_words

_HEADS = GENERIC | words("one ones choice choices suggested listed shown")
_LAST = words("last final bottom lowest")
_NOT_ITEMS = words(
    "answer answers question step time thing message reply response week night year month weekend day choice choices"
    " selection input entry turn round name summer winter century decade season sight place of all part half"
)
"""What "first" and "last" stand before without meaning an item."""
_NUMBERED = words("number no nr item option film movie product choice")
_DETERMINERS = words("the your that this")
_DETERMINED = words("the your that this my and or with to like not")
_VERBS = words("like show listen watch feel sounds sound matches match feature fit")
_PAIRING = words("and or vs versus to with than over")
_BEFORE_PLACE = words("not no like love hate seen with is take pick choose drop lose remove hide only") | {""}
_AFTER_PLACE = words("please is was looks sounds seems and or for then instead again") | {""}
_PLURALS = words("these those them they")
_SINGULARS = words("it this that")


@dataclass(frozen=True, slots=True)
class Reference:
    """`start:end` token positions that mean the items at `shown`, 0-based places in the list that was shown."""

    start: int
    end: int
    shown: tuple[int, ...]
    pronoun: bool = False
    """Only a pronoun: means something else where a sentence offers it."""
    by_title: bool = False


def find_references(tokens: Sequence[Token], titles: Sequence[str], brands: Sequence[str] = ()) -> list[Reference]:
    """References to `titles` (as shown, in order), left to right, without overlap."""
    if not titles:
        return []
    words = [token.words[0] if len(token.words) == 1 else token.raw for token in tokens]
    nouns = {form for title in titles for form in _forms(name_words(title)) if form not in FUNCTION}
    found: list[Reference] = []
    at = 0
    while at < len(words):
        reference = _by_place(words, tokens, at, len(titles), nouns) or _by_pronoun(
            words, tokens, at, len(titles), nouns
        )
        if reference:
            found.append(reference)
            at = reference.end
            beside = _cardinal(words[at + 1]) if at + 1 < len(words) and words[at] in ("and", "or") else 0
            if words[reference.start] in _NUMBERED and 0 < beside <= len(titles):
                found.append(Reference(at + 1, at + 2, (beside - 1,)))  # "number one and three"
                at += 2
        else:
            at += 1
    taken = {
        position for reference in found if not reference.pronoun for position in range(reference.start, reference.end)
    }
    named = _by_title(tokens, titles, brands, taken)
    covered = {position for reference in named for position in range(reference.start, reference.end)}
    found = [r for r in found if not covered & set(range(r.start, r.end))]
    return sorted(found + named, key=lambda reference: reference.start)


def _by_place(
    words: Sequence[str], tokens: Sequence[Token], at: int, count: int, nouns: Collection[str]
) -> Reference | None:
    """Ordinals, numbers and counts."""
    start = at
    determined = at > 0 and words[at - 1] in _DETERMINED
    if words[at] in _DETERMINERS and at + 1 < len(words):
        at, determined = at + 1, True
    word, following = words[at], _next(words, tokens, at)
    if word in _NUMBERED and following:
        value = _cardinal(following)
        if 0 < value <= count and (word in ("number", "nr", "item", "option") or following.isdigit()):
            return Reference(start, at + 2, (value - 1,))
    if _is_place(words, at, count):
        return Reference(start, at + 1, (int(word) - 1,))
    if word in ORDINALS or word in _LAST or word in ("former", "latter"):
        return _by_ordinal(words, tokens, start, at, count, determined, nouns)
    if (word == "all" and _cardinal(following) == count) or (start < at and _cardinal(word) == count > 1):
        end = at + 2 if word == "all" else at + 1
        return Reference(start, _past_heads(words, tokens, end, nouns), tuple(range(count)))
    if (
        word in ("all", "none", "neither")
        and following == "of"
        and words[at + 2 : at + 3]
        and words[at + 2] in _PLURALS
    ):
        # the negator stays a word: it says what is meant
        return Reference(start if word == "all" else at + 2, at + 3, tuple(range(count)))
    return None


def _is_place(words: Sequence[str], at: int, count: int) -> bool:
    """Whether a bare number is an item's place: "between 2 and 3", "not 1", "2 please"."""
    if not (words[at].isdigit() and 0 < int(words[at]) <= count):
        return False
    before, after = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
    beside = (before in _PAIRING and at > 1 and words[at - 2].isdigit()) or (
        after in _PAIRING and at + 2 < len(words) and words[at + 2].isdigit() and int(words[at + 2]) <= count
    )
    return beside or (before in _BEFORE_PLACE and after in _AFTER_PLACE)


def _by_ordinal(
    words: Sequence[str],
    tokens: Sequence[Token],
    start: int,
    at: int,
    count: int,
    determined: bool,
    nouns: Collection[str],
) -> Reference | None:
    """ "the second one", "first two", "last film"; `start` is the place of its determiner."""
    word, following = words[at], _next(words, tokens, at)
    of_them = following == "of" and words[at + 2 : at + 3] and words[at + 2] in _PLURALS
    if of_them:
        place = _place(word, count)
        return Reference(start, at + 3, (place,)) if place is not None else None  # "the last of those"
    if following in _NOT_ITEMS:
        return None
    many = 0 if following == "one" else _cardinal(following)
    if 0 < many <= count and (word in _LAST or word in ("first", "top")):
        places = range(count - many, count) if word in _LAST else range(many)
        return Reference(start, _past_heads(words, tokens, at + 2, nouns), tuple(places))
    end = _past_heads(words, tokens, at + 1, nouns)
    place = _place(word, count)
    clear = determined or end > at + 1 or len(words) <= 3 or word[0].isdigit()
    return Reference(start, end, (place,)) if clear and place is not None else None


def _by_pronoun(
    words: Sequence[str], tokens: Sequence[Token], at: int, count: int, nouns: Collection[str]
) -> Reference | None:
    word, following = words[at], _next(words, tokens, at)
    everything = tuple(range(count))
    if word == "both" and count >= 2:
        end = at + 1
        while end < len(words) and (words[end] in ("of", "the") or words[end] in _PLURALS or words[end] in _HEADS):
            end += 1
        return Reference(at, end, everything[:2], pronoun=True)
    if word in _PLURALS:
        number = _cardinal(following)
        headed = (
            (following in _HEADS and following not in _VERBS)
            or number
            or (singular((following,))[0] in nouns and word in ("these", "those"))
        )
        end = at + 2 if headed else at + 1
        return Reference(at, end, everything[:number] if 0 < number < count else everything, pronoun=True)
    if word in _SINGULARS and tokens[at].words == (word,):
        return Reference(at, at + 2 if following in _HEADS else at + 1, everything[:1], pronoun=True)
    return None


def _by_title(
    tokens: Sequence[Token], titles: Sequence[str], brands: Sequence[str], taken: set[int]
) -> list[Reference]:
    """Parts of shown titles: the words that only some of the shown titles have tell which one is meant."""
    bags = [set(_forms(name_words(title))) for title in titles]
    for bag, brand in zip(bags, brands, strict=False):
        bag.update(_forms(name_words(brand)))
    frequency = Counter(word for bag in bags for word in bag)
    found: list[Reference] = []
    at = 0
    while at < len(tokens):
        if at in taken or not _owners(tokens[at].raw, bags):
            at += 1
            continue
        end, scores, content = at, [0.0] * len(bags), 0
        while end < len(tokens) and end not in taken and (end == at or not tokens[end].before):
            owners = _owners(tokens[end].raw, bags)
            if not owners:
                break
            word = tokens[end].raw
            plain = word in FUNCTION or word in GENERIC
            content += not plain
            for owner in owners:
                scores[owner] += 0.2 if plain else 1.0 + 1.0 / max(1, frequency.get(word, 1))
            end += 1
        start = at
        whole = any(name_words(title) == tuple(token.raw for token in tokens[at:end]) for title in titles)
        while not whole and end > at and tokens[end - 1].raw in FUNCTION:
            end -= 1
        while not whole and start < end and tokens[start].raw in FUNCTION and tokens[start].raw not in _DETERMINERS:
            start += 1
        at = max(end, at + 1)
        best = max(scores)
        winners = [place for place, score in enumerate(scores) if score == best]
        if content and len(winners) == 1 and end > start:
            before = start - 1 if start and tokens[start - 1].raw in _DETERMINERS and start - 1 not in taken else start
            stop = end + 1 if end < len(tokens) and tokens[end].raw in _HEADS and not tokens[end].before else end
            whole = whole or name_words(titles[winners[0]]) == tuple(token.raw for token in tokens[start:end])
            definite = before < start or stop > end or whole or content > 1 or tokens[start].raw in _DETERMINERS
            if definite or _distinctive(tokens[start:end], bags):
                found.append(Reference(before, stop, (winners[0],), by_title=True))
    return found


def _distinctive(tokens: Sequence[Token], bags: Sequence[set[str]]) -> bool:
    """A single word counts when it is a name-like one: long, and in no other shown title."""
    return any(
        len(token.raw) >= 4
        and token.raw not in FUNCTION
        and token.raw not in GENERIC
        and sum(bool(_owners(token.raw, [bag])) for bag in bags) == 1
        for token in tokens
    )


def _owners(word: str, bags: Sequence[set[str]]) -> list[int]:
    """Places of the titles that hold this word, allowing a plural or one slip in longer words."""
    forms = _forms((word,))
    exact = [place for place, bag in enumerate(bags) if any(form in bag for form in forms)]
    if exact or len(word) < 5 or word in FUNCTION:
        return exact
    most = 1 if len(word) < 8 else 2
    return [
        place
        for place, bag in enumerate(bags)
        if any(
            len(other) >= 4 and other[0] == word[0] and OSA.distance(word, other, score_cutoff=most) <= most
            for other in bag
        )
    ]


def _forms(words: Sequence[str]) -> list[str]:
    return [form for word in words for form in {word, singular((word,))[0]}]


def _next(words: Sequence[str], tokens: Sequence[Token], at: int) -> str:
    """The word behind, "" where a separator stands between."""
    return words[at + 1] if at + 1 < len(words) and not tokens[at + 1].before else ""


def _cardinal(word: str) -> int:
    return int(word) if word.isdigit() and len(word) < 3 else NUMBERS.get(word, 0)


def _place(word: str, count: int) -> int | None:
    if word in _LAST or word == "latter":
        return count - 1
    if word == "middle":
        return count // 2
    number = ORDINALS.get(word, 1)
    return number - 1 if number <= count else None


def _past_heads(words: Sequence[str], tokens: Sequence[Token], at: int, nouns: Collection[str]) -> int:
    """Past the nouns behind an ordinal: "one", "film", or a word of the titles shown."""
    start = at
    while at < len(words) and not tokens[at].before and words[at] in _HEADS and words[at] not in _VERBS:
        at += 1
    named = at == start < len(words) and not tokens[at].before and singular((words[at],))[0] in nouns
    return at + 1 if named else at
