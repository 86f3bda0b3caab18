"""Finds catalogue names in a message: exact, plural, joined-up, a word wrong, spelling corrected; best cover wins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from llmrec.agents.conversation.understanding.lexicon import (
    CIRCUMSTANCE,
    CLASS_OF,
    COLLOQUIAL,
    CURRENCIES,
    DECADES,
    DIALOGUE,
    EVALUATIVE,
    FUNCTION,
    GENERIC,
    NUMBERS,
    ORDINALS,
    TRUE,
    UNITS,
)
from llmrec.agents.conversation.understanding.names import Name, Names, Words, attribute_words, singular
from llmrec.agents.conversation.understanding.normalise import Token, fold, name_words
from llmrec.agents.conversation.understanding.spelling import Speller, english

MAX_CORRECTIONS = 40
"""Unknown words of one message that are corrected: bounds the time for long ones."""
STRONG_SHARE = 0.006
"""An attribute on this share of the items, and on at least five, is preferred to an item of the same name."""
RARE_SHARE = 0.002
"""An attribute on a smaller share of the items that is an ordinary word needs a place for a name."""
PLURAL = 0.96
"""Quality of a name that differs by a plural."""
_COMMON = 7_000


@dataclass(frozen=True, slots=True)
class Mention:
    """A phrase that names something; `start:end` are token positions."""

    start: int
    end: int
    attribute: str | None = None
    item: int | None = None
    """Position of the item."""
    brand: str | None = None
    quality: float = 1.0
    """1 for what is written as in the catalogue, less for a guess."""
    weak: bool = False
    """An ordinary word: a name only where the sentence has a place for one."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The best name of one kind for a phrase."""

    score: float
    quality: float
    name: Name


