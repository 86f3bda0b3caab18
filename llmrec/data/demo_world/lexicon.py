"""The words of the demo world: a bookshop of invented novels, its facets, and how readers ask for them.

Each value has its attribute name, the phrases that a blurb uses (`say`), and the different ones that a reader types
into the search box (`ask`), so that finding a book takes more than matching its words.
"""

from __future__ import annotations

from llmrec.data.demo_world.people import ROLES, THEMES
from llmrec.data.demo_world.scenes import ERAS, GENRES, SETTINGS
from llmrec.data.demo_world.value import Value
from llmrec.data.demo_world.value import value as _value

# `say` follows "a": what the `{book}` is like; `ask` is an adjective.
MOODS = (
    _value(
        "cosy",
        "warm and kindly {book}, best read with the kettle on | snug and good-natured {book}",
        "comforting | gentle | feel-good",
    ),
    _value(
        "funny",
        "very funny {book}, with teeth | {book} to read aloud and fail to finish for laughing",
        "hilarious | laugh-out-loud | humorous",
    ),
    _value(
        "eerie",
        "{book} that waits behind you on the stairs | quietly unnerving {book}",
        "creepy | unsettling | spine-chilling",
    ),
    _value("bleak", "spare, unforgiving {book} | {book} with frost in its bones", "depressing | grim | desolate"),
    _value(
        "hopeful",
        "{book} that leaves the window open | generous, clear-eyed {book}",
        "uplifting | optimistic | inspiring",
    ),
    _value(
        "wistful",
        "tender, backward-looking {book} | {book} the colour of late September",
        "nostalgic | melancholy | bitter-sweet",
    ),
    _value(
        "tense",
        "taut {book} without a wasted line | {book} that tightens like a wire",
        "gripping | edge-of-your-seat | nerve-racking",
    ),
    _value(
        "playful",
        "{book} full of games, detours and footnotes | sly and light-footed {book}",
        "quirky | whimsical | inventive",
    ),
    _value(
        "dreamlike",
        "hazy, moonlit {book} | {book} that follows the logic of sleep",
        "surreal | hypnotic | otherworldly",
    ),
    _value(
        "moving",
        "{book} that will undo you on public transport | quietly devastating {book}",
        "tear-jerking | heartbreaking | touching",
    ),
    _value("dark", "violent and beautiful {book} | {book} with no safe corners", "gritty | brutal | disturbing"),
    _value("passionate", "{book} at full heat | reckless, big-hearted {book}", "steamy | intense | swoony"),
)

# `say` is a whole sentence.
PACES = (
    _value(
        "fast-paced",
        "The pages turn themselves. | It does not pause for breath.",
        "quick | action-packed | that moves fast",
    ),
    _value(
        "slow-burning",
        "It takes its time, and every chapter is earned. | It kindles slowly and stays lit.",
        "leisurely | unhurried | that builds slowly",
    ),
    _value(
        "episodic",
        "Each chapter is a small story of its own. | It wanders from house to house like gossip.",
        "made of short linked stories | I can dip in and out of",
    ),
)
LENGTHS = (
    _value(
        "short read",
        "A single evening is enough for it. | Not a word over two hundred pages.",
        "I can finish in an evening | for a short train ride",
    ),
    _value("weekend read", "", "for a lazy weekend | for a few days off"),
    _value(
        "doorstopper",
        "At more than seven hundred pages, it is a place to move into. | A long book that readers wish were longer.",
        "to get lost in for weeks | really long",
    ),
)

# `say` follows the author's name; `ask` follows a noun.
TELLINGS = (
    _value(
        "first person", "lets {hero} tell it | gives {hero} every word", "narrated by the main character | told by an I"
    ),
    _value(
        "told in letters",
        "tells it entirely in letters | builds it from letters never meant to be kept",
        "written as correspondence | made of letters",
    ),
    _value(
        "many voices",
        "hands the story from voice to voice | tells it in a dozen voices",
        "from several points of view | with a chorus of narrators",
    ),
    _value(
        "unreliable narrator",
        "makes sure that {hero} cannot be trusted | lets {hero} lie to us beautifully",
        "where the teller is lying | that tricks the reader",
    ),
    _value(
        "diary",
        "tells it as a diary with pages missing | keeps to {hero}'s journal",
        "written as a journal | with dated entries",
    ),
    _value(
        "two timelines",
        "moves between two years and one address | braids then and now",
        "jumping between past and present | with a dual narrative",
    ),
    _value(
        "story within a story",
        "hides a second book inside the first | nests one tale in another",
        "with nested tales | a book about a book",
    ),
)

ENDINGS = (
    _value(
        "happy ending",
        "Readers who need things to come right are in safe hands. | All is well at the last, and it is not cheap.",
        "that ends well | with a satisfying conclusion",
    ),
    _value(
        "bittersweet ending",
        "The last page gives, and takes away. | Nobody leaves it with everything they wanted.",
        "that ends sadly but beautifully",
    ),
    _value(
        "twist ending",
        "The last ten pages change all the others. | Nobody guesses it. Nobody.",
        "with a surprise at the end | I won't see coming",
    ),
    _value(
        "open ending",
        "It leaves its last door ajar. | What happens next is ours to decide.",
        "that leaves you wondering",
    ),
)
AUDIENCES = (
    _value("for young readers", "For readers of nine and up.", "for my ten-year-old | for children"),
    _value("for teens", "For readers of thirteen and up.", "for a teenager | young adult"),
)
EDITIONS = (
    _value("paperback", "", "in softcover"),
    _value(
        "hardback", "This edition is cloth-bound. | Sewn binding, ribbon marker.", "in hardcover | as a durable gift"
    ),
    _value(
        "illustrated",
        "With forty woodcuts. | With maps and endpapers in colour.",
        "with pictures | with drawings and maps",
    ),
    _value("large print", "In large, easy type.", "with big letters"),
)

FACETS: dict[str, tuple[Value, ...]] = {
    "genre": GENRES,
    "setting": SETTINGS,
    "era": ERAS,
    "mood": MOODS,
    "pace": PACES,
    "length": LENGTHS,
    "telling": TELLINGS,
    "hero": ROLES,
    "theme": THEMES,
    "ending": ENDINGS,
    "audience": AUDIENCES,
    "edition": EDITIONS,
}
VALUES: dict[str, Value] = {value.name: value for values in FACETS.values() for value in values}
FACET_OF: dict[str, str] = {value.name: facet for facet, values in FACETS.items() for value in values}
