"""Tables for others: Arrow's protocol, and what pandas and Polars make of it."""

from __future__ import annotations

import json
from datetime import timezone
from typing import Any

import numpy as np
import pytest
import statlas
from samples import baseline, fractal, many, numbered, random_tokens

pa = pytest.importorskip("pyarrow")

FOUND_TYPES = {
    "address": "string",
    "id": "string",
    "profile": "string",
    "entity_type": "string",
    "realm": "string",
    "coordinate_realm": "string",
    "lineage": "uint32",
    "horizon": "string",
    "resonance": "double",
    "velocity": "double",
    "density": "double",
    "luminosity": "double",
    "polarity": "string",
    "dimensionality": "uint32",
    "alignment": "string",
    "created_at": "timestamp[ms, tz=UTC]",
    "state": "string",
    "adjacency": "list<item: string>",
    "blob": "string",
    "token": "fixed_size_binary[64]",
}

TOKEN_TYPES = {
    "local_id": "uint32",
    "entity_type": "uint8",
    "domain": "uint8",
    "flags": "uint16",
    "weight": "float",
    "field_radius": "double",
    "field_strength": "double",
    "timestamp": "timestamp[s, tz=UTC]",
}


def table(exporter: object) -> Any:
    """Whatever can be read as a stream, as a table that Arrow has checked."""
    with pa.RecordBatchReader.from_stream(exporter) as reader:
        read = reader.read_all()
    read.validate(full=True)
    return read


class TestFound:
    def test_is_a_table_of_the_default_columns(self, hundred: statlas.Store) -> None:
        read = table(hundred.find())
        assert read.num_rows == 100
        types = {field.name: str(field.type).replace("large_string", "string") for field in read.schema}
        signed = {"int64": "uint32", "int32": "uint32"}
        assert {name: signed.get(kind, kind) for name, kind in types.items()} == FOUND_TYPES

    def test_holds_what_the_entities_hold(self, hundred: statlas.Store) -> None:
        for row, entity in zip(table(hundred.find()).to_pylist(), many(100), strict=True):
            assert row["address"] == entity.address
            for name in ("id", "profile", "entity_type", "realm"):
                assert row[name] == getattr(entity, name)
            assert row["coordinate_realm"] == entity.coordinates["realm"]
            for name in FOUND_TYPES.keys() & entity.coordinates.keys() - {"realm", "adjacency"}:
                assert row[name] == entity.coordinates[name]
            for name in {"resonance", "luminosity", "polarity", "dimensionality"} - entity.coordinates.keys():
                assert row[name] is None
            assert row["created_at"].replace(tzinfo=timezone.utc) == entity.created_at
            assert json.loads(row["state"]) == entity.state
            assert row["adjacency"] == entity.coordinates["adjacency"]
            assert (row["blob"], row["token"]) == (None, None)

    def test_of_nothing_has_the_same_columns(self, store: statlas.Store) -> None:
        read = table(store.find())
        assert (read.num_rows, read.column_names) == (0, list(FOUND_TYPES))

    def test_comes_in_pieces_and_in_the_order_asked_for(self, store: statlas.Store) -> None:
        store.put_many(many(20_000))
        read = table(store.find(descending=True, limit=15_000))
        assert read.column("id").to_pylist() == [f"e-{number:06}" for number in reversed(range(5000, 20_000))]

    def test_is_asked_anew_each_time(self, store: statlas.Store) -> None:
        found = store.find()
        assert table(found).num_rows == 0
        store.put_many(many(3))
        assert table(found).num_rows == 3

    def test_may_be_read_when_its_name_is_gone(self, hundred: statlas.Store) -> None:
        reader = pa.RecordBatchReader.from_stream(hundred.find())
        assert reader.read_all().num_rows == 100

    def test_is_an_error_when_the_store_is_closed_meanwhile(self, store: statlas.Store) -> None:
        store.put_many(many(20_000))
        found = store.find()
        store.close()
        with pytest.raises(Exception, match="closed"):
            table(found)

    def test_that_is_not_read_to_its_end_is_let_go_of(self, store: statlas.Store) -> None:
        store.put_many(many(20_000))
        reader = pa.RecordBatchReader.from_stream(store.find())
        next(reader)
        del reader
        capsule = store.find().__arrow_c_stream__()
        assert type(capsule).__name__ == "PyCapsule"
        del capsule


