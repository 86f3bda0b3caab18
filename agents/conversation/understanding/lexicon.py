"""Classes of words that linking, scope and intents share: data only, one place to extend.

Words are in the folded, expanded form of `normalise` ("don't" is "do not", "colour" is "color").
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The set of the words of a text."""
    return frozenset(text.split())


EMOJI: dict[str, str] = {
    "👍": "yes", "👌": "yes", "✅": "yes", "✔": "yes", "🙌": "yes", "💯": "yes", "👎": "no", "❌": "no", "🚫": "no",
    "🙅": "no", "⛔": "no", "❤": "love", "😍": "love", "🥰": "love", "💕": "love", "💖": "love", "💜": "love",
    "💙": "love", "🤮": "hate", "🤢": "hate", "🤷": "whatever", "👋": "hello",
}  # fmt: skip
"""Emoji that mean a word; all others count as a comma."""

EXPANSIONS: dict[str, str] = {
    # contractions, also without their apostrophe
    "dont": "do not", "doesnt": "does not", "didnt": "did not", "isnt": "is not", "arent": "are not",
    "wasnt": "was not", "werent": "were not", "wont": "will not", "wouldnt": "would not", "cant": "can not",
    "cannot": "can not", "couldnt": "could not", "shouldnt": "should not", "havent": "have not", "hasnt": "has not",
    "hadnt": "had not", "aint": "is not", "mustnt": "must not", "neednt": "need not", "dnt": "do not",
    "dosent": "does not", "dosnt": "does not", "doesent": "does not", "dident": "did not",
    "im": "i am", "ive": "i have", "id": "i would", "youve": "you have", "youre": "you are", "ill": "i will",
    "youd": "you would", "youll": "you will", "theyre": "they are", "theyve": "they have", "weve": "we have",
    "thats": "that is", "whats": "what is", "wheres": "where is", "whos": "who is", "hows": "how is",
    "whys": "why is", "lets": "let us", "let's": "let us", "theres": "there is", "heres": "here is",
    "itll": "it will", "thatll": "that will", "itd": "it would", "its": "it is", "hes": "he is", "shes": "she is",
    # texting and slang
    "u": "you", "ur": "your", "r": "are", "y": "why", "n": "and",
    "pls": "please", "plz": "please", "plss": "please", "plzz": "please", "plse": "please", "pleas": "please",
    "wanna": "want to", "gonna": "going to", "gotta": "got to", "gimme": "give me", "gimmie": "give me",
    "lemme": "let me", "dunno": "do not know", "idk": "i do not know", "idc": "i do not care", "dgaf": "do not care",
    "nvm": "never mind", "nevermind": "never mind", "thx": "thanks", "thnx": "thanks", "tnx": "thanks",
    "thanx": "thanks", "thks": "thanks", "tks": "thanks", "ty": "thanks", "tysm": "thanks",
    "w/o": "without", "w/": "with", "abt": "about", "b4": "before", "rn": "right now", "atm": "right now",
    "asap": "right now", "smth": "something", "sth": "something", "smthn": "something", "sumthin": "something",
    "somethin": "something", "sumthing": "something", "sum": "some", "heya": "hey", "heyya": "hey", "kno": "know",
    "2day": "today", "4ever": "forever", "anythin": "anything", "nothin": "nothing", "nuthin": "nothing",
    "k": "okay", "kk": "okay", "ok": "okay", "okey": "okay", "oki": "okay", "okie": "okay", "oke": "okay",
    "alright": "all right", "alrite": "all right", "cuz": "because", "coz": "because", "cos": "because",
    "bc": "because", "cause": "because", "cus": "because", "tho": "though", "till": "until", "til": "until",
    "recs": "recommendations", "reccs": "recommendations", "recos": "recommendations", "rec": "recommend",
    "reco": "recommend", "fav": "favourite", "fave": "favourite", "favs": "favourites", "faves": "favourites",
    "luv": "love", "loove": "love", "h8": "hate", "gr8": "great",
    "ppl": "people", "tbh": "honestly", "imo": "honestly", "imho": "honestly", "wat": "what",
    "wut": "what", "wot": "what", "whatcha": "what you", "watcha": "what you", "def": "definitely",
    "defo": "definitely", "prob": "probably", "probs": "probably", "prolly": "probably", "mb": "maybe",
    "kinda": "kind of", "sorta": "sort of", "outta": "out of", "lotta": "lot of", "yrs": "years", "btw": "by the way",
    "diff": "difference", "info": "information", "convo": "conversation", "ofc": "of course", "np": "no problem",
    "omg": "wow", "g2g": "bye", "cya": "bye", "jst": "just", "jus": "just", "sry": "sorry", "srry": "sorry",
    "soz": "sorry", "hv": "have", "gud": "good", "lil": "little", "tht": "that", "wht": "what", "frm": "from",
    "yr": "your", "lol": "haha", "lmao": "haha", "rofl": "haha", "hahaha": "haha", "hehe": "haha", "2nite": "tonight",
    "tonite": "tonight", "allready": "already", "alredy": "already", "evrything": "everything", "nt": "not",
    # slips that are too short, or too much like other words, for spelling correction
    "nto": "not", "ont": "not", "teh": "the", "hte": "the", "adn": "and", "taht": "that", "waht": "what",
    "yuo": "you", "liek": "like", "mroe": "more", "jsut": "just", "soem": "some", "wnat": "want", "knwo": "know",
    "shwo": "show", "ahve": "have", "haev": "have", "oen": "one", "ti": "it", "fo": "of", "si": "yes",
    "wich": "which",
    "ups": "oops", "woops": "oops", "whoops": "oops", "oups": "oops",
    # short, and an answer in other languages
    "yea": "yeah", "yah": "yeah", "yup": "yep", "yas": "yes", "yess": "yes", "yeh": "yeah", "nop": "nope",
    "noo": "no",
    "naw": "nah", "naah": "nah", "oui": "yes", "ja": "yes", "sim": "yes", "tak": "yes", "evet": "yes", "hai": "yes",
    "nein": "no", "non": "no", "nee": "no", "nej": "no", "nao": "no", "nie": "no", "iie": "no",
    "да": "yes", "нет": "no", "はい": "yes", "いいえ": "no", "نعم": "yes", "لا": "no", "כן": "yes", "לא": "no",
    "是": "yes", "不": "no", "네": "yes", "아니요": "no", "egal": "whatever",
}  # fmt: skip
"""Words as typed to what they stand for: contractions, texting, slang, frequent slips, yes and no elsewhere."""

