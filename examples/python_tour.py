"""A tour of Statlas from Python, to be read from top to bottom.

Editors that know cells (``# %%``) run it piece by piece; ``python examples/python_tour.py`` runs all of it. Everything it
writes goes into a temporary directory.
"""

# %% [markdown]
# # Entities
#
# An entity is something with a permanent address, computed from what it is and from where it lies. The same entity has
# the same address on every machine, in every language, for ever.

# %%
from __future__ import annotations

import tempfile
import threading
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import statlas

folder = tempfile.TemporaryDirectory(prefix="statlas-tour-")
place = Path(folder.name)

song = statlas.Entity(
    profile="stat7",
    id="song-1",
    entity_type="artifact",
    realm="data",
    coordinates={
        "realm": "data",
        "lineage": 1,
        "adjacency": [],
        "horizon": "genesis",
        "resonance": 0.5,
        "velocity": 0.25,
        "density": 0.75,
    },
    created_at=datetime(2025, 1, 1, tzinfo=timezone.utc),
    state={"title": "The first one", "seconds": 181},
)
print(song.address)
print(song.uri)

# What it is cannot change without its address changing, and what breaks a rule is refused with its name.
assert statlas.Entity(song.to_dict()) == song
try:
    statlas.Entity({**song.to_dict(), "realm": "Data"})
except statlas.InvalidError as error:
    print("refused:", error)

# %% [markdown]
# # A store
#
# `Store.open` takes a directory, which it makes if need be, or `memory:`. The `with` block closes it. Whatever `put`
# returned from survives a power cut unless you say otherwise.


# %%
def songs(count: int) -> list[statlas.Entity]:
    """Many songs, each of which knows the one before."""
    numbers = np.random.default_rng(1)
    made = []
    for number in range(2, count + 2):
        coordinates = {
            "realm": ("data", "narrative", "pattern")[number % 3],
            "lineage": number % 9,
            "adjacency": [f"song-{number - 1}"],
            "horizon": "peak",
            "resonance": round(float(numbers.uniform(-1, 1)), 3),
            "velocity": round(float(numbers.uniform(-1, 1)), 3),
            "density": round(float(numbers.uniform(0, 1)), 3),
        }
        fields = song.to_dict() | {"id": f"song-{number}", "coordinates": coordinates, "state": {"seconds": 60 + number % 240}}
        made.append(statlas.Entity(fields))
    return made


store = statlas.Store.open(place / "music")
store.put(song)
stored = store.put_many(songs(20_000))
print(stored, len(store))

# By address, by id, by the beginning of an address, by its place.
assert store.get(song.address) == song
assert store.head("song-1") == song
assert store.resolve(song.address[:12]) == store.resolve(song.uri) == [song]

# A change makes a new version of the id; the old one stays.
longer = statlas.Entity(song.to_dict() | {"state": {"title": "The first one", "seconds": 190}})
store.put(longer)
print([version.state["seconds"] for version in store.history("song-1")])

# %% [markdown]
# # Finding
#
# A question is asked when its answer is read: row by row, or at once as NumPy arrays.

# %%
found = store.find(realm=["data", "pattern"], lineage=(1, 4), resonance=(0.5, None))
print(found.count(), "found, for example", next(iter(found)).id)

arrays = found.arrays(["id", "resonance", "density"])
densest = np.argsort(arrays["density"])[::-1][:3]
print(arrays["id"][densest], arrays["density"][densest])

# The most similar ones by their coordinates, and those that can be reached over adjacency.
for neighbour in store.near(longer, k=3):
    print(f"{neighbour.similarity:.3f}", neighbour.entity.id)
print([step.id for step in store.neighbours("song-100", hops=3)])

# %% [markdown]
# # Tables
#
# pandas, Polars and Arrow take what was found by a protocol that they have in common. None of them is needed.

# %%
try:
    import polars as pl

    frame = pl.DataFrame(store.find(order_by="density", descending=True, limit=1000))
    print(frame.group_by("coordinate_realm").agg(pl.col("density").mean().round(3)).sort("coordinate_realm"))
except ImportError:
    print("Polars is not installed")

try:
    import pandas as pd

    columns = pd.DataFrame(store.find(limit=1000).arrays(["lineage", "velocity"]))
    print(columns.groupby("lineage")["velocity"].mean().round(3).head(3))
except ImportError:
    print("pandas is not installed")

# %% [markdown]
# # Tokens
#
# A token is 64 bytes that place something in eight spaces of three axes each. A million of them are made from arrays in
# one call, and are arrays again without a copy.

# %%
count = 1_000_000
numbers = np.random.default_rng(2)
places = numbers.uniform(-300, 300, (count, 3))
moods = numbers.uniform(-1, 1, (count, 3))
tokens = statlas.create_tokens_batch(
    count,
    entity_type="object",
    weight=numbers.uniform(0, 100, count),
    coordinates={"physical": places, "emotional": moods},
)
print(tokens, f"{tokens.memory_usage() / 1e6:.0f} MB")
print(tokens[0])

# These share the memory of the tokens, which therefore stay where they are while one of them is there.
physical = tokens.coordinates[:, statlas.SPACES.index("physical")]
print(physical.shape, physical.dtype, np.shares_memory(physical, tokens.array()))
try:
    tokens.append(statlas.Token())
except BufferError as error:
    print("refused:", error)
del physical

# The nearest, exactly, over any spaces; filters; and work by several threads.
indices, distances = tokens.nearest(tokens[0], k=3, spaces=["physical"])
print(indices, distances.round(2))
heavy = tokens.select(weight=(99.9, None), defined="emotional")
print(len(heavy), "are heavy; the heaviest weighs", tokens.take(heavy).weights.max())
sums = statlas.parallel_process(tokens, lambda chunk: float(chunk["weight"].sum(dtype=np.float64)))
print("mean weight", round(sum(sums) / count, 2))

# Saved to a file and mapped back: nothing is read before it is looked at.
tokens.save(place / "some.tokens")
mapped = statlas.TokenVec.open(place / "some.tokens")
print(mapped)
assert mapped[-1] == tokens[-1]
assert np.isnan(mapped.decoded("motor")).all()

# %% [markdown]
# # Files
#
# Files are stored under their SHA-256; large ones that are alike share what they have in common.

# %%
score = store.files.put(b"do re mi fa sol la ti do " * 100_000)
print(score)
with store.files.open(score.id) as file:
    file.seek(-25, 2)
    print(file.read(5))

# %% [markdown]
# # Records, and watching
#
# Records are named values that change, with compare-and-swap. Whoever watches sees what changed, in order and without a
# gap, now or after a restart.

# %%
players = store.records("players")
revision = players.put("kitchen", b"stopped", expected="absent")
noted = store.revision


def press_play() -> None:
    players.put("kitchen", b"playing", expected=revision)


threading.Thread(target=press_play).start()
for change in store.watch(after=noted):
    print(change)
    break
try:
    players.put("kitchen", b"paused", expected=revision)
except statlas.ConflictError as error:
    print("refused:", error)

# Several changes together, or none of them.
with store.batch() as batch:
    batch.put(statlas.Entity(song.to_dict() | {"id": "song-0"}))
    batch.put_record("players", "garden", b"stopped", expected="absent")

# %% [markdown]
# # Trust
#
# Every byte that is read is verified; a check reads all of them. A backup can be made while the store is in use.

# %%
print(store.check())
print(store.backup(place / "backup"))
store.close()
folder.cleanup()
