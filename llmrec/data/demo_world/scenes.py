"""Kinds of book, places and times of the demo world."""

from __future__ import annotations

from llmrec.data.demo_world.value import value as _value

# `say` of a genre names the book; `ask` is a noun.
GENRES = (
    _value("mystery", "mystery | puzzle", "whodunnit | detective story | murder puzzle | crime novel"),
    _value("thriller", "thriller | chase", "page-turner | nail-biter | suspense novel"),
    _value("fantasy", "fantasy | tale of old magic", "book with wizards | story of sorcery | swords and dragons book"),
    _value(
        "science fiction", "novel of the future | speculative novel", "sci-fi novel | futuristic story | space book"
    ),
    _value("romance", "love story | romance", "love story | romantic novel | book about falling in love"),
    _value("historical novel", "historical novel | novel of its age", "period drama | book set in the past"),
    _value("ghost story", "ghost story | haunting", "haunted house book | supernatural story | spooky novel"),
    _value("family saga", "family saga | chronicle of a family", "multi-generation story | book about a big clan"),
    _value("adventure", "adventure | voyage", "swashbuckler | expedition story | treasure hunt"),
    _value("coming-of-age", "novel of growing up | portrait of youth", "book about growing up | teenage years novel"),
    _value("satire", "satire | comedy of manners", "send-up | social comedy | book that pokes fun"),
    _value("magical realism", "fable | tale of the impossible", "strange everyday magic book | surreal tale"),
)

# `say` opens a sentence and holds the place; `ask` follows a noun.
SETTINGS = (
    _value(
        "seaside town",
        "in the fading resort of {place} | in the harbour town of {place} | on the front at {place}",
        "by the sea | on the coast | at the beach",
    ),
    _value(
        "island",
        "on the island of {place} | on windswept {place} | on {place}, a day's sail from anywhere",
        "on a remote isle | cut off by the tide",
    ),
    _value(
        "big city",
        "in the back streets of {place} | in the crowded quarter of {place} | above a tailor's shop in {place}",
        "in a metropolis | in busy streets | about urban life",
    ),
    _value(
        "mountain village",
        "in the high village of {place} | under the pass at {place} | in snowbound {place}",
        "in the alps | up among the peaks",
    ),
    _value(
        "country house",
        "at {place}, a house with more rooms than servants | in the east wing of {place} | on the estate of {place}",
        "in a manor | in a stately home | upstairs downstairs",
    ),
    _value(
        "desert",
        "at the wells of {place} | on the caravan road to {place} | in the sand-blown town of {place}",
        "among the dunes | in a dry hot place",
    ),
    _value(
        "at sea",
        "aboard the {place} | below decks on the {place} | on the last voyage of the {place}",
        "on a ship | on a long voyage | with sailing",
    ),
    _value(
        "far north",
        "in the long night of {place} | at the ice station of {place} | north of the treeline, in {place}",
        "in the arctic | in snow and ice",
    ),
    _value(
        "forest",
        "deep in {place} wood | at the edge of {place} forest | where the {place} trees close over the road",
        "in the woods | among old trees",
    ),
    _value(
        "university",
        "at {place} College | in the library of {place} | among the rival scholars of {place}",
        "on campus | in academia | among students",
    ),
    _value(
        "railway",
        "on the night express to {place} | at {place} Junction | in the sleeping car from {place}",
        "on a train | with a long rail journey",
    ),
    _value(
        "river town",
        "on the ferry stage at {place} | in the mill town of {place} | where the river bends at {place}",
        "along a river | with boats and mills",
    ),
    _value(
        "border country",
        "in the disputed valley of {place} | at the frontier post of {place} | between two armies, in {place}",
        "on the frontier | near a disputed border",
    ),
    _value(
        "outer space",
        "aboard the freighter {place} | on {place} Station | in the domes of {place}",
        "on a spaceship | on another planet | among the stars",
    ),
)

# `say` opens the blurb; `ask` follows a noun.
ERAS = (
    _value(
        "ancient world",
        "in the last years of the old empire | in an age of bronze and oracles",
        "in antiquity | with togas and temples",
    ),
    _value(
        "Middle Ages",
        "in a year of plague and pilgrims | in the reign of a boy king",
        "in medieval times | with knights and castles",
    ),
    _value(
        "age of sail",
        "in the spring of {1690-1810} | with the war at sea in its tenth year",
        "in the eighteenth century | with tall ships and muskets",
    ),
    _value(
        "Victorian",
        "in the hard winter of {1840-1898} | in a year of fog and gaslight",
        "in the nineteenth century | with corsets and gaslight",
    ),
    _value(
        "Jazz Age",
        "in the summer of {1921-1929} | with the gramophones playing",
        "in the roaring twenties | between the wars",
    ),
    _value(
        "wartime",
        "in the blackout autumn of {1940-1944} | with the sirens still sounding",
        "during the war | in the blitz years",
    ),
    _value(
        "post-war",
        "in {1946-1959}, with rationing barely over | in the thin peace after the war",
        "in the fifties | after the war",
    ),
    _value("present day", "", "set today | in modern life"),
    _value(
        "near future",
        "ten years from now | after the grid went quiet",
        "in a few decades' time | after the climate broke",
    ),
    _value(
        "far future",
        "four centuries after the last ship from Earth | in the long peace of the colonies",
        "in a distant future | thousands of years from now",
    ),
    _value(
        "invented world",
        "in the ninth year of the drowned moon | in a land where names are owed to the river",
        "in a made-up kingdom | in another world",
    ),
)
