"""What the shop has to tell: a handful of short texts, read in one page without reloading."""

from __future__ import annotations

from dataclasses import dataclass

TOPICS = {"growing": "Growing", "cooking": "Cooking", "mending": "Mending"}


@dataclass(frozen=True, slots=True)
class Story:
    """A short text; `product` is the slug of the thing it mentions."""

    slug: str
    title: str
    topic: str
    minutes: int
    intro: str
    paragraphs: tuple[str, ...]
    product: str


STORIES = (
    Story(
        "sorrel-in-march",
        "Sorrel is up before you are",
        "growing",
        3,
        "The first green thing of the year asks for almost nothing. A pot, a north window, and that you eat it.",
        (
            "Most herbs sulk in March. Sorrel does not. It pushes its red-veined leaves through soil that is still "
            "cold enough to hurt your fingers, and it tastes of lemon before there is anything else to taste.",
            "Sow it one centimetre deep in a pot at least as wide as your hand. Keep it damp, not wet. After six weeks "
            "you may take the outer leaves; leave the heart, and it will hand you leaves until November.",
            "When it flowers, cut the stem at once. The plant will be offended for a week, then carry on.",
        ),
        "clay-pots",
    ),
    Story(
        "five-brines",
        "Five brines for one crock",
        "cooking",
        4,
        "Salt, water, time. The rest is a matter of taste, and these are the five we come back to.",
        (
            "The plain one: twenty grams of salt for each litre. Cabbage, carrots, the last green tomatoes. Taste it "
            "after a week; stop when you like it.",
            "The sharp one: the same, with a spoon of mustard seeds and a slice of horseradish. It keeps cucumbers "
            "crisp, and guests awake.",
            "The other three are garlic and dill, ginger and turmeric, and the one with a single vine leaf that nobody "
            "can explain but everybody can taste. Keep the crock below twenty degrees and out of the sun.",
        ),
        "pickling-crock",
    ),
    Story(
        "chipped-enamel",
        "What to do about a chip",
        "mending",
        2,
        "Enamel is glass on steel. It chips, and that is less of an end than it looks.",
        (
            "A chip on the outside is a freckle. Dry it well, rub in a drop of linseed oil, and the steel underneath "
            "turns dark and stops there.",
            "A chip on the inside means that the pan retires from soup. It becomes the best flower pot you ever had: "
            "five nail holes in the bottom, a handful of gravel, thyme.",
            "Whatever you do, do not throw it away. Ours has been rinsing brushes since the last century.",
        ),
        "enamel-mug",
    ),
    Story(
        "string-theory",
        "A short theory of string",
        "growing",
        3,
        "Beans climb whatever you give them. Give them something that may be thrown on the compost afterwards.",
        (
            "Two posts, one line along the top, one along the bottom, and a zigzag in between. That is all. Beans wind "
            "to the left, hops to the right, and sweet peas hold on to whatever they touch.",
            "Tie the top line with a knot that you can open in October with cold hands: a round turn and two half "
            "hitches. Leave the ends long. You will need them when the wind comes.",
            "When everything is over, cut the lines at both ends and roll up the whole thing, string, stalks and all. "
            "It is compost by spring.",
        ),
        "garden-twine",
    ),
    Story(
        "sharpen-a-trowel",
        "Sharpen the trowel, too",
        "mending",
        2,
        "Knives get all the attention. The tool that meets stones every day deserves ten minutes as well.",
        (
            "Clamp it, blade up. Take a flat file and push it away from you along the inner edge, always in the same "
            "direction, at the angle the maker chose. Twelve strokes, not more.",
            "Turn it over and take off the burr with one light pass. Wipe with an oily rag. That is the whole secret.",
            "A sharp trowel goes through roots instead of around them, and your wrist will know the difference.",
        ),
        "hand-trowel",
    ),
)
TEASER = STORIES[3]


def find(slug: str) -> Story | None:
    """The story with this name in the address, or None."""
    return next((story for story in STORIES if story.slug == slug), None)
