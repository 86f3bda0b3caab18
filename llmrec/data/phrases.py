"""Product words mined from titles: what a catalogue without named attributes can be asked about.

Candidates are runs of one to four words between numbers, units and function words. Brands are recognised by their
place (a word that opens most of its titles) and words that a length limit cut off by theirs. A phrase must hold
together (normalised pointwise mutual information, Bouma 2009) and be whole: what nearly always continues to the same
longer run of words gives way to it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

LONGEST = 4
"""Words in a phrase."""
LARGEST_SHARE = 0.5
"""A phrase in more than this share of the items says too little to ask about."""
OPENS = 0.55
"""A word that opens at least this share of its titles is a brand."""
COHESION = 0.3
"""Least normalised pointwise mutual information of the two ends of a phrase."""
WHOLE = 0.65
"""A phrase gives way to a longer run of words that has at least this share of its items."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)*|[^\w\s'’-]")

_JOINING = frozenset(("de", "of", "and", "n"))
_FUNCTION_WORDS = """
a about all also an any are as at be but by can do for from get go has have how i if in into is it its just let ll la
le les du des el d' me more most my no non not off on one only or our out over per pack packs packaging s so such t
than that the their them then these they this those to too under up upon us very via was we were what when which who
will with within without x y you your z re ve
"""
_TRADE_WORDS = """
two three four five six seven eight nine ten dozen double triple single amp etc vs fl oz ounce ounces ml cl cc mg gr
gm kg lb lbs g l cm mm m ft feet foot inch inches in. yd sq pc pcs piece pieces ct count counts pk unit units gal
gallon gallons pint quart w kw v hz khz mhz ghz mb gb tb mah db dpi ppm rpm size sizes sized price prices sale buy
free new newest brand brands category categories description product products item items na sku asin upc model number
part parts ref assorted various misc miscellaneous other others quot sales fluid labs works quantity qty shipping
authentic genuine bundle bundled lot lots value discontinued
"""
_WEAK_WORDS = """
absolute accessory advanced affordable age ageless all-in-one alpha amazing angel anti assortment authentic base
beautiful best better big bold calm carrots choice classic clean cleaner clear collection collections color colored
colors colour coloured colours comfort compact compatible complete complex control cool cover custom cute daily day
deep defense delicate deluxe design designed designer designs different display diy dream dual early easy edge edition
effect effects elegant energy essential essentials even everyday excellent exclusive expert express extended extra
extreme extremely fair false family fast favorite final fine finest finish firm first fit flat flawless formula fresh
full gentle giant gift gold good grade grand great ha hair-free handy happy hard healthy heavy high hold home hot
ideal image improved inspired instant intense intensive invisible jumbo kind large leave lift light lightweight line
little live long look love lovely low lux luxe luxurious luxury made magic make making matrix max maximum medium mega
micro mini miracle mix mixed modern multi nano natural naturally naturals next nice normal old ones open original
originals pair perfect perfectly personal plain plus point portable power powerful practical precision premium pretty
prime pro professional professionally professionals proof protect pure purpose quality quick rapid raw real recovery
refill regular renew repair replacement rescue rich round royal safe sale secret self sensational series set sets
shade shape sharp shield shop short simple simply size skinny slim small smart smooth soft solution solutions special
spot spring standard star step strength strong studio style styles summer super supreme system systems technology
therapy thick thin time tiny top total touch traditional travel treat true turbo twin type types ultimate ultra unique
universal upgraded use used value variety version volum warm way wear wet wide wild wonder world worlds year yes york
"""
_FUNCTION = frozenset(_FUNCTION_WORDS.split())
_BREAKING = _FUNCTION | frozenset(_TRADE_WORDS.split())
"""Function words, units and words of the trade: no phrase runs across them."""
_WEAK = frozenset(_WEAK_WORDS.split())
"""Praise and other words that say nothing alone: no phrase ends in one."""


