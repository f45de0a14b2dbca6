"""What the shop sells. Pure values: no session, no HTTP. Prices are integer cents of CURRENCY."""

from __future__ import annotations

from dataclasses import dataclass

CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Category:
    """A shelf of the shop."""

    slug: str
    name: str
    line: str


@dataclass(frozen=True, slots=True)
class Product:
    """One thing on a shelf; its picture is static/products/{slug}.svg and `picture` says in words what it shows."""

    slug: str
    name: str
    category: Category
    price_cents: int
    line: str
    text: str
    details: tuple[str, ...]
    picture: str


KITCHEN = Category("kitchen", "Kitchen", "For the stove, the oven and the worktop.")
TABLE = Category("table", "Table", "For the part where everybody sits down.")
GARDEN = Category("garden", "Garden", "For boots, beds and wet mornings.")
WINDOWSILL = Category("windowsill", "Windowsill", "For gardens that are forty centimetres deep.")
CATEGORIES = (KITCHEN, TABLE, GARDEN, WINDOWSILL)

PRODUCTS = (
    Product(
        "milk-pan",
        "Milk pan",
        KITCHEN,
        3800,
        "1.2 litres, two lips, one job done well.",
        "Pours to the left and to the right, because somebody in every house is left-handed. The enamel is fired "
        "twice, so porridge lets go of it without an argument.",
        ("Enamelled steel, beech handle", "1.2 litres, 16 cm across", "All hobs, also induction"),
        "A white enamel saucepan with a blue rim and a wooden handle",
    ),
    Product(
        "pickling-crock",
        "Pickling crock",
        KITCHEN,
        5400,
        "Three litres of patience, with a lid.",
        "A channel around the lid holds water: gas gets out, air does not get in. The two weights inside keep the "
        "cabbage where it belongs. Comes with our card of five brines.",
        ("Salt-glazed stoneware", "3 litres, with lid and weights", "Dishwasher safe"),
        "A grey stoneware crock with a lid and a blue sprig on its side",
    ),
    Product(
        "rolling-pin",
        "Pear wood rolling pin",
        KITCHEN,
        2600,
        "No handles, so your hands can feel the dough.",
        "Turned from one piece of pear wood, a little thinner at the ends. It steers like a bicycle and rolls a circle "
        "when you ask for one.",
        ("Oiled pear wood", "46 cm long, 4.5 cm thick", "Wipe, do not soak"),
        "A tapered wooden rolling pin lying across a round of dough",
    ),
    Product(
        "bread-board",
        "Bread board",
        KITCHEN,
        3200,
        "Oak, two fingers thick, with a crumb groove.",
        "Heavy enough to stay where it is while you saw at a crust. One side has a groove for crumbs, the other is "
        "flat for everything that is not bread.",
        ("Solid oak, oiled", "38 × 26 cm, 2.4 cm thick", "Hangs by its own hole"),
        "A wooden board with a loaf of bread and one slice cut off",
    ),
    Product(
        "enamel-mug",
        "Enamel mug",
        TABLE,
        1400,
        "The one that survives the camping trip.",
        "White outside, white inside, blue where your lips go. It may chip one day; then it has a story, and still "
        "holds tea.",
        ("Enamelled steel", "350 ml", "Not for the microwave"),
        "A steaming white enamel mug with a blue rim",
    ),
    Product(
        "striped-towel",
        "Striped tea towel",
        TABLE,
        1200,
        "Half linen, so it dries glasses and not just moves the water.",
        "Woven in one width with a loop in the corner. It is stiff for the first two washes and then the best cloth in "
        "the drawer for ten years.",
        ("52 % linen, 48 % cotton", "50 × 70 cm, with a loop", "Wash at 60 °C"),
        "A folded white tea towel with blue stripes, hanging from a peg",
    ),
    Product(
        "water-jug",
        "Water jug",
        TABLE,
        3600,
        "One and a half litres, and it does not drip.",
        "We tried eleven spouts. This is the one that stops when you stop. The handle takes three fingers, also in "
        "a washing-up glove.",
        ("Enamelled steel", "1.5 litres, 21 cm high", "Dishwasher safe"),
        "A tall enamel jug with a curved spout and a sprig of sorrel in it",
    ),
    Product(
        "beeswax-candles",
        "Beeswax candles, a pair",
        TABLE,
        1600,
        "Dipped twenty-six times, still joined by the wick.",
        "They come from the dipping frame as a pair and nobody has cut them apart. Hang them on a nail until the "
        "evening asks for them.",
        ("Pure beeswax, cotton wick", "22 cm, about seven hours each", "For 2 cm holders"),
        "Two tapered yellow candles joined by one wick",
    ),
    Product(
        "watering-can",
        "Watering can",
        GARDEN,
        4500,
        "Five litres, with a rose that rains instead of pours.",
        "The long neck reaches the back row, the high handle lets you tip it with one hand. Galvanised inside and out, "
        "so it can stand in the rain it imitates.",
        ("Galvanised steel, brass rose", "5 litres, 1.4 kg empty", "Spare roses available"),
        "A zinc watering can with a long neck and a brass rose",
    ),
    Product(
        "hand-trowel",
        "Hand trowel",
        GARDEN,
        1900,
        "A blade with centimetres on it.",
        "Forged from one piece, so the neck does not bend in clay. Lines on the blade tell how deep a bulb goes; the "
        "ash handle tells where you left it in the grass.",
        ("Carbon steel, ash handle", "31 cm long", "Leather loop"),
        "A garden trowel with a wooden handle, standing in a mound of soil",
    ),
    Product(
        "garden-twine",
        "Garden twine",
        GARDEN,
        900,
        "Eighty metres of jute in a tin that cuts it.",
        "The tin keeps it dry and the notch in its lid cuts it, so one hand can hold the bean. Rots politely on the "
        "compost afterwards.",
        ("Natural jute, untreated", "80 m, 3 ply", "Refills fit the tin"),
        "A spool of green twine standing on its tin",
    ),
    Product(
        "harvest-trug",
        "Harvest trug",
        GARDEN,
        4800,
        "For more courgettes than anybody wanted.",
        "Willow boards on an ash frame, held by copper nails. It stands on two feet, so that the bottom stays out of "
        "the wet and the beans stay out of the mud.",
        ("Willow and ash", "44 × 26 cm", "Carries 8 kg"),
        "A shallow wooden basket with carrots, a beetroot and leaves",
    ),
    Product(
        "clay-pots",
        "Clay pots, a set of three",
        WINDOWSILL,
        2400,
        "Thumb, fist and two hands: the three sizes you need.",
        "Thrown, not pressed, so the wall breathes evenly. Each stands on its own saucer and the small one fits into "
        "the big one when winter comes.",
        ("Unglazed terracotta", "8, 11 and 14 cm", "With saucers"),
        "Three terracotta pots of different sizes, each with a small plant",
    ),
    Product(
        "seed-tin",
        "Seed tin",
        WINDOWSILL,
        2800,
        "Twelve months, twelve cards, no more mystery envelopes.",
        "Dividers for each month say what to sow and how deep. The lid closes tight enough for mice to lose interest.",
        ("Powder-coated tin", "21 × 14 × 12 cm", "Twelve dividers, forty bags"),
        "An open blue tin box with cards and seed packets standing in it",
    ),
    Product(
        "herb-snips",
        "Herb snips",
        WINDOWSILL,
        2100,
        "Small enough for chives, sharp enough for rosemary.",
        "One spring, two blades, no plastic. They come apart for washing and go back together the same way, which is "
        "more than can be said of most things.",
        ("Stainless steel, brass rivet", "15 cm", "Comes with a cork for the tip"),
        "A pair of small steel snips beside a sprig of rosemary",
    ),
    Product(
        "sill-tray",
        "Windowsill tray",
        WINDOWSILL,
        3400,
        "Three herbs, one tray, no wet paint.",
        "A narrow tray with a raised floor: water runs under the pots and waits there. Made to fit the sill that is "
        "always a little too narrow.",
        ("Zinc, waxed", "42 × 13 cm, 5 cm deep", "Fits three 11 cm pots"),
        "A long zinc tray with three different herbs growing in it",
    ),
)
_BY_SLUG = {product.slug: product for product in PRODUCTS}
FAVOURITES = tuple(_BY_SLUG[slug] for slug in ("enamel-mug", "watering-can", "pickling-crock", "clay-pots"))


def find_product(slug: str) -> Product | None:
    """The product with this name in the address, or None."""
    return _BY_SLUG.get(slug)


def find_category(slug: str) -> Category | None:
    """The category with this name in the address, or None."""
    return next((category for category in CATEGORIES if category.slug == slug), None)


def select(category: Category | None, words: str) -> tuple[Product, ...]:
    """Products of a category (None: of all) that hold every word in name, text or category, without case."""
    wanted = words.casefold().split()
    return tuple(
        product
        for product in PRODUCTS
        if category in (None, product.category) and all(word in _searchable(product) for word in wanted)
    )


def related_to(product: Product, count: int = 4) -> tuple[Product, ...]:
    """Others of the same shelf first, then the shop's favourites."""
    same_shelf = [other for other in PRODUCTS if other.category == product.category]
    others = [other for other in dict.fromkeys((*same_shelf, *FAVOURITES)) if other != product]
    return tuple(others[:count])


def _searchable(product: Product) -> str:
    return " ".join((product.name, product.line, product.text, product.category.name)).casefold()
