"""Entities, tokens and paths that the tests are made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import statlas

VECTORS = Path(__file__).resolve().parents[2] / "core" / "tests" / "vectors"

REALMS = ("data", "narrative", "system", "faculty", "event", "pattern", "void")
HORIZONS = ("genesis", "emergence", "peak", "decay", "crystallization")

BASELINE_ADDRESS = "2a803d2480c263b207c8fe86c5a1c40c217c8ff6dcfe5a91ff0d460d733e5188"
"""The address of what `baseline` gives, which both reference implementations agree on."""

ABSENT = "0" * 64
"""An address and a blob that nothing has."""


def baseline(**changes: Any) -> dict[str, Any]:
    """The fields of one entity of STAT7; ``coordinates`` among the changes change single coordinates."""
    fields: dict[str, Any] = {
        "profile": "stat7",
        "id": "bc-0001",
        "entity_type": "concept",
        "realm": "data",
        "coordinates": {
            "realm": "data",
            "lineage": 1,
            "adjacency": [],
            "horizon": "genesis",
            "resonance": 0.5,
            "velocity": 0.25,
            "density": 0.75,
        },
        "created_at": "2025-01-01T00:00:00.000Z",
        "state": {"value": 42},
    }
    return _changed(fields, changes)


def fractal(**changes: Any) -> dict[str, Any]:
    """The fields of one entity of FractalStat."""
    fields = baseline(profile="fractalstat")
    fields["coordinates"] = {
        "realm": "data",
        "lineage": 1,
        "adjacency": [],
        "horizon": "genesis",
        "luminosity": 70.0,
        "polarity": "LOGIC",
        "dimensionality": 2,
        "alignment": "TRUE_NEUTRAL",
    }
    return _changed(fields, changes)


def _changed(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    coordinates = {**fields["coordinates"], **changes.pop("coordinates", {})}
    return {**fields, **changes, "coordinates": coordinates}


def numbered(number: int) -> dict[str, Any]:
    """The fields of one of many entities: every fourth of FractalStat, each naming the one before as its neighbour."""
    changes: dict[str, Any] = {
        "id": f"e-{number:06}",
        "realm": REALMS[number % 3],
        "created_at": f"2025-01-{1 + number % 28:02}T12:00:00.{number % 1000:03}Z",
        "state": {"number": number},
    }
    coordinates: dict[str, Any] = {
        "realm": REALMS[number % len(REALMS)],
        "lineage": number % 10,
        "adjacency": [f"e-{number - 1:06}"] if number else [],
        "horizon": HORIZONS[number % len(HORIZONS)],
    }
    if number % 4 == 3:
        return fractal(**changes, coordinates={**coordinates, "luminosity": number % 101, "dimensionality": number % 5})
    own = {"resonance": (number % 21 - 10) / 10, "velocity": (number % 9 - 4) / 4, "density": (number % 11) / 10}
    return baseline(**changes, coordinates={**coordinates, **own})


def many(count: int, start: int = 0) -> Iterator[statlas.Entity]:
    """Entities with the fields of `numbered`."""
    return (statlas.Entity(numbered(number)) for number in range(start, start + count))


def random_coordinates(count: int, seed: int, undefined: float = 0.2) -> npt.NDArray[np.int16]:
    """Raw coordinates, so large a part of the axes not defined, and a part of the spaces, too."""
    generator = np.random.default_rng(seed)
    raws = generator.integers(-2000, 2000, (count, 8, 3), dtype=np.int16)
    raws[generator.random((count, 8, 3)) < undefined / 2] = -32768
    raws[generator.random((count, 8)) < undefined / 2] = -32768
    return raws


def random_tokens(count: int, seed: int = 1, undefined: float = 0.2) -> statlas.TokenVec:
    """Tokens that differ in every field."""
    generator = np.random.default_rng(seed)
    return statlas.create_tokens_batch(
        count,
        local_ids=generator.permutation(count).astype(np.uint32),
        entity_type=generator.integers(0, 16, count, dtype=np.uint8),
        domain=generator.integers(0, 16, count, dtype=np.uint8),
        flags=generator.integers(0, 256, count, dtype=np.uint16),
        weight=generator.random(count, dtype=np.float32) * 100,
        field_radius=generator.integers(0, 256, count) / 100,
        field_strength=generator.integers(0, 256, count) / 255,
        timestamp=generator.integers(0, 2**32, count, dtype=np.uint32),
        coordinates=random_coordinates(count, seed, undefined),
    )