def mine(texts: Sequence[str], exclude: Iterable[str] = (), smallest: int = 10) -> dict[str, list[int]]:
    """Phrase to the positions of the texts that contain it, most frequent first.

    `exclude` holds words that must not occur (brands, the shop's own name); a phrase is kept when at least
    `smallest` and at most half of the texts contain it.
    """
    titles = [_WORD.findall(text.lower()) for text in texts]
    spelling = _plurals(titles)
    titles = [[spelling.get(word, word) for word in title] for title in titles]
    banned = {word.lower() for word in exclude} | _openers(titles, smallest) | _cut_off(titles)
    where = _candidates(titles, banned)
    largest = max(LARGEST_SHARE * len(texts), smallest)
    kept = {
        phrase: at
        for phrase, at in where.items()
        if smallest <= len(at) <= largest and _says_something(phrase) and _coheres(phrase, where, len(texts))
    }
    for phrase, at in where.items():  # a run of n words speaks for its two parts of n - 1 words
        for part in (phrase[:-1], phrase[1:]):
            if part in kept and len(at) >= WHOLE * len(kept[part]):
                del kept[part]
    ordered = sorted(kept.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return {" ".join(phrase): at for phrase, at in ordered}


def find(text: str, phrases: Collection[str]) -> list[str]:
    """Those of mined `phrases` that `text` contains, in order of appearance."""
    words = _WORD.findall(text.lower())
    singular = [_singulars(word) for word in words]
    found: dict[str, None] = {}
    for start in range(len(words)):
        for size in range(LONGEST, 0, -1):
            run = words[start : start + size]
            ends = singular[start + size - 1] if start + size <= len(words) else ()
            for end in ends:
                phrase = " ".join([*run[:-1], end])
                if phrase in phrases:
                    found.setdefault(phrase)
    return list(found)


def _singulars(word: str) -> tuple[str, ...]:
    return (word, word + "s", word.removesuffix("s"), word.removesuffix("es"))


def _plurals(titles: list[list[str]]) -> dict[str, str]:
    """The rarer of a word's singular and plural, to the more frequent."""
    counts = Counter(word for title in titles for word in title)
    spelling = {}
    for word, count in counts.items():
        if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
            singular = next((s for s in (word[:-1], word[:-2]) if len(s) > 2 and s in counts), None)
            if singular and (singular == word[:-1] or word.endswith(("shes", "ches", "xes", "sses"))):
                common, rare = (word, singular) if count > counts[singular] else (singular, word)
                spelling[rare] = common
    return spelling


def _openers(titles: list[list[str]], smallest: int) -> set[str]:
    """Brand words: those that open most of their titles, or follow a brand there, with various words behind them."""
    brands: set[str] = set()
    counts = Counter(word for title in titles for word in title)
    for _ in range(LONGEST):
        opening: Counter[str] = Counter()
        behind: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for title in titles:
            for place, word in enumerate(title):
                rest = title[place + 1 :]
                if not rest or rest[0] not in _FUNCTION:
                    opening[word] += 1
                    behind[word].add(tuple(w for w in rest if w.isalpha() and w not in _BREAKING))
                if word not in brands:
                    break
        found = {
            word
            for word, n in opening.items()
            if counts[word] >= max(smallest // 2, 2) and n >= OPENS * counts[word] and len(behind[word]) > 2
        }
        if found <= brands:
            break
        brands |= found
    return brands


def _cut_off(titles: list[list[str]]) -> set[str]:
    """Beginnings of longer words that stand mostly at the end of a title: cut off there."""
    counts = Counter(word for title in titles for word in title)
    ending = Counter(title[-1] for title in titles if title)
    by_start: dict[str, list[str]] = defaultdict(list)
    for word in counts:
        by_start[word[:3]].append(word)
    return {
        word
        for word, n in ending.items()
        if n >= 0.5 * counts[word]
        and any(o.startswith(word) and o != word and counts[o] > n for o in by_start[word[:3]])
    }


def _candidates(titles: list[list[str]], banned: set[str]) -> dict[tuple[str, ...], list[int]]:
    where: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, title in enumerate(titles):
        runs: list[list[str]] = [[]]
        for word in title:
            joins = word in _JOINING and word not in banned
            if joins or (
                len(word) > 1 and word not in _BREAKING and word not in banned and word.replace("'", "").isalpha()
            ):
                runs[-1].append(word)
            else:
                runs.append([])
        phrases = {
            tuple(run[start : start + size])
            for run in runs
            for size in range(1, LONGEST + 2)
            for start in range(len(run) - size + 1)
        }
        for phrase in phrases:
            if phrase[0] not in _JOINING and phrase[-1] not in _JOINING:
                where[phrase].append(at)
    return where


def _says_something(phrase: tuple[str, ...]) -> bool:
    distinct = len(set(phrase)) == len(phrase) <= LONGEST
    return distinct and phrase[-1] not in _WEAK and len(phrase[-1]) > 2


def _coheres(phrase: tuple[str, ...], where: dict[tuple[str, ...], list[int]], texts: int) -> bool:
    together = len(where[phrase])
    for cut in range(1, len(phrase)):
        left = phrase[:cut] if phrase[cut - 1] not in _JOINING else phrase[: cut - 1]
        right = phrase[cut:] if phrase[cut] not in _JOINING else phrase[cut + 1 :]
        if not left or not right:
            continue
        pmi = math.log(together * texts / (len(where[left]) * len(where[right])))
        if pmi < COHESION * -math.log(together / texts):
            return False
    return True
