"""The words of the demo world: a bookshop of invented novels, its facets, and how readers ask for them.

Each value has its attribute name, the phrases that a blurb uses (`say`), and the different ones that a reader types
into the search box (`ask`), so that finding a book takes more than matching its words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Value:
    """One value of a facet."""

    name: str
    say: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()


def _value(name: str, say: str = "", ask: str = "") -> Value:
    return Value(name, tuple(filter(None, say.split(" | "))), tuple(filter(None, ask.split(" | "))))


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

# `say` stands behind the name of the hero; `ask` follows a noun.
ROLES = (
    _value(
        "detective",
        "a detective with one unsolved case left | a detective no longer paid to ask",
        "with a sleuth | about an investigator",
    ),
    _value(
        "teacher",
        "a teacher on probation | a schoolteacher with a borrowed name",
        "about someone who runs a classroom | with a schoolmistress or master",
    ),
    _value(
        "doctor",
        "a physician who has stopped believing in cures | the only doctor for forty miles",
        "about a medic | with a surgeon or healer",
    ),
    _value(
        "sailor",
        "a sailor afraid of deep water | a sailor discharged without pay",
        "with a seafarer | about someone in a crew",
    ),
    _value(
        "cook",
        "a cook with a gift for other people's secrets | a cook between kitchens",
        "with a chef | with lots of kitchens and meals",
    ),
    _value(
        "musician",
        "a musician who can no longer hear the low notes | a fiddler playing for rent",
        "about someone in an orchestra | with a violinist or pianist",
    ),
    _value(
        "painter",
        "a painter of forged saints | a painter going slowly blind",
        "about an artist | with an easel and canvases",
    ),
    _value(
        "soldier",
        "a soldier on the wrong side of a truce | a deserter with a medal",
        "with a veteran | about life in the army",
    ),
    _value(
        "thief", "a thief trying to retire | a thief who only steals things back", "with a burglar | about a con artist"
    ),
    _value(
        "scholar",
        "a scholar of extinct languages | an archivist with a spotless record",
        "about an academic | with a bookish hero",
    ),
    _value(
        "inventor",
        "an inventor of things nobody ordered | a clockmaker who distrusts time",
        "about someone who builds machines | with a tinkerer",
    ),
    _value(
        "gardener",
        "a gardener who talks only to bees | a gardener with poisons to spare",
        "with plants and a greenhouse | about someone who grows things",
    ),
    _value(
        "midwife",
        "a midwife with a grudge against the parish | a midwife who remembers every birth",
        "about delivering babies | with a woman who attends births",
    ),
    _value(
        "widow",
        "a widow of three months | a widow with a large and sudden fortune",
        "about a woman after her husband dies | with a bereaved heroine",
    ),
    _value(
        "orphan",
        "an orphan raised by the post office | an orphan with two birth certificates",
        "about a child without parents | with a foundling",
    ),
    _value(
        "smuggler", "a smuggler turned churchwarden | a smuggler with a conscience", "about contraband | with an outlaw"
    ),
    _value(
        "translator",
        "a translator paid to be invisible | a translator with one word too many",
        "about languages and interpreters | with a linguist",
    ),
    _value(
        "pilot",
        "a pilot grounded after the inquiry | a pilot who keeps flying the same route",
        "about flying | with an aviator",
    ),
)

# `say` is the second sentence; `ask` follows a noun.
THEMES = (
    _value(
        "found family",
        "The lodgers {they} takes in for the money turn out to be the only people {they} can trust. | "
        "By midsummer the strangers around {their} table have become something like kin.",
        "about friends who become a family | about misfits finding each other",
    ),
    _value(
        "friendship",
        "Only {friend}, who has not spoken to {them} in years, knows where to look next. | "
        "With {friend} it might be bearable; without {friend} it cannot be done.",
        "about best friends | about two pals",
    ),
    _value(
        "first love",
        "Then {friend} arrives with the spring rain, and {their} careful days come apart. | "
        "And {friend}, whom {they} ought to ignore, keeps walking {them} home.",
        "about a first crush | about young lovers",
    ),
    _value(
        "second chances",
        "It is late to begin again, and {they} begins anyway. | "
        "The life {they} once turned down is suddenly being offered twice.",
        "about starting over | about a fresh start late in life",
    ),
    _value(
        "grief",
        "{They} has been setting two places at supper since the funeral, and cannot say when it will stop. | "
        "Under every question lies the one {they} cannot put: why {friend} died and {they} did not.",
        "about losing someone | about mourning",
    ),
    _value(
        "revenge",
        "{They} has waited eleven years, and now there is a name. | "
        "One by one, the men who ruined {their} father begin to get visitors.",
        "about getting even | about settling an old score",
    ),
    _value(
        "betrayal",
        "Someone close to {them} has sold the truth, and the price was not even high. | "
        "Of the four people who knew, one has talked.",
        "about being stabbed in the back | about a traitor",
    ),
    _value(
        "family secrets",
        "What {their} mother burned in the stove that night is the key to all of it. | "
        "Three generations have kept quiet, and the fourth is {them}.",
        "about skeletons in the closet | about hidden parentage",
    ),
    _value(
        "forbidden love",
        "Loving {friend} is against the law of the place, and {they} has never been good at laws. | "
        "{friend} belongs to the other side, and that is not the worst of it.",
        "about lovers kept apart | about an affair nobody may know of",
    ),
    _value(
        "identity",
        "The longer {they} answers to another's name, the better it fits. | "
        "Nobody here knows who {they} was, and soon neither will {they}.",
        "about finding out who you are | about living under a false name",
    ),
    _value(
        "exile",
        "The road home has been closed behind {them}, and the language is already leaving. | "
        "{They} keeps a suitcase packed for a country that is no longer there.",
        "about refugees | about being far from your homeland",
    ),
    _value(
        "ambition",
        "{They} means to have the top floor, and does not look down. | "
        "Everything has a price, and {they} has begun to pay in friends.",
        "about climbing to the top | about wanting too much",
    ),
    _value(
        "faith",
        "The bishop calls it a miracle, which makes everything worse. | "
        "{They} stopped praying long ago; now something is answering.",
        "about religion and doubt | about belief",
    ),
    _value(
        "justice",
        "The wrong person will hang on Friday unless {they} can prove it. | The law is satisfied; {they} is not.",
        "about righting a wrong | about a trial",
    ),
    _value(
        "survival",
        "There is food for nine days and the thaw is twenty away. | "
        "The first rule is to keep walking, and the second is to tell nobody.",
        "about staying alive | about people against the elements",
    ),
    _value(
        "homecoming",
        "{They} swore never to come back, and the house has been waiting. | "
        "Twenty years away have changed everything except the street.",
        "about returning to where you grew up | about going back",
    ),
    _value(
        "sisterhood",
        "Her sister {friend} has not written since the quarrel, and now the handwriting is everywhere. | "
        "{friend} is her sister and her rival, and somehow they must share one roof and one secret.",
        "about sisters | about women who stick together",
    ),
    _value(
        "power",
        "{They} has the ear of the governor, and the governor is losing his mind. | "
        "It would be so easy to rule the place, and that is what frightens {them}.",
        "about politics and intrigue | about rulers",
    ),
    _value(
        "memory",
        "Each day {they} remembers a little less and understands a little more. | "
        "The past keeps changing whenever {they} looks away.",
        "about forgetting | about an unreliable past",
    ),
    _value(
        "food",
        "What follows is measured in suppers: saffron, smoke, burnt sugar and forgiveness. | "
        "{They} cooks through the whole disaster, and the recipes are excellent.",
        "that makes you hungry | about cooking and eating",
    ),
    _value(
        "nature",
        "The geese come early, the bees come late, and {they} begins to keep a record. | "
        "The land has its own opinion, and it is rising with the water.",
        "about wildlife and landscape | about the natural world",
    ),
    _value(
        "class",
        "{They} knows which stairs to use; it is the others who have forgotten. | "
        "The tea is poured, the rents are raised, and {they} sees both.",
        "about rich and poor | about servants and masters",
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
