"""Heroes of the demo world and what happens to them."""

from __future__ import annotations

from llmrec.data.demo_world.value import value as _value

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