class TestTokens:
    def test_are_a_table_of_their_fields(self) -> None:
        tokens = random_tokens(1000)
        read = table(tokens)
        types = {field.name: str(field.type) for field in read.schema}
        coordinates = types.pop("coordinates")
        assert types == TOKEN_TYPES
        assert coordinates.startswith("fixed_size_list<")
        assert coordinates.endswith("[8]")
        assert "int16" in coordinates
        assert "[3]" in coordinates
        rows = read.to_pylist()
        for row, token in zip(rows, tokens, strict=True):
            for name in ("local_id", "domain", "weight", "field_radius", "field_strength"):
                assert row[name] == getattr(token, name)
            assert statlas.TOKEN_TYPES[row["entity_type"]] == token.entity_type
            assert row["flags"] & 0xF0FF == token.flags
            assert row["timestamp"].timestamp() == token.timestamp
        raws = tokens.coordinates
        expected = raws.astype(object)
        expected[raws == -32768] = None
        assert [row["coordinates"] for row in rows] == expected.tolist()

    def test_that_are_none_are_an_empty_table(self) -> None:
        read = table(statlas.TokenVec())
        assert read.num_rows == 0
        assert set(read.column_names) == {*TOKEN_TYPES, "coordinates"}

    def test_are_many(self) -> None:
        tokens = random_tokens(200_000)
        read = table(tokens)
        assert read.column("local_id").to_numpy().tolist() == tokens.local_ids.tolist()

    def test_may_grow_when_they_are_exported(self) -> None:
        tokens = random_tokens(10)
        read = table(tokens)
        tokens.append(statlas.Token())
        assert (read.num_rows, len(tokens)) == (10, 11)

    def test_may_be_mapped(self, tmp_path: Any) -> None:
        random_tokens(10).save(tmp_path / "tokens")
        assert table(statlas.TokenVec.open(tmp_path / "tokens")) == table(random_tokens(10))


class TestSchema:
    @pytest.mark.parametrize("make", [lambda: random_tokens(3), lambda: statlas.Store.open("memory:").find()])
    def test_that_is_requested_is_no_more_than_a_wish(self, make: Any) -> None:
        exporter = make()
        own = pa.RecordBatchReader.from_stream(exporter).schema
        read = pa.RecordBatchReader.from_stream(exporter, schema=own).read_all()
        assert read.schema == own


class TestOthers:
    def test_arrow_takes_both_as_tables(self, hundred: statlas.Store) -> None:
        assert pa.table(hundred.find()).num_rows == 100
        assert pa.table(random_tokens(10)).num_rows == 10

    def test_pandas_takes_both_as_frames(self, hundred: statlas.Store) -> None:
        pd = pytest.importorskip("pandas")
        frame = table(hundred.find(lineage=3)).to_pandas()
        assert frame["id"].tolist() == [f"e-{number:06}" for number in range(3, 100, 10)]
        assert str(frame["created_at"].dtype) == "datetime64[ms, UTC]"
        assert len(table(random_tokens(10)).to_pandas()) == 10
        if hasattr(pd.DataFrame, "from_arrow"):
            assert pd.DataFrame.from_arrow(hundred.find(lineage=3))["id"].tolist() == frame["id"].tolist()
            assert len(pd.DataFrame.from_arrow(random_tokens(10))) == 10

    def test_pandas_takes_arrays_as_columns(self, hundred: statlas.Store) -> None:
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame(hundred.find().arrays())
        assert frame["density"].isna().sum() == 25
        assert frame.groupby("coordinate_realm")["lineage"].count().sum() == 100

    def test_polars_takes_both_as_frames(self, hundred: statlas.Store) -> None:
        pl = pytest.importorskip("polars")
        frame = pl.DataFrame(hundred.find())
        assert frame.shape == (100, len(FOUND_TYPES))
        assert frame["density"].null_count() == 25
        assert frame["created_at"].dtype == pl.Datetime("ms", "UTC")
        assert frame.filter(pl.col("lineage") == 3)["id"].to_list() == [f"e-{number:06}" for number in range(3, 100, 10)]
        tokens = random_tokens(10)
        assert pl.DataFrame(tokens)["local_id"].to_list() == tokens.local_ids.tolist()

    def test_polars_has_the_coordinates_of_tokens(self) -> None:
        pl = pytest.importorskip("polars")
        tokens = random_tokens(10, undefined=0)
        assert pl.DataFrame(tokens)["coordinates"].to_list() == tokens.coordinates.tolist()


def test_tokens_and_files_of_entities_stand_in_the_table(store: statlas.Store) -> None:
    token = statlas.Token(local_id=5, weight=1.5)
    store.put(baseline(token=token, blob="ab" * 32, coordinates={"adjacency": ["b", "a"]}))
    (row,) = table(store.find()).to_pylist()
    assert (row["token"], row["blob"], sorted(row["adjacency"])) == (bytes(token), "ab" * 32, ["a", "b"])


def test_entities_of_both_profiles_stand_in_one_table(store: statlas.Store) -> None:
    store.put(baseline())
    store.put(fractal(id="f"))
    store.put(numbered(1))
    rows = table(store.find()).to_pylist()
    assert [(row["density"], row["luminosity"]) for row in rows] == [(0.75, None), (None, 70.0), (0.1, None)]