THINGS = words(
    "thing things stuff something anything item items product products film films movie movies artist artists "
    "band bands music song songs album albums group groups singer singers flick flicks picture pictures title "
    "titles one ones option options result results recommendation recommendations suggestion suggestions pick "
    "picks idea ideas model models gadget gadgets listen watch list act acts device devices brand brands genre "
    "genres sound sounds tune tunes tip tips musician musicians track tracks show selection candidates candidate "
    "matches match goods examples example gear stock catalogue catalog inventory"
)
"""What catalogues hold and what is said for it."""

GENERIC = THINGS | words(
    "sort sorts kind kinds type types style styles vibe vibes mood moods feel category categories feature "
    "features version versions bit touch tags tag colour price budget range place stuff lots lot bunch couple few "
    "material quality anything everything everyone someone way ways sounding based related oriented themed "
    "inspired included built integrated support supported enabled compatible function"
)
"""Nouns that say nothing about what is wanted."""

CIRCUMSTANCE = words(
    "hubby wifey missus missis grandma grandmother grandpa grandfather grandparents granny nan uncle aunt cousin "
    "nephew niece neighbour neighbours colleague colleagues boss guests fiance fiancee mummy daddy mama papa toddler "
    "teenager teenagers bloke lad lads hun darling grand lovely ages "
    "tonight today now lately currently tomorrow yesterday weekend evening morning afternoon night day days week "
    "month year moment while time times mostly usually often sometimes always never forever recently wife husband "
    "girlfriend boyfriend gf bf kids kid family friend friends mom mum dad mother father son daughter brother "
    "sister parents partner daughters sons children roommate mate mates buddy date everyone wedding saturday "
    "sunday monday tuesday wednesday thursday friday chance possible guess think suppose reckon hey hi hello "
    "thanks thank please sorry wow oh ah hmm um uh er well haha yo dude man bro pal sir first instead course "
    "total totally far whole especially mainly only start exactly bit life heart soul everything world fact "
    "matter plenty tons ton loads heaps spend pay paying cost costs money released release came out years"
)
"""Who with and when: words that may stand in a request without being looked for."""

