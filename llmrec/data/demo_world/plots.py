"""What happens in the invented novels: openings by genre, things, names, places and titles.

An opening follows the hero's name. In it `{thing}` is an object such as "a glass compass" (`{the_thing}`: "the glass
compass"), `{they}`, `{them}`, `{their}` and `{themself}` are the hero's pronouns, `{friend}` is a second person. In
names an underscore stands for a space.
"""

from __future__ import annotations


def _split(words: str, at: str | None = None) -> list[str]:
    return words.split(at)


OPENINGS: dict[str, tuple[str, ...]] = {
    "mystery": (
        "finds {thing} beside a body that nobody in the place will name",
        "is left {thing} in the will of a neighbour {they} hardly knew",
        "notices that {thing} has gone from a room locked on the inside",
        "recognises {thing} on a mantelpiece where it has no right to be",
        "is asked to value {thing}, and finds a confession folded inside it",
        "hears the same alibi from five people, and each of them mentions {thing}",
        "is sent {thing} by someone who has been dead for a week",
        "proves that {the_thing} could not have been the weapon, and so has to find what was",
        "comes to supper, counts thirteen guests, and by midnight counts twelve and {thing}",
        "has one clue, {thing}, and a whole parish of liars",
    ),
    "thriller": (
        "opens the wrong suitcase, finds {thing}, and has until morning to give it back",
        "agrees to carry {thing} across the line and is followed before the first bridge",
        "wakes with {thing} in one hand and a stranger's blood on the other",
        "learns that four people have died for {thing}, and that {they} is holding it",
        "sees {friend} fall from the roof, and finds {thing} in {their} own coat",
        "is the only witness, and the only proof is {thing}",
        "is offered a fortune for {thing} by a man who cannot say whose it was",
        "misses a train by one minute and inherits {thing} and a dead man's enemies",
        "decodes the mark on {thing} and wishes {they} had not",
    ),
    "fantasy": (
        "is given {thing} by a queen who has been stone for a hundred years",
        "trades {their} shadow for {thing} and regrets it by sunset",
        "discovers that {thing} remembers every hand that has held it",
        "must carry {thing} to the last dragon, who would rather have a conversation",
        "breaks {thing} and lets out a winter that had been kept inside",
        "is apprenticed to a witch whose only rule is never to touch {the_thing}",
        "wins {thing} at cards from a god in reduced circumstances",
        "hears {thing} sing in a language that only the drowned should know",
        "finds that {the_thing} opens a door, and that the door was shut for a reason",
    ),
    "science fiction": (
        "salvages {thing} from a wreck that has not been built yet",
        "is woken ninety years too soon, with only {thing} and the ship's voice for company",
        "finds {thing} growing in a greenhouse that should be sterile",
        "is sent to switch off a machine, and it offers {them} {thing} to reconsider",
        "receives {thing} from a colony that stopped answering a century ago",
        "learns that {their} memories were rented, and that {thing} is the deposit",
        "smuggles {thing} past the archivists who decide what may be remembered",
        "maps a moon that is not there the next morning, and keeps {thing} as proof",
        "repairs {thing} for a customer who turns out to be {themself}, forty years on",
    ),
    "romance": (
        "buys {thing} at auction against the rudest bidder in the room, and then is seated beside {friend} at dinner",
        "returns {thing} to the wrong address, where {friend} opens the door in an apron",
        "is hired to mend {thing} for {friend}, who finds a new fault in it every week",
        "has to share one small room, one stove and {thing} with {friend} until the road opens",
        "writes to thank a stranger for {thing}, and gets a very long answer",
        "agrees to pretend to be engaged to {friend}, with {thing} for a ring",
        "swore off love after the business with {the_thing}, and had not counted on {friend}",
        "loses {thing} in the market, and {friend} makes rather a show of having found it",
        "runs the shop across the street from {friend}, and both of them want {the_thing} in the window",
    ),
    "historical novel": (
        "hides {thing} under the floor the night before the soldiers come",
        "is ordered to make {thing} for a duke who does not pay",
        "walks three hundred miles to bring {thing} to a brother who may be dead",
        "keeps the accounts of a great house, and one line does not add up: {thing}",
        "is taught to read by {friend}, with {thing} as the only book",
        "is paid to swear before the magistrate that {the_thing} was never stolen",
        "carries {thing} through the siege, in a basket, under the bread",
        "arrives as a hostage, with {thing} and eleven words of the language",
        "is the last to leave the burning town, and saves only {thing}",
    ),
    "ghost story": (
        "brings home {thing} and hears footsteps stop outside the bedroom door",
        "is warned to leave {the_thing} exactly where the dead child put it",
        "takes the post that no one has kept for more than a month, and finds {thing} on the pillow",
        "photographs an empty room, and in the print there is {thing} and a hand",
        "throws {thing} into the water three times, and three times finds it by the bed",
        "is told that the lady of the place asks every newcomer for {the_thing}",
        "inventories the estate of a spiritualist, and {the_thing} keeps moving down the list",
        "does not believe in the tapping behind the wall until {thing} comes out of it",
    ),
    "family saga": (
        "inherits {thing}, a debt and nine cousins who are not speaking",
        "is the last to remember why {the_thing} was never to leave the house",
        "gathers four generations for a birthday, and somebody has brought {thing}",
        "marries into a family that has quarrelled over {thing} since the flood",
        "buries {their} father, opens his desk, and finds {thing} and a second set of children",
        "founds a fortune on {thing}, and lives to see it squandered on horses",
        "raises six children and {their} brother's two, and tells none of them about {the_thing}",
        "has until harvest to sell the house, {the_thing} and all",
    ),
    "adventure": (
        "wins half a map and {thing}, and sails before the owner of the other half wakes",
        "sets out to return {thing} to the mountain it was cut from",
        "joins a crew of eight to find {thing}, and by the second week there are six",
        "is shipwrecked with {thing}, a goat and a man who wants {them} hanged",
        "bets everything that {the_thing} points the way across the empty quarter",
        "steals {thing} from a museum that stole it first",
        "follows {friend}'s last letter upriver, with {thing} as {their} only passport",
        "escapes over the wall with {thing} and the commandant's best mule",
        "races {friend} round the coast for {thing} and a wager nobody remembers making",
    ),
    "coming-of-age": (
        "turns thirteen in the summer that {thing} is pulled from the well",
        "steals {thing} on a dare and cannot find a way to give it back",
        "is sent to stay with an aunt who speaks only to {thing}",
        "starts a club with {friend}, one password and {thing}",
        "fails the examination, pockets {thing}, and walks out of the only life {they} knows",
        "lies about {the_thing} once, in March, and is still lying when school begins",
        "spends the holidays repairing {thing} with a grandfather who is forgetting {them}",
        "learns from {friend} how to swim, how to swear and what {the_thing} was for",
    ),
    "satire": (
        "is made mayor by mistake, and governs with the help of {thing}",
        "mislays {thing} on the morning of the royal visit, and must improvise",
        "sells shares in {thing} that does not, strictly, exist",
        "is hired to write the memoirs of a general whose one victory involved {thing}",
        "founds a society for the protection of {thing}, and it becomes a party",
        "is awarded {thing} for a book {they} did not write",
        "explains {the_thing} to a committee, and the committee forms a committee",
        "marries for money, and finds that {their} spouse did too, and that there is only {thing}",
    ),
    "magical realism": (
        "plants {thing} behind the kitchen, and by Easter it has come up",
        "wakes one Tuesday to find that everyone in the place has dreamt of {thing}",
        "keeps {thing} in a jar, where it goes on ticking through three governments",
        "is visited each evening by {their} grandmother's ghost, who wants {thing} and a little rum",
        "sells {thing} to the sea and is paid in weather",
        "discovers that it rains only when somebody lies about {the_thing}",
        "grows a little lighter every day, and ties {themself} to {thing} to stay",
        "bakes {thing} into a loaf, and whoever eats of it tells the truth",
    ),
}