class Linker:
    """Links the words of messages to the names of one catalogue."""

    def __init__(self, names: Names, dialogue: frozenset[str]) -> None:
        """`dialogue`: words that people say to any recommender."""
        self.names = names
        weights = {word: 0.2 + 20 * weight for word, weight in english().items()}
        for word in CIRCUMSTANCE | COLLOQUIAL | CURRENCIES | UNITS:
            weights[word] = max(weights.get(word, 0.0), 1.0)
        for word in FUNCTION | DIALOGUE | {*NUMBERS, *ORDINALS, *DECADES}:
            weights[word] = max(weights.get(word, 0.0), 20.0)
        for word in dialogue:
            weights[word] = max(weights.get(word, 0.0), 10.0)
        vocabulary = names.vocabulary()
        self._matters = frozenset(
            {*FUNCTION, *DIALOGUE, *GENERIC, *CIRCUMSTANCE, *CLASS_OF, *NUMBERS, *ORDINALS, *DECADES, *CURRENCIES}
            | dialogue
            | {*vocabulary}
        )
        for word, weight in vocabulary.items():
            weights[word] = max(weights.get(word, 0.0), 0.5 + weight)
        self.speller = Speller(weights)
        self._dialogue = dialogue | DIALOGUE
        ranks = {word: rank for rank, word in enumerate(english())}
        self._common = frozenset(word for word, rank in ranks.items() if rank < _COMMON)
        self._english = frozenset(ranks)
        self._strong = max(5.0, STRONG_SHARE * len(names.catalogue))
        self._rare = RARE_SHARE * len(names.catalogue)

    def matters(self, word: str) -> bool:
        """Whether a correction to this word changes what a message means, rather than guesses at a rare word."""
        return word in self._matters

    def corrected(self, tokens: Sequence[Token], known: Collection[str] = ()) -> list[list[str]]:
        """For each token the ways to read it: the word as written first, then corrections, best first.

        `known` words are right as they are.
        """
        budget, readings = MAX_CORRECTIONS, []
        for token in tokens:
            ways = [token.raw]
            if budget and token.words == (token.raw,) and token.raw not in known and token.raw not in self.speller:
                near = self.speller.correct(token.raw)
                budget -= 1
                ways += [word for word, score in near if score > near[0][1] - 6.0]
                if ways[1:] and ways[1] in self._dialogue:
                    # "botherd" is "bothered" and not "Brother"
                    edits = OSA.distance(token.raw, ways[1])
                    ways = [way for way in ways if OSA.distance(token.raw, way) <= edits]
            readings.append(ways)
        return readings

    def link(
        self, text: str, tokens: Sequence[Token], readings: Sequence[Sequence[str]], asked: str | None
    ) -> list[Mention]:
        """Mentions that do not overlap, in order. `asked` is an attribute that any of its words may name."""
        found: list[tuple[float, Mention]] = []
        special = {form: asked for form in _ways_to_say(asked) if form} if asked else {}
        for start in range(len(tokens)):
            for end in range(start + 1, min(len(tokens), start + 9) + 1):
                if end > start + 1 and tokens[end - 1].before == ".":
                    break
                found.extend(self._window(text, tokens, readings, start, end, special))
        found.sort(key=lambda pair: (-pair[0], pair[1].start))
        taken = [False] * len(tokens)
        chosen: list[Mention] = []
        for _, mention in found:
            if not any(taken[mention.start : mention.end]):
                taken[mention.start : mention.end] = [True] * (mention.end - mention.start)
                chosen.append(mention)
        return sorted(chosen, key=lambda mention: mention.start)

    def _window(
        self,
        text: str,
        tokens: Sequence[Token],
        readings: Sequence[Sequence[str]],
        start: int,
        end: int,
        special: dict[Words, str],
    ) -> list[tuple[float, Mention]]:
        window = tokens[start:end]
        words: Words = tuple(token.raw for token in window)
        facet = self._with_facet(words) if len(words) > 1 and not any(token.before for token in window[1:]) else None
        if facet is not None:
            return [(1.2 * len(words), Mention(start, end, attribute=facet.value))]
        if words in special:
            weak = all(word in FUNCTION or word in EVALUATIVE for word in words)
            return [(100.0 * len(words), Mention(start, end, attribute=special[words], weak=weak))]
        exact = self.names.exact
        comma = any(token.before for token in window[1:])
        candidates: list[tuple[Words, float]] = []
        if words in exact:
            candidates.append((words, 1.0))
        if not comma:
            candidates += [(form, PLURAL) for form in self.names.plural.get(singular(words), ()) if form != words]
            joined = "".join(words)
            if len(joined) >= 4:
                candidates += [(form, 0.94) for form in self.names.joined.get(joined, ()) if form != words]
            if not any(quality >= 0.94 for _, quality in candidates):
                candidates += self._misspelt(words, readings[start:end])
        best: dict[str, _Found] = {}
        written = fold(text[window[0].start : window[-1].end])
        meant = words
        for form, quality in candidates:
            if comma and len(form) < 3:
                continue
            for name in exact[form]:
                score = quality * 10 + min(name.weight, 1000) ** 0.25 * 0.3 + 0.4 * (fold(name.value) == written)
                if name.kind not in best or score > best[name.kind].score:
                    best[name.kind] = _Found(score, quality, name)
                    meant = form
        if not best:
            return []
        mention = self._mention(window, meant, start, end, best)
        if mention is None:
            return []
        size = sum(len(word) > 2 for word in words) + 0.1 * len(words)
        return [(size * mention.quality**2 - (0.4 if mention.weak else 0.0), mention)]

    def _with_facet(self, words: Words) -> Name | None:
        """The attribute of a value with a word of its facet beside it: "AMD processor", "colour red"."""
        for value, word in ((words[:-1], singular(words[-1:])[0]), (words[1:], words[0])):
            for name in self.names.exact.get(value, ()):
                if (
                    name.kind == "attribute"
                    and word in name_words(name.value.partition(": ")[0])
                    and ": " in name.value
                ):
                    return name
        return None

    def _misspelt(self, words: Words, readings: Sequence[Sequence[str]]) -> list[tuple[Words, float]]:
        """Names that differ by spelling corrections of unknown words, or by one wrong word among several."""
        found: list[tuple[Words, float]] = []
        if any(len(ways) > 1 for ways in readings):
            guesses: list[Words] = [()]
            for ways in readings:
                options = ways[1:4] if len(ways) > 1 else ways
                guesses = [(*guess, word) for guess in guesses for word in options][:12]
            for rank, guess in enumerate(guesses):
                quality = 0.88 - 0.01 * rank
                if guess in self.names.exact:
                    found.append((guess, quality))
                else:
                    found += [(form, quality - 0.02) for form in self.names.plural.get(singular(guess), ())]
        if 2 <= len(words) <= 5 and not found:
            for at, word in enumerate(words):
                if len(word) < 4 or word in FUNCTION:
                    continue
                for form in self.names.gaps.get((at, words[:at] + words[at + 1 :]), ())[:200]:
                    most = 1 if len(word) <= 6 else 2
                    if form[at][0] == word[0] and OSA.distance(word, form[at], score_cutoff=most) <= most:
                        found.append((form, 0.86))
        return found

    def _is_word(self, word: str) -> bool:
        """A common English word, or a form of one: "hurts", "violins"."""
        return word in self._common or (word[-1] == "s" and word[:-1] in self._english)

    def _mention(
        self, window: Sequence[Token], words: Words, start: int, end: int, best: dict[str, _Found]
    ) -> Mention | None:
        """One mention of the best names of a phrase, None where the phrase is only ordinary words."""
        quality = max(found.quality for found in best.values())
        typed = [token.raw for token in window]
        phrase = len(words) > 1 and words[0] in EVALUATIVE and words[-1] in ("songs", "song", "music")  # "love songs"
        plain = (
            (all(map(_is_plain, words)) and not phrase)
            or (all(map(_is_plain, typed)) and not phrase)
            or all(token.words != (token.raw,) for token in window)  # slang
        )
        marked = all(token.quoted for token in window) or (
            any(token.capital for token in window) and all(t.capital or t.raw in FUNCTION for t in window)
        )
        if plain and not marked:
            return None
        ordinary = plain or all(_is_plain(word) or word in EVALUATIVE or word in DIALOGUE for word in words)
        if len(words) == 1 and quality < 1 and window[0].raw in CLASS_OF:
            ordinary = True  # "rocks" after a name is no plural of "rock"
        weak = ordinary and not all(token.quoted for token in window)
        a, i, b = (best[kind].name if kind in best else None for kind in ("attribute", "item", "brand"))
        common = len(words) == 1 and self._is_word(words[0])
        if a is None and b is None and i is not None and not marked:
            # "heat", "speed", "the game": titles that are ordinary words need a sentence about items
            weak = weak or common or (len(words) == 1 and i.article)
            content = [word for word in words if word not in FUNCTION]
            if PLURAL <= quality < 1 and len(content) == 1 and self._is_word(content[0]):
                weak = True  # "the car" for "The Cars"
        if a is not None and len(words) > 1 and a.weight >= self._strong and words[0] not in ("my", "i", "seen"):
            weak = False  # "easy listening", "love songs"
        english = len(words) == 1 and (common or words[0] in self._english)
        tag = a is not None and ": " not in a.value
        if a is not None and b is None and (common or (english and tag and i is None)) and a.weight < self._rare:
            weak = True  # "bounce", "hall": words that a few people used as a tag
        if a is not None and i is not None and a.weight < self._strong and (marked or not (weak or common)):
            a = None  # a rarely used tag that is also somebody's name
        return Mention(
            start,
            end,
            attribute=a.value if a else None,
            item=i.position if i else None,
            brand=b.value if b else None,
            quality=quality,
            weak=weak,
        )


def _is_plain(word: str) -> bool:
    return word in FUNCTION or word in GENERIC or word in NUMBERS or word in ORDINALS or len(word) < 2


def _ways_to_say(attribute: str) -> list[Words]:
    """Value, whole name, facet and the facet's last word: "colour" after "product colour: Red" was asked."""
    facet, _, value = attribute.partition(": ")
    forms = [attribute_words(attribute), name_words(attribute)]
    if value.casefold() in TRUE:
        return [*forms, *((word,) for word in name_words(facet) if len(word) > 3)]  # "smart" for "smart tv: True"
    if not value:
        return forms
    first = name_words(value)[:1]
    partly = [first] if first and len(first[0]) > 3 else []  # "windows" for "Windows 10 Home"
    return [*forms, name_words(facet), name_words(facet)[-1:], *partly]