COLLOQUIAL = words(
    "lefty righty telly fridge laptop laptops selfie selfies podcast podcasts playlist playlists karaoke yoga pilates"
    " zumba gym jog jogging commute hungover hangover barbecue bbq picnic sleepover birthday bday xmas bruv babe luv"
    " hun hon sweetie darling mates lads lad lass gals chick chicks dudes folks peeps fam besties bestie nan nana"
    " granny grandad grandpa granddad gramps auntie aunty uncle cousin niece nephew stepdad stepmum fiance fiancee"
    " roomie flatmate flatmates coworker coworkers neighbour neighbours neighbor neighbors teen teens teenager"
    " teenagers toddler toddlers preschooler pensioner oap gn gm bff ikr smh fyi asap diy tbf idek omw hmu wyd"
    " skint knackered gutted chuffed chuffing bloody blimey crikey cor wee bonnie aye och nowt owt summat innit"
    " yonks loo bloke blokes cuppa dodgy faff naff posh quirky cheesy cringey spooky creepy gory twisty trippy"
    " groovy jazzy bluesy poppy punky folky rocky funky twangy bouncy punchy mellow chilled chillax upbeat"
    " downbeat catchy danceable bop bops banger bangers tearjerker tearjerkers chickflick romcom romcoms whodunnit"
    " whodunnits flick flicks binge binged binging rewatch rewatched rewatching doc docs docu webcam webcams dongle"
    " dongles earbuds earbud headphone earphone earphones headset headsets soundbar subwoofer touchpad trackpad"
    " smartphone smartphones smartwatch charger chargers router routers printer printers scanner scanners toner"
    " tripod gimbal drone drones gopro ipad iphone macbook chromebook thinkpad usb hdmi vga wifi backlit ergonomic"
    " clicky thumbsup emoji meme memes gif"
)
"""Words that lists of frequent English lack, so that they are not taken for misspellings."""

FUNCTION = words(
    "whichever wherever whenever ftw "
    "oops whoops ouch yay ugh eww ew lol hmm meh shrug bingo cheers hiya heya yikes bye goodbye sorry "
    "a an the this that these those it its he she they their his her him i me my mine we us our you your yours "
    "who whom whose which what when where why how and or nor but if then than so as at by for from in into of off "
    "on onto out over per to too under until up upon via with within without about above across after against "
    "along among around before behind below beneath beside between beyond down during except inside near like "
    "unlike since through toward towards till not no yes yeah never none nothing neither either both each every "
    "all any some something anything everything someone anyone nobody another other others else more most less "
    "least much many few lot lots bit very really just only also even still yet already again always ever often "
    "almost quite rather pretty super totally absolutely definitely certainly probably maybe perhaps possibly "
    "actually basically honestly literally simply is are was were am be been being do does did doing done have "
    "has had having can could will would shall should may might must need let get got getting go going gone goes "
    "come comes coming make makes making made take takes taking took give gives giving gave put want wants wanted "
    "wanting likes liked love loves loved hate hates hated show shows showing see seen look looks looking find "
    "finds finding try tries trying tell say says said think thinks thought know knows knew known feel feels "
    "feeling seem seems sound sounds keep keeps please thanks okay right sure fine good great nice well here "
    "there now today tonight one ones two three four five ten first second third fourth fifth sixth last next "
    "previous former latter top bottom thing things stuff kind sort type way such same different similar new old "
    "best better worse worst own instead though although because while whether however anyway anyways oh ah hmm "
    "um uh er hey hi hello bye help mind care matter prefer preference fancy recommend recommended recommendation "
    "recommendations suggest suggestion suggestions pick picks choose choice choices option options question "
    "questions answer ask asked asking mean means meant able possible little fan mood dear dude man bro mate guys "
    "folks person people everyone haha wow cool awesome yep yup nope nah whatever compare compared undo reset "
    "restart start stop back begin end results result list hear heard listen listened listening watch watched "
    "watching play played playing buy bought search searching wait later time times enjoy enjoyed dislike avoid "
    "skip drop remove delete forget remember explain reason exactly especially honest enough truly particularly "
    "somewhat fairly extremely ya away who's wish hope guess suppose bunch couple plus minus etc ok usually "
    "generally mostly mainly them"
)
"""Closed-class and dialogue words: never a name by themselves unless quoted or asked about."""