# A thing is a material or an adjective and a noun: "a glass compass", "a stolen ledger".
MATERIALS = _split("glass brass silver salt paper copper ivory amber iron pearl walnut bone tin clay coral willow jet")
SOLID = _split(
    "compass lantern key bell locket mirror flute ring cup coin comb box knife mask goblet drum spoon chessboard"
)
SOFT = _split("ledger map fiddle quilt glove kite psalter candle letter garden clock portrait")
MODERN = _split(
    "typewriter camera gramophone telegram postcard umbrella barometer teapot passport suitcase photograph radio "
    "telescope bicycle cello pocket_watch recipe_book music_box snow_globe"
)
FUTURE = _split("clock lens engine orchid map key bell lantern archive radio chart suit kite orrery mirror seed")
PLAIN = _split(
    "borrowed stolen broken hidden forgotten crooked painted hollow unfinished gilded tarnished counterfeit buried "
    "scarlet green blue unlucky lost burnt"
)
UNCANNY = _split(
    "drowned burning sleeping wandering patient restless midnight wishing singing weeping homesick hundred-year "
    "upside-down left-handed nameless silent"
)

FIRST_NAMES = {
    "she": _split(
        "Ines Mara Odile Hester Tamsin Liv Noor Agnes Zofia Petra Ruth Imogen Yara Dagny Cleo Marguerite Asel Bronagh "
        "Lucia Winifred Saskia Thea Kezia Amara Elspeth Rosalind Ottilie Nadia Freya Constance "
        "Ilse Mairead Juno Sunniva "
        "Perpetua Beatriz Hanne Ursula Leocadia Mina"
    ),
    "he": _split(
        "Tobias Anselm Idris Caspar Joao Lorcan Emeric Silas Matteo Bram Osric Felix Henrik Rafe "
        "Anton Gideon Ivo Kester "
        "Lazar Cormac Ambrose Teodor Wilf Salim Niall Hugo Bastian Ezra Piers Oskar Dmitri Alasdair Florian Jory Rune "
        "Benedict Marek Elias Samson Crispin"
    ),
}
LAST_NAMES = _split(
    "Calder Vane Ashgrove Pellew Marchetti Thorne Lindqvist Okafor Brandt Sorrel Quill "
    "Hathersage Dunmore Varga Penhallow "
    "Oyelaran Strand Kestrel Moreau Tollan Wray Falk Castellane Byrne Haldane Rook Marsh "
    "Ferreira Novak Underhill Loxley "
    "Saintsbury Grieve Tregarth Amis-Bell Holloway Zeller Yarrow Corrigan Dace Ellery Fenwick "
    "Gant Harrow Isherwood Juniper "
    "Kirkbride Lovage Mallory Nightingale Orme Pascoe Quennell Rademaker Sallow Tarn "
    "Ullathorne Vesper Winterbourne Ysolde"
)

