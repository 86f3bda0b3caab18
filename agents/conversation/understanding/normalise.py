"""Text to tokens: folded spelling, expanded contractions and slang, separators kept, emoji read as words.

Everything after this module works on tokens, so that "dont", "don't" and "do not" are one thing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from llmrec.agents.conversation.understanding.lexicon import EMOJI, EXPANSIONS, FUNCTION, SPELLING, words

MAX_TOKENS = 400
"""Tokens read of one message: bounds the time for very long ones; what people ask for stands in the first sentences."""


@dataclass(frozen=True, slots=True)
class Token:
    """One written word, perhaps short for several."""

    raw: str
    """Folded, as written: what names are compared with."""
    words: tuple[str, ...]
    """Folded and expanded, at least one: what intents and cues are read from."""
    start: int
    end: int
    before: str = ""
    """The strongest separator in front: "." (sentence), "," (also a lone dash, colon, bracket, emoji) or ""."""
    capital: bool = False
    """Written with a capital that no sentence start explains."""
    quoted: bool = False


_PIECE = re.compile(
    r"(?P<placeholder>@[a-z]\b)"
    r"|(?P<money>[$€£¥](?=\s?\d)|(?<=\d)\s?[$€£¥])"
    r"|(?P<decade>['’]?(?:1[89]|20)?\d0\s?['’]?s\b)"
    r"|(?P<number>\d{1,3}(?:[,.]\d{3})+(?:[.,]\d{1,2})?(?![\w])|\d+[.,]\d+(?:k\b|(?!\w))|\d+(?=(?:usd|eur|gbp|bucks|euros?)\b|\W|$))"
    r"|(?P<heart><3+)"
    r"|(?P<acronym>\b(?:[^\W\d_]\.){2,}(?:[^\W\d_]\b)?)"
    r"|(?P<word>(?:mr|mrs|dr|st|jr|vs|feat|ft|vol)\.(?=\s?\w)|(?:no|nr)\.(?=\s?\d)|[^\W_]+(?:['’`´][^\W_]+)*|w/o?\b)"
    r"|(?P<compare>[<>]=?|≤|≥)"
    r"|(?P<plus>[+&])"
    r"|(?P<strong>[.!?;…\n。！？؟]+)"
    r"|(?P<joint>(?<=[^\W\d_])/(?=[^\W\d_]))"
    r"|(?P<weak>[,،、]|:(?=\s)|\s[-–—]+\s|—|[()\[\]/|])"
    r"|(?P<quote>[\"“”«»])"
    r"|(?P<other>[^\w\s])",
    re.IGNORECASE,
)
_LETTERS = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "’": "'", "‘": "'", "`": "'", "´": "'"})
_NAME_WORD = re.compile(r"<3+|[^\W_]+(?:'[^\W_]+)*|&")
_INITIALS = re.compile(r"\b((?:[^\W\d_]\.){2,}[^\W\d_]?)")
_TRIPLE = re.compile(r"([a-z])\1{2,}")
_SUFFIXES = {"n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "'m": "am"}
_HEADS = {"ca": "can", "wo": "will", "sha": "shall", "ai": "is"}
_STRETCHED = words("no yes yep nope nah so please yeah hi hey hello bye wow love ugh")


def fold(text: str) -> str:
    """Compatibility form, without case and accents: "Sigur Rós" becomes "sigur ros"."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(ch for ch in decomposed if not unicodedata.combining(ch)).translate(_LETTERS)


def name_words(name: str) -> tuple[str, ...]:
    """Words of a catalogue name, folded as `Token.raw` is: "R.E.M." is ("rem",), "Hip-Hop" ("hip", "hop")."""
    folded = _INITIALS.sub(lambda match: match.group().replace(".", ""), fold(name))
    words = (word.replace("'", "") for word in _NAME_WORD.findall(folded))
    return tuple("and" if word == "&" else SPELLING.get(word, word) for word in words)


def tokenise(text: str) -> list[Token]:
    """Tokens of a message, at most `MAX_TOKENS`."""
    tokens: list[Token] = []
    before, quoted, sentence = ".", False, True
    shouted = text.upper() == text
    for match in _PIECE.finditer(text):
        kind, raw = match.lastgroup or "", match.group()
        if kind == "strong":
            before, sentence = ".", True
            continue
        if kind == "joint":
            continue  # "AC/DC", "rock/pop"
        if kind == "weak":
            before = before or ","
            continue
        if kind == "quote":
            quoted = not quoted
            continue
        if kind == "other" and raw not in EMOJI:
            # an emoji often stands where a comma would
            before = before or ("," if unicodedata.category(raw) == "So" else "")
            continue
        folded, words = _read(kind, raw)
        capital = raw[:1].isupper() and not sentence and not shouted and not re.match(r"I\b", raw)
        tokens.append(Token(folded, words, match.start(), match.end(), before, capital, quoted))
        before, sentence = "," if kind == "other" else "", False
        if len(tokens) == MAX_TOKENS:
            break
    return tokens


def _read(kind: str, raw: str) -> tuple[str, tuple[str, ...]]:
    """(raw, words) of one matched piece."""
    if kind == "money":
        return "$", ("$",)
    if kind == "heart":
        return raw, ("love",)
    if kind == "plus":
        return "and", ("and",)
    if kind == "compare":
        sign = {"≤": "<=", "≥": ">="}.get(raw, raw)
        return sign, (sign,)
    if kind == "number":
        number = plain_number(raw.lower().rstrip("k"))
        if raw[-1] in "kK":
            number = f"{float(number) * 1000:g}"
        return number, (number,)
    if kind == "other":
        return raw, (EMOJI[raw],)
    folded = fold(raw).strip("'")
    if kind in ("decade", "acronym"):
        folded = re.sub(r"[\s'.]", "", folded)
    elif kind == "word":
        words = _expand(folded.rstrip("."))
        bare = folded.rstrip(".").replace("'", "")
        if len(bare) > 4:
            bare = _TRIPLE.sub(r"\1\1", bare)
        return SPELLING.get(bare, bare), words
    return folded, (folded,)


def plain_number(raw: str) -> str:
    """ "1,299.50" and "1.299,50" as "1299.50"; groups of three digits are thousands."""
    if "," in raw and "." in raw:
        point = max(raw.rfind(","), raw.rfind("."))
        raw = re.sub(r"[,.]", "", raw[:point]) + "." + raw[point + 1 :]
    elif re.fullmatch(r"\d{1,3}(?:[,.]\d{3})+", raw):
        raw = re.sub(r"[,.]", "", raw)
    return raw.replace(",", ".")


@lru_cache(maxsize=20_000)
def _expand(word: str) -> tuple[str, ...]:
    word = _TRIPLE.sub(r"\1\1", word)
    single = re.sub(r"([a-z])\1+", r"\1", word)
    if single in _STRETCHED:
        return (single,)
    bare = word.replace("'", "")
    for form in (word, bare):
        if form in EXPANSIONS:
            return tuple(EXPANSIONS[form].split())
    for suffix, expansion in _SUFFIXES.items():
        if word.endswith(suffix) and len(word) > len(suffix):
            head = word[: -len(suffix)]
            return (*_expand(_HEADS.get(head, head)), expansion)
    if word.endswith("'s") and word[:-2] in FUNCTION:
        return (word[:-2], "is")
    return (SPELLING.get(bare, bare),)