EVALUATIVE = words(
    "baby babe honey "
    "hard strong big huge small heavy light deep away simple easy love loved lovely beautiful awesome amazing "
    "cool sexy sweet cute fun great good nice best perfect brilliant genius fantastic favourite favorite "
    "favourites favorites classic interesting epic hot sick bad crap shit lame boring awful horrible excellent "
    "superb solid gorgeous neat special wonderful talented legendary fire dope funny weird strange crazy mad "
    "stupid dumb annoying overrated underrated pretty popular new old free live all one seen memories friends "
    "friend legend legends masterpiece perfection happy hits hit top single singles random different long short "
    "high low fast quick real true original names name songs song music band bands movie movies film films artist "
    "artists album albums hmm questions question exactly me you we i him them a the more having can in on up off "
    "and mine as yes no never hell damn fuck wtf omg wow lol sorry please thanks hello goodbye god jesus man dude "
    "girl girls boy boys people life time day days night home work world heart mind eyes end way things thing "
    "stuff"
)
"""Ordinary words that catalogues also use as tags: names only where the sentence has a place for a name."""

SYNONYMS: tuple[tuple[str, str], ...] = (
    # said, catalogue name (used only where the catalogue has the name and not what was said)
    ("science fiction", "sci-fi"), ("sf", "sci-fi"), ("scifi", "sci-fi"), ("syfy", "sci-fi"), ("sci fy", "sci-fi"),
    ("science-fiction", "sci-fi"), ("si fi", "sci-fi"), ("noir", "film-noir"), ("film noire", "film-noir"),
    ("funny", "comedy"), ("scary", "horror"), ("romantic", "romance"), ("rom com", "romance"),
    ("animated", "animation"),
    ("cartoon", "animation"), ("docu", "documentary"), ("doc", "documentary"), ("docs", "documentary"),
    ("kids", "children's"), ("children", "children's"), 
    ("for kids", "children's"), ("kid friendly", "children's"), ("cowboy", "western"),
    ("suspense", "thriller"), ("whodunit", "mystery"), ("whodunnit", "mystery"), ("dramatic", "drama"),
    ("cop", "crime"), ("gangster", "crime"), ("mafia", "crime"), ("fantastical", "fantasy"),
    ("r and b", "rnb"), ("r n b", "rnb"), ("rhythm and blues", "rnb"), ("hip hop", "hip-hop"), ("hiphop", "hip-hop"),
    ("drum and bass", "drum n bass"), ("dnb", "drum and bass"), ("d and b", "drum and bass"),
    ("idm", "intelligent dance music"), ("edm", "electronic dance music"), ("prog rock", "progressive rock"),
    ("prog metal", "progressive metal"), ("prog", "progressive rock"), ("alt rock", "alternative rock"),
    ("psych rock", "psychedelic rock"), ("post rock", "post-rock"), ("eighties", "80s"), ("nineties", "90s"),
    ("seventies", "70s"), ("sixties", "60s"), ("fifties", "50s"), ("noughties", "00s"), ("lofi", "lo-fi"),
    ("instrumentals", "instrumental"), ("girl singers", "female vocalists"), ("female singers", "female vocalists"),
    ("women singers", "female vocalists"), ("male singers", "male vocalists"), ("female voices", "female vocalists"),
    ("male voices", "male vocalists"), ("female vocals", "female vocalists"), ("male vocals", "male vocalists"),
    ("female vocalist", "female vocalists"), ("male vocalist", "male vocalists"),
    ("female singer", "female vocalists"),
    ("male singer", "male vocalists"), ("electro pop", "electropop"), ("synth", "synthpop"),
    ("laptop", "notebook"), ("laptops", "notebook"), ("wifi", "wi fi"), ("wi-fi", "wi fi"),
    ("wireless internet", "wi fi"), ("waterproof", "water resistant"), ("touch screen", "touchscreen"),
    ("cordless", "wireless"), ("aluminum", "aluminium"), ("noise cancelling", "noise cancellation"),
    ("backlit keyboard", "keyboard backlit"), ("backlit", "keyboard backlit"), ("gamer", "gaming"),
    ("multicolored", "multicolour"), ("multicolor", "multicolour"),
)  # fmt: skip
"""What people say for what catalogues write."""

