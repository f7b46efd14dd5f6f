"""Digests as six words, which people compare by telephone.

A word stands for 8 bits, so that six of them stand for the first 48 bits of a digest. It helps people to see that two
files differ; programs compare whole digests.
"""

_TEXT = """
acid acorn actor adult agent alarm album alley amber angle ankle apple apron arrow aspen atlas attic axis
bacon badge bagel baker bamboo banjo barn basil beach beard bench berry birch bison blanket boat bonnet book
border bottle branch bread bridge broom bucket butter button cabin cactus camel candle canoe canyon carbon
carpet castle cedar cello chalk cherry chimney circus citrus clock cloud clover coast cobalt coffee comet
copper coral cotton crane crater crystal curtain cycle daisy dancer delta denim desert diamond dolphin
donkey dragon drum eagle echo eclipse elbow elder ember engine fabric falcon feather fennel ferry fiddle
filter flame flute forest fossil fountain fox galaxy garden garlic gecko giant ginger glacier globe goblet
goose granite grape gravel guitar hammer harbor hazel helmet hermit hockey honey horizon hotel husky icicle
igloo indigo insect island ivory jacket jaguar jasmine jelly jewel jungle kayak kettle kitten koala ladder
lagoon lantern laurel lemon lentil leopard lizard lobster locket lumber magnet mango maple marble meadow
melon mirror monkey mosaic muffin mustard nectar needle nickel noodle nutmeg oasis oboe ocean olive onion
orchid organ otter oyster paddle palace panda paper parrot pebble pepper piano pillow pilot planet plum
pocket pony poppy potato prairie puzzle quartz quilt rabbit radar raven ribbon river robin rocket saddle
saffron salmon sandal satin school scooter shadow shelter shovel silver sister skate sketch sleeve slipper
smoke socket sparrow spider spinach sponge squash stable stamp station summer sunset swallow table tango
teapot temple ticket tiger timber tomato tulip tunnel turtle velvet violin walnut window winter yellow zebra
"""

WORDS = tuple(_TEXT.split())
"""One word for every byte; all differ, and each is plain to spell."""

LENGTH = 6
"""Words of a code."""


def word_code(digest: str) -> str:
    """Return the words of a digest of hexadecimal digits, joined by hyphens."""
    return "-".join(WORDS[byte] for byte in bytes.fromhex(digest[: 2 * LENGTH]))
