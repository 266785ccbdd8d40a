"""What the reference implementations computed, row by row."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import statlas
from samples import VECTORS, baseline, fractal


def rows(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def test_every_entity_has_the_address_of_the_reference_or_is_refused() -> None:
    accepted = refused = 0
    for row in rows("addresses"):
        for profile in ("stat7", "fractalstat"):
            expected = row[profile]
            fields = {**row["input"], "profile": profile, "coordinates": expected["coordinates"]}
            if "reject" in expected:
                for make in (statlas.Entity, statlas.address):
                    with pytest.raises(statlas.InvalidError):
                        make(fields)
                refused += 1
                continue
            entity = statlas.Entity(fields)
            assert entity.canonical().decode("ascii") == expected["canonical"], row["name"]
            assert entity.address == statlas.address(fields) == expected["address"], row["name"]
            assert f"/{expected['adjacency8']}/" in entity.uri
            accepted += 1
    assert accepted >= 70
    assert refused >= 20


def test_entanglement_is_that_of_the_reference() -> None:
    def entity(row: dict[str, Any]) -> statlas.Entity:
        names = ("realm", "lineage", "adjacency", "horizon", "resonance", "velocity", "density")
        return statlas.Entity(baseline(coordinates={name: row["coordinates"][name] for name in names}))

    for row in rows("similarity")["entanglement"]:
        score = entity(row["a"]).similarity(entity(row["b"]))
        assert score == pytest.approx(row["stat7_v2"]["total_score"], abs=1e-8)


def test_similarity_is_that_of_the_formula() -> None:
    def entity(row: dict[str, Any]) -> statlas.Entity:
        names = ("realm", "lineage", "polarity", "dimensionality")
        own = {name: row[name] for name in names}
        return statlas.Entity(fractal(coordinates={**own, "luminosity": float(row["luminosity"])}))

    def formula(a: dict[str, Any], b: dict[str, Any], scale: float) -> float:
        apart = abs(float(a["luminosity"]) - float(b["luminosity"])) / scale
        return math.fsum(
            [
                0.35 * (1 if a["realm"] == b["realm"] else 0.6),
                0.35 * (1 if a["polarity"] == b["polarity"] else 0.7),
                0.2 * max(0.0, 1 - 0.5 * apart),
                0.1 / (1 + 0.2 * abs(a["dimensionality"] - b["dimensionality"])),
            ]
        )

    for row in rows("similarity")["similarity"]:
        a, b = row["a"], row["b"]
        assert entity(a).similarity(entity(b)) == pytest.approx(formula(a, b, 100.0), abs=1e-12)
        assert formula(a, b, 1.0) == pytest.approx(row["exp10"], abs=1e-12)


def token(row: dict[str, Any]) -> statlas.Token:
    names = ("local_id", "domain", "flags", "weight", "field_radius", "field_strength", "timestamp", "spaces")
    return statlas.Token(entity_type=statlas.TOKEN_TYPES[row["entity_type"]], **{name: row[name] for name in names})


def token_rows() -> list[dict[str, Any]]:
    return [row for row in rows("tokens") if "reject" not in row]


def test_every_token_has_the_bytes_of_the_vectors() -> None:
    assert len(token_rows()) >= 25
    for row in token_rows():
        made = token(row)
        assert bytes(made).hex() == row["hex"], row["name"]
        assert statlas.Token.from_bytes(bytes.fromhex(row["hex"])) == made
        assert statlas.Token.from_json(json.dumps(row)) == made
        for space, decoded in zip(statlas.SPACES, row["decoded"], strict=True):
            found = made.decoded(space)
            assert (list(found) if found else [None] * 3) == decoded, row["name"]


def test_tokens_that_are_made_together_have_the_same_bytes() -> None:
    expected = token_rows()

    def column(name: str) -> list[Any]:
        return [row[name] for row in expected]

    def decoded(row: dict[str, Any]) -> list[list[float]]:
        spaces = [row["spaces"].get(space) or [None] * 3 for space in statlas.SPACES]
        return [[math.nan if value is None else value for value in axes] for axes in spaces]

    scalars: dict[str, Any] = {
        "local_ids": np.array(column("local_id"), np.uint32),
        "entity_type": np.array(column("entity_type"), np.uint8),
        "domain": np.array(column("domain"), np.uint8),
        "flags": np.array(column("flags"), np.uint16),
        "weight": np.array(column("weight"), np.float32),
        "field_radius": np.array(column("field_radius")),
        "field_strength": np.array(column("field_strength")),
        "timestamp": np.array(column("timestamp"), np.uint32),
    }
    for coordinates in (
        np.array([decoded(row) for row in expected]),
        np.array(column("raw_i16"), np.int16),
    ):
        tokens = statlas.create_tokens_batch(len(expected), **scalars, coordinates=coordinates)
        assert [bytes(made).hex() for made in tokens] == column("hex")
    assert tokens.coordinates.tolist() == column("raw_i16")
    shown = np.array([[[math.nan if x is None else x for x in axes] for axes in row["decoded"]] for row in expected])
    np.testing.assert_array_equal(tokens.decoded(), shown)