SPELLING: dict[str, str] = {
    "color": "colour", "colors": "colours", "gray": "grey", "center": "centre", "theater": "theatre",
    "favorite": "favourite",
    "favorites": "favourites",
}  # fmt: skip
"""American spellings to the British ones that names and messages are both folded to."""

NUMBERS: dict[str, int] = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60,
    "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000,
}  # fmt: skip

ORDINALS: dict[str, int] = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "forth": 4, "4th": 4, "fifth": 5,
    "5th": 5, "sixth": 6, "6th": 6, "seventh": 7, "7th": 7, "eighth": 8, "8th": 8, "ninth": 9, "9th": 9, "tenth": 10,
    "10th": 10, "firstly": 1, "secnd": 2, "top": 1, "frist": 1, "middle": 0,
}  # fmt: skip
"""Ordinal words for shown items; "middle" is worked out from how many are shown."""

DECADES: dict[str, int] = {
    "twenties": 1920, "thirties": 1930, "forties": 1940, "fifties": 1950, "sixties": 1960, "seventies": 1970,
    "eighties": 1980, "nineties": 1990, "noughties": 2000, "aughts": 2000, "tens": 2010,
}  # fmt: skip

DIALOGUE = words(
    "about above ask asked answer yes no maybe whatever either neither both second first third last next previous "
    "compare difference versus reset restart undo back again over start stop wait remember forget delete remove "
    "export download data profile history privacy explain why reason recommend suggest show give find list "
    "results recommendations suggestions question questions like love hate dislike prefer want need care matter "
    "mind skip pass thanks hello bye sorry please okay cheers morning evening robot human seen watched heard "
    "bought own already similar same style vein more less under below cheaper between newer older budget max "
    "maximum minimum least most price cost dollars euros bucks pounds brand made year years before after since "
    "decade recent"
)
"""Words of the dialogue itself, to which misspellings are corrected first."""

NEGATORS = words("not no never without nothing none neither nor except avoid skip")

OPENERS = words(
    "my our his her "
    "next ready enough surprise results recommendations recommendation suggestions anyway otherwise i we you it "
    "he she they there that these those who what which why how where when not no never nothing without none "
    "anything something someone nope nah yes yeah yep sure okay maybe show give compare tell forget undo remove "
    "delete drop throw find make let get go start restart skip hide put play recommend suggest explain export "
    "cancel revert keep add include exclude want need looking look search more similar like love loved liked hate "
    "hated dislike seen saw watched heard already own have got can could would will do does did is are am please "
    "help stop avoid leave take bring try pick choose wait sorry under below above between less cheaper "
    "newer older from before after max maximum minimum thanks thank hello hi bye whatever either same "
    "difference reset erase wipe clear scratch ignore definitely absolutely especially rather instead only just "
    "with prefer nor both all spare lose big anyone everything sick tired dont_care"
)
"""Words that begin a clause after a comma or "and"."""