PLACES: dict[str, tuple[list[str], list[str]]] = {
    "seaside town": (
        _split("Pell Gull Marram Thrift Sal Wrack Tol Pen Cockle Lan Shingle Hythe"),
        _split("mouth | haven | staithe | cove | gate-on-Sea | combe Regis | ness", " | "),
    ),
    "island": (
        _split("Harrow Storm Gannet Lesser Saint Brannoc Ealdor Torv Kelp Silver Hollow Mew Sorrow"),
        _split(" Skerry | Holm | Rock | Ey | Sound | Reef", " |"),
    ),
    "big city": (
        _split("Old New Upper Lower East Saint_Aubin Great"),
        _split(" Marrow | Velden | Castellan | Porto Vero | Ostrava Gate | Lanthorn | Kessel | Abendor", " |"),
    ),
    "mountain village": (
        _split("Ober Sankt Val Piz Monte Alt Hohen Roc"),
        _split("-Lauen | Verena | Torrent | Cervin | Mirabel | Graun | Senales", " |"),
    ),
    "country house": (
        _split("Thornley Ashby Merrow Winter Larks Foxglove Hallow Candle Ravens Mallow"),
        _split(" Hall | Park | Court | Abbey | Grange | Priors", " |"),
    ),
    "desert": (
        _split("Bir Wadi Ain Tell Qasr Umm"),
        _split(" Saffar | Nuri | Halim | Zarad | Mirah | Tamar | Sefu", " |"),
    ),
    "at sea": (
        _split("Patient Northern Constant Widow's Salt Merry Second Queen's Morning Good"),
        _split(" Alice | Star | Mercy | Intention | Marigold | Petrel | Bargain | Fortune", " |"),
    ),
    "far north": (
        _split("Nord Svart Ingen Hvit Trom Is Vinter Sol"),
        _split("vik | fjell | nes | havn | botn | marka | osen", " | "),
    ),
    "forest": (
        _split("Black Elder Wych Crow Hob Mistle Deep Hart Raven"),
        _split("holt | mere | thorn | den | shaw | wold", " | "),
    ),
    "university": (
        _split("St_Osyth's Greyfriars Marlowe St_Jude's Corbel Old_Minster Lady_Anne's Halcyon Trevisan Bede's"),
        [""],
    ),
    "railway": (
        _split("Varna Trieste Kessel Ostrow Saint_Pons Lemberg Abendor Marlow Halt_End Corvin"),
        [""],
    ),
    "river town": (
        _split("Wether Mill Strand Eel Alder Otter Tamar Sedge"),
        _split("ford | bridge | wick | ham Lock | weir | bourne", " | "),
    ),
    "border country": (
        _split("Kara Dol Ves Mora Tarn Zelen Bel"),
        _split("novo | grad | vitsa | pol | thal | mark | hora", " | "),
    ),
    "outer space": (
        _split("Perihelion Second_Harvest Calliope Long_Quiet Tycho Ultima Halcyon Farther Meridian Vesta"),
        _split("| Nine| Minor| Reach", "|"),
    ),
}