CLASSES: dict[str, frozenset[str]] = {
    "not": words(
        "not no never without nothing none neither nor nope nah hardly barely cannot nobody nowhere zero minus "
        "except excluding"
    ),
    "love": words(
        "love loved loves loving adore adored adores like liked likes liking enjoy enjoyed enjoys enjoying dig "
        "digging appreciate fancy worship cherish crave craving prefer keen fond obsessed addicted hooked"
    ),
    "great": words(
        "great awesome amazing fantastic brilliant excellent wonderful superb lovely perfect good nice cool "
        "beautiful fab fabulous ace incredible gorgeous stunning best favourite favourites neat legendary lit "
        "masterpiece gem banger bangers goat goated magnificent delightful marvelous marvellous terrific "
        "phenomenal outstanding flawless fire dope rad divine ideal solid decent cute genius timeless wicked "
        "magical hilarious fab fun funny gripping touching moving adorable handsome magic class "
        "impressive charming interesting promising tempting slaps rocks rock rules rule tops unbeatable exquisite "
        "yummy sublime glorious splendid stellar"
    ),
    "hate": words(
        "hate hated hates hating dislike disliked dislikes despise despised detest detested loathe loathed abhor "
        "resent regret allergic fed sick tired weary scared afraid"
    ),
    "bad": words(
        "boring bored bad awful terrible horrible crap crappy shit shitty garbage rubbish trash trashy lame dull "
        "overrated ugly annoying annoys annoyed meh sucks suck sucked stinks stink stank worst disgusting gross "
        "dreadful cheesy mediocre unbearable lousy pathetic cringe cringy cringey unwatchable unlistenable "
        "hideous nasty tedious disappointing disappointed disappoints ghastly tacky tiresome irritating irritates "
        "pretentious useless atrocious insufferable corny stale bleh blah bore bores hurts depressing depresses "
        "ruins ruined worse creepy horrid abysmal yawn snooze snoozefest waste letdown mess"
    ),
    "ugh": words("ugh ew eww yuck yikes boo bleh blah pfft nah gross bah urgh argh puke vomit"),
    "remove": words(
        "remove drop delete hide ditch dump scrap lose discard eliminate exclude omit skip bin kill axe cut "
        "dismiss banish ban block toss chuck veto nix boycott throw kick cross strike scratch rule filter"
    ),
    "seen": words("seen saw watched heard read played tried visited listened finished viewed rewatched caught"),
    "own": words("own owned owns bought purchased possess ordered got"),
    "ask": words(
        "ask asking asked asks question questions questioning quiz quizzing interrogate inquire inquiring"
    ),
    "choose": words(
        "recommend recommended recommending recommends suggest suggested suggesting suggests propose proposed "
        "pick picked picking picks choose chose chosen choosing select selected selecting list listed offer "
        "offered recommendation recommendations suggestion suggestions"
    ),
    "show": words("show give display present bring hand serve send reveal gimme throw shows showing"),
    "store": words(
        "remember remembered remembers recall recalls memorize memorise store stored stores storing save saved "
        "saves saving keep kept keeps keeping record recorded recording collect collected collecting retain "
        "retained hold track tracking tracked log logged logging note noted"
    ),
    "erase": words("forget delete erase wipe purge destroy deleted erased wiped forgotten removed clear clean"),
    "export": words("export download copy backup extract exported downloaded"),
    "data": words(
        "data profile history information preferences preference memory record records account details privacy"
    ),
    "mistake": words(
        "oops mistake wrong error accident accidentally accidental misclick misclicked mistyped typo misread "
        "misunderstood mistakenly slip incorrectly"
    ),
    "undo": words("undo revert rewind unsend undoing backtrack retract rollback unsay reverse"),
    "restart": words("restart reset reboot restarting resetting anew afresh fresh scratch beginning zero"),
    "hello": words("hello hi hey hiya howdy yo greetings morning evening afternoon"),
    "thanks": words("thanks thank cheers ta merci gracias danke appreciated appreciate grateful thankful"),
    "bye": words("bye goodbye ciao adios farewell later goodnight cya"),
    "same": words(
        "similar same alike akin comparable resembling reminiscent equivalent vein style resembles matching"
    ),
    "differ": words(
        "compare comparison difference differences differ different versus vs contrast comparing compared"
    ),
    "any": words("whatever whichever either any anything both whatevs"),
    "matter": words(
        "matter matters care cares mind important relevant fussed bothered picky fussy bother crucial essential "
        "preference preferences opinion difference particular indifferent neutral concerned"
    ),
    "unsure": words("maybe perhaps possibly depends unsure undecided dunno clue idea sure certain"),
    "yes": words(
        "yes yeah yep sure okay definitely absolutely totally certainly indeed correct exactly right affirmative "
        "course surely gladly"
    ),
}  # fmt: skip
"""Words that say the same about an intent, so that what is learnt from one holds for the others."""

CLASS_OF: dict[str, str] = {word: f"<{name}>" for name, words in CLASSES.items() for word in words}

FILLERS = words(
    "please honestly actually basically well um uh uhm er hmm hm oh ah ooh man dude bro mate guys literally "
    "though anyway haha kindly really simply"
)
"""Words that a clause means the same without."""

CURRENCIES = words(
    "$ dollar dollars buck bucks usd euro euros eur gbp pound pounds quid cent cents yen rupees chf francs"
)

UNITS = words(
    "inch inches in cm mm m meter meters metre metres gb tb mb hz ghz mhz watt watts w v volt volts hours hour "
    "hrs minutes minute min mins songs people players persons pieces pack packs times years days weeks months "
    "kids k dpi mp ports port cores core percent litre litres liter liters l kg kgs g grams st nd rd th questions "
    "items ones of"
)
"""What a number counts that is no price."""

TRUE, NO = words("true yes y"), words("false no n")
"""Values of attributes that are only there or not."""