# {Thing} is the object ("Glass Compass"), {Noun} its last word, {Role} the hero's, {first}, {last}, {other} are names.
TITLES: dict[str, tuple[str, ...]] = {
    "mystery": (
        "Death at {place}",
        "The {place} Inheritance",
        "The {Noun} Murders",
        "A Body in {place}",
        "The Affair of the {Thing}",
        "The {Role} Who Knew Too Little",
        "Thirteen at {place}",
        "The Case of the {Thing}",
    ),
    "thriller": (
        "The {place} Line",
        "No Way Back to {place}",
        "The {last} Exchange",
        "{number} Hours to {place}",
        "The {Noun} Protocol",
        "Run, {first}",
        "The Man with the {Thing}",
        "Dead Letters from {place}",
    ),
    "fantasy": (
        "The {Thing} of {place}",
        "A Crown for the {Role}",
        "The {Role} and the {Thing}",
        "{number} Gates of {place}",
        "The Drowned Kings of {place}",
        "{A_Thing} for the Queen",
        "The {Noun} Throne",
        "Daughter of {place}",
    ),
    "science fiction": (
        "The {Noun} Engine",
        "{number} Years to {place}",
        "The Silence of {place}",
        "Signals from {place}",
        "The {place} Archive",
        "A Map of {place}",
        "Children of {place}",
        "The {last} Paradox",
    ),
    "romance": (
        "{A_Thing} for Two",
        "Meet Me in {place}",
        "The {Role} of {place}",
        "{first} and {other}",
        "Summer in {place}",
        "Yours, from {place}",
        "The {Noun} Wedding",
        "An Offer from {place}",
    ),
    "historical novel": (
        "The {Role} of {place}",
        "The Siege of {place}",
        "{number} Winters in {place}",
        "The {Role}'s {Thing}",
        "The Road to {place}",
        "A {Role}'s Oath",
        "The {last} Accounts",
        "Under the Walls of {place}",
    ),
    "ghost story": (
        "The {Thing} at {place}",
        "The Haunting of {first} {last}",
        "What Walks at {place}",
        "The Lady of {place}",
        "Footsteps in {place}",
        "Leave the {Thing}",
        "The Quiet of {place}",
        "Nobody Sleeps in {place}",
    ),
    "family saga": (
        "The {last} Women",
        "The House of {last}",
        "{number} Children of {place}",
        "The {last} Inheritance",
        "Four Summers in {place}",
        "All the {last}s",
        "The {Noun} Years",
        "The {last} Quarrel",
    ),
    "adventure": (
        "The Voyage of {first} {last}",
        "Beyond {place}",
        "The {Noun} Map",
        "The Road over {place}",
        "{first} {last} and the {Thing}",
        "{number} Days from {place}",
        "The Last Crossing to {place}",
        "Gold of {place}",
    ),
    "coming-of-age": (
        "The Summer of the {Thing}",
        "What {first} Knew",
        "The Year I Left {place}",
        "{first}, Aged Thirteen",
        "Learning to Leave {place}",
        "The {Noun} Club",
        "Everything We Did in {place}",
        "The Education of {first} {last}",
    ),
    "satire": (
        "A Short History of the {Thing}",
        "The Mayor of {place}",
        "The {Noun} Committee",
        "How to Succeed in {place}",
        "The Importance of the {Thing}",
        "{first} {last} Explains",
        "A Scandal in {place}",
        "The Society of the {Thing}",
    ),
    "magical realism": (
        "The {Noun} Tree",
        "The Rain in {place}",
        "{number} Dreams of {place}",
        "The Woman Who Sold the {Thing}",
        "A Jar of {place}",
        "The {Role} Who Grew Lighter",
        "The Weather of {place}",
        "The Town That Dreamt of the {Thing}",
    ),
}
ANY_TITLES = (
    "The {Thing}",
    "The {Role}'s {Thing}",
    "The {Thing} of {place}",
    "The Last {Role} of {place}",
    "Letters to {place}",
)

NUMBERS = _split("Three Seven Nine Eleven Twelve Forty Ninety A_Hundred A_Thousand")

# House, its years of trade, the genres it is known for, and what its books cost relative to others.
IMPRINTS: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("Lantern & Vale", ("mystery", "ghost story"), 1.0),
    ("Gallowglass Press", ("thriller", "mystery"), 0.9),
    ("Thimble House", ("romance", "coming-of-age"), 0.9),
    ("Orrery Books", ("science fiction",), 1.0),
    ("Wyrmwood", ("fantasy",), 1.05),
    ("Ninth Moon", ("fantasy", "magical realism"), 1.1),
    ("Harbour & Sons", ("adventure", "historical novel"), 0.95),
    ("Penny Ferry", ("adventure", "coming-of-age"), 0.8),
    ("Marchmont Editions", ("historical novel", "family saga"), 1.25),
    ("The Salt Cellar", ("family saga", "magical realism"), 1.1),
    ("Quarto & Quince", ("satire",), 1.05),
    ("Black Kettle", ("ghost story", "thriller"), 0.9),
    ("Blue Umbrella", ("romance", "satire"), 0.85),
    ("Long Field Classics", ("family saga", "historical novel", "satire"), 0.75),
    ("Far Platform", ("science fiction", "thriller"), 0.95),
    ("Small Hours", ("magical realism", "ghost story", "coming-of-age"), 1.15),
)
