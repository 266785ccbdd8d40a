"""Measures what the Python package promises, beside NumPy and beside Rust, and prints all that is needed to repeat it.

`cargo xtask bench-python` runs it with a release build of the package. Ways that are compared take turns in one run, and
medians are compared. Nothing fails because it is slow: a target that is missed is printed as missed. With `--smoke` it
is small and shows only that it works; with `--rust` it runs `cargo xtask bench` in between for what is compared with
Rust, and takes its entities from `statlas generate`.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import statlas
from report import ROOT, Report, Target, environment, load_average, program

# The rows of `cargo xtask bench` that others are compared with: section and name.
RUST_CREATE_FRESH = ("tokens", "create into fresh memory")
RUST_CREATE_REUSED = ("tokens", "create into reused memory")
RUST_CREATE_ARRAYS = ("tokens", "the same with 24 axes and a weight each")
RUST_PUT = ("embedded", "put, entities in memory")
RUST_GET = ("embedded", "get, mean")


@dataclass(frozen=True)
class Sizes:
    """How much is measured, and how often."""

    tokens: int = 1_000_000
    views: tuple[int, ...] = (1_000, 1_000_000, 10_000_000)
    mapped: int = 10_000_000
    entities: int = 1_000_000
    repetitions: int = 11
    calls: int = 10_000
    rounds: int = 3


SMOKE = Sizes(tokens=10_000, views=(1_000, 10_000), mapped=10_000, entities=1_000, repetitions=2, calls=10, rounds=1)


@dataclass
class Bench:
    """What every section is given."""

    sizes: Sizes
    seed: int
    folder: Path
    report: Report
    has_rust: bool
    is_smoke: bool

    def rust(self, *wanted: tuple[str, str]) -> list[float | None]:
        """The medians of rows of Rust's benchmark, measured now."""
        if not self.has_rust:
            return [None] * len(wanted)
        raw = self.folder / "rust.json"
        sections = sorted({section for section, _ in wanted})
        command = ["cargo", "xtask", "bench", *sections, "--json", str(raw), "--dir", str(self.folder / "rust")]
        command += ["--seed", str(self.seed), *(["--smoke"] if self.is_smoke else [])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"  `{' '.join(command)}` failed, so that nothing is compared with Rust:\n{done.stderr}", file=sys.stderr)
            return [None] * len(wanted)
        rows = json.loads(raw.read_text(encoding="utf-8"))["rows"]
        return [
            next((row["median"] for row in rows if row["section"] == section and row["name"] == name), None)
            for section, name in wanted
        ]


def seconds(work: Callable[[], object]) -> float:
    """How long it takes; what it returns is let go of afterwards."""
    started = time.perf_counter()
    kept = work()
    taken = time.perf_counter() - started
    del kept
    return taken


def in_turns(repetitions: int, **ways: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of several ways, which take turns; the first turn of each is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repetitions + 1):
        for name, work in ways.items():
            gc.collect()
            one = seconds(work)
            if turn > 0:
                taken[name].append(one)
    return taken


def ratios(values: list[float], others: list[float]) -> list[float]:
    return [one / other for one, other in zip(values, others, strict=True)]


def ms(values: list[float]) -> list[float]:
    return [1e3 * value for value in values]


def random_tokens(count: int, seed: int) -> statlas.TokenVec:
    """Tokens with all axes of all spaces defined."""
    generator = np.random.default_rng(seed)
    raws = generator.integers(-32767, 32768, (count, 8, 3), dtype=np.int16)
    return statlas.create_tokens_batch(count, local_ids=np.arange(count, dtype=np.uint32) & 0xFFFFFF, coordinates=raws)


def create(bench: Bench) -> None:
    """Tokens made in one call."""
    count, report = bench.sizes.tokens, bench.report
    generator = np.random.default_rng(bench.seed)
    weights = generator.random(count, dtype=np.float32)
    raws = generator.integers(-32767, 32768, (count, 8, 3), dtype=np.int16)
    again = statlas.TokenVec(count)
    kept = []

    def fresh() -> None:
        # Whoever keeps what was made gets new memory from the system for the next.
        kept.append(statlas.create_tokens_batch(count, entity_type="object", weight=1.0))

    def reused() -> None:
        again.clear()
        again.create(count, entity_type="object", weight=1.0)

    def arrays() -> None:
        again.clear()
        again.create(count, entity_type="object", weight=weights, coordinates=raws)

    def numpy_arrays() -> Any:
        array = np.empty(count, statlas.TOKEN_DTYPE)
        array["coordinates"], array["weight"], array["id"] = raws, weights, np.arange(count, dtype=np.uint32)
        for name in ("flags", "field_radius", "field_strength", "timestamp"):
            array[name] = 0
        return array

    rounds: dict[str, list[float]] = {}
    rust: dict[str, list[float]] = {"fresh": [], "reused": [], "arrays": []}
    repetitions = min(5, bench.sizes.repetitions)
    for _ in range(bench.sizes.rounds):
        figures = bench.rust(RUST_CREATE_FRESH, RUST_CREATE_REUSED, RUST_CREATE_ARRAYS)
        taken = in_turns(
            repetitions,
            fresh=fresh,
            reused=reused,
            arrays=arrays,
            numpy_bytes=lambda: np.full(8 * count, 1, np.uint64),
            numpy_arrays=numpy_arrays,
        )
        for name, values in taken.items():
            rounds.setdefault(name, []).append(float(np.median(values)))
        for name, milliseconds in zip(rust, figures, strict=True):
            if milliseconds is not None:
                rust[name].append(milliseconds / 1e3)
    arrays()
    assert (again.coordinates == raws).all()
    assert (again.weights == weights).all()
    assert (kept[-1].local_ids == np.arange(count)).all()
    report.note("create", f"{count:,} tokens; {bench.sizes.rounds} rounds of {repetitions} turns, the median of each; all by one thread")
    words = {"fresh": "fresh memory", "reused": "reused memory", "arrays": "reused memory, 24 axes and a weight each"}
    for name, what in words.items():
        report.row("create", f"create, {what}", "ms", ms(rounds[name]))
    report.row("create", "NumPy, the same bytes filled with a number", "ms", ms(rounds["numpy_bytes"]))
    report.row("create", "NumPy, a structured array filled from the same arrays", "ms", ms(rounds["numpy_arrays"]))
    for name, what in words.items():
        found = rust[name]
        report.row("create", f"Rust, {what}", "ms", ms(found))
        values = ratios(rounds[name], found) if len(found) == bench.sizes.rounds else []
        report.row("create", f"to Rust, {what}", "times", values, Target(1.3))


def views(bench: Bench) -> None:
    """Arrays over the memory of tokens."""
    calls, report = bench.sizes.calls, bench.report

    def each(work: Callable[[], object]) -> Callable[[], None]:
        def repeat() -> None:
            for _ in itertools.repeat(None, calls):
                work()

        return repeat

    for count in bench.sizes.views:
        tokens = statlas.create_tokens_batch(count, local_ids=np.zeros(count, np.uint32))
        array = tokens.array()
        taken = in_turns(
            bench.sizes.repetitions,
            coordinates=each(lambda: tokens.coordinates),
            weights=each(lambda: tokens.weights),
            array=each(lambda: tokens.array()),
            numpy=each(lambda: array["coordinates"]),
        )
        us = {name: [1e6 * value / calls for value in values] for name, values in taken.items()}
        for name in ("coordinates", "weights", "array"):
            report.row("views", f"{name} of {count:,} tokens", "us", us[name], Target(2.0))
        report.row("views", f"NumPy, a field of a structured array of {count:,}", "us", us["numpy"])


def mapping(bench: Bench) -> None:
    """Files of tokens, saved and mapped back."""
    count, report = bench.sizes.mapped, bench.report
    path, raw = bench.folder / "tokens", bench.folder / "raw"
    tokens = random_tokens(count, bench.seed)
    saved = [seconds(lambda: tokens.save(path)) for _ in range(min(3, bench.sizes.repetitions))]
    tokens.array().tofile(raw)
    last = tokens[-1]
    del tokens
    taken = in_turns(
        bench.sizes.repetitions,
        opened=lambda: statlas.TokenVec.open(path),
        numpy=lambda: np.memmap(raw, statlas.TOKEN_DTYPE, "r"),
    )
    checked = [seconds(lambda: statlas.TokenVec.open(path).check()) for _ in range(min(3, bench.sizes.repetitions))]
    assert statlas.TokenVec.open(path)[-1] == last
    report.note("map", f"{count:,} tokens, {count * 64 / 1e6:,.0f} MB")
    report.row("map", "TokenVec.open", "ms", ms(taken["opened"]), Target(5.0))
    report.row("map", "NumPy, memmap without a check of anything", "ms", ms(taken["numpy"]))
    report.row("map", "save, synced", "MB/s", [count * 64 / 1e6 / value for value in saved])
    report.row("map", "check of all checksums and rules", "MB/s", [count * 64 / 1e6 / value for value in checked])
    path.unlink()
    raw.unlink()


def nearest(bench: Bench) -> None:
    """The nearest tokens, by looking at all."""
    count, report = bench.sizes.tokens, bench.report
    tokens = random_tokens(count, bench.seed)
    query = tokens[count // 2]
    words = np.frombuffer(tokens.array().data, np.uint64)
    motor = tokens.coordinates[:, 2]
    own = motor[count // 2].astype(np.float64)

    def numpy_one_space() -> Any:
        apart = ((motor.astype(np.float64) - own) ** 2).sum(axis=1)
        return np.argpartition(apart, 10)[:10]

    taken = in_turns(
        bench.sizes.repetitions,
        every=lambda: tokens.nearest(query, 10),
        one=lambda: tokens.nearest(query, 10, spaces="motor"),
        parallel=lambda: tokens.nearest(query, 10, parallel=True),
        cosine=lambda: tokens.nearest(query, 10, metric="cosine"),
        sum=lambda: words.sum(),
        bits=lambda: np.bitwise_or.reduce(words),
        largest=lambda: words.max(),
        numpy=numpy_one_space,
    )
    assert set(tokens.nearest(query, 10, spaces="motor")[0].tolist()) == set(numpy_one_space().tolist())
    # Whichever way NumPy reads fastest.
    reading = min((taken[name] for name in ("sum", "bits", "largest")), key=lambda values: float(np.median(values)))
    report.note("nearest", f"k = 10 of {count:,} tokens, one thread unless said; reading is NumPy's fastest reduction of the same bytes")
    report.row("nearest", "all spaces", "ms", ms(taken["every"]), Target(15.0))
    report.row("nearest", "all spaces, cosine", "ms", ms(taken["cosine"]))
    report.row("nearest", "all spaces, all cores", "ms", ms(taken["parallel"]))
    report.row("nearest", "one space", "ms", ms(taken["one"]))
    report.row("nearest", "reading all bytes", "ms", ms(reading))
    report.row("nearest", "one space, to reading all bytes", "times", ratios(taken["one"], reading), Target(2.0))
    report.row("nearest", "NumPy, one space", "ms", ms(taken["numpy"]))


def iterate(bench: Bench) -> None:
    """Tokens one by one."""
    count, report = bench.sizes.tokens, bench.report
    tokens = random_tokens(count, bench.seed)
    array = tokens.array()

    def exhaust(iterable: Any) -> None:
        for _ in iterable:
            pass

    taken = in_turns(min(5, bench.sizes.repetitions), tokens=lambda: exhaust(tokens), numpy=lambda: exhaust(array))
    report.row("iterate", f"{count:,} tokens", "s", taken["tokens"], Target(0.15))
    report.row("iterate", f"NumPy, a structured array of {count:,}", "s", taken["numpy"])


def entity_lines(bench: Bench) -> list[bytes]:
    """Entities as lines of JSON: those of the Rust benchmarks if they are there."""
    if not bench.has_rust:
        return [json.dumps(_entity(number)).encode() for number in range(bench.sizes.entities)]
    command = ["cargo", "run", "--quiet", "--release", "--", "generate", "--count", str(bench.sizes.entities)]
    done = subprocess.run([*command, "--seed", str(bench.seed)], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.splitlines()


def _entity(number: int) -> dict[str, Any]:
    coordinates = {
        "realm": "data",
        "lineage": number % 1000,
        "adjacency": [f"e-{number // 2}"] if number else [],
        "horizon": "peak",
        "resonance": (number % 201 - 100) / 100,
        "velocity": 0.25,
        "density": (number % 101) / 100,
    }
    time = f"2025-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z"
    head = {"profile": "stat7", "id": f"e-{number}", "entity_type": "concept", "realm": "data"}
    return {**head, "coordinates": coordinates, "created_at": time, "state": {"number": number, "text": "x" * 50}}


def entities(bench: Bench) -> None:
    """Entities into a store and out again."""
    report = bench.report
    lines = entity_lines(bench)
    made = [statlas.Entity.from_json(line) for line in lines]
    dicts = [json.loads(line) for line in lines[: len(lines) // 10]]
    count = len(made)
    order = np.random.default_rng(bench.seed).permutation(count)
    hexadecimal = [made[at].address for at in order]
    binary = [bytes.fromhex(address) for address in hexadecimal]
    put, put_dicts, get, get_hex, get_many, read = ([] for _ in range(6))
    rust_put: list[float] = []
    rust_get: list[float] = []
    for number in range(bench.sizes.rounds):
        rust = bench.rust(RUST_PUT, RUST_GET)
        if rust[0] is not None and rust[1] is not None:
            rust_put.append(rust[0])
            rust_get.append(rust[1])
        path = bench.folder / f"store-{number}"
        with statlas.Store.open(path) as store:
            put.append(count / seconds(lambda: store.put_many(made)))
            for turn in range(2):
                taken = [1e9 * seconds(lambda: _get_all(store, some)) / count for some in (binary, hexadecimal)]
                if turn > 0:
                    get.append(taken[0])
                    get_hex.append(taken[1])
            get_many.append(1e9 * seconds(lambda: _get_many(store, binary)) / count)
            read.append(1e9 * seconds(lambda: [store.get(address).state for address in binary[:10_000]]) / len(binary[:10_000]))  # type: ignore[union-attr]
            assert store.get_many(binary[:100]) == [made[at] for at in order[:100]]
            assert len(store) == count
        shutil.rmtree(path)
        with statlas.Store.open(path) as store:
            put_dicts.append(len(dicts) / seconds(lambda: store.put_many(dicts)))
        shutil.rmtree(path)
    whose = "`statlas generate`" if bench.has_rust else "this program"
    report.note("entities", f"{count:,} entities of {whose}; batches of 10,000; get each once in shuffled order, second pass")
    report.row("entities", "put_many, entities in memory", "entities/s", put)
    report.row("entities", "Rust, the same", "entities/s", rust_put)
    complete = len(rust_put) == bench.sizes.rounds
    report.row("entities", "put_many, to Rust", "times", ratios(put, rust_put) if complete else [], Target(0.5, "least"))
    report.row("entities", f"put_many, {len(dicts):,} dictionaries", "entities/s", put_dicts)
    report.row("entities", "get, address as bytes", "ns", get)
    report.row("entities", "get, address as text", "ns", get_hex)
    report.row("entities", "get_many, 1,000 at a time", "ns", get_many)
    report.row("entities", "get, and its state", "ns", read)
    report.row("entities", "Rust, get", "ns", rust_get)
    above = [own - other for own, other in zip(get, rust_get, strict=True)] if complete else []
    report.row("entities", "get, address as bytes, above Rust", "ns", above, Target(1000.0))


def _get_all(store: statlas.Store, addresses: list[Any]) -> None:
    get = store.get
    for address in addresses:
        get(address)


def _get_many(store: statlas.Store, addresses: list[bytes]) -> None:
    for start in range(0, len(addresses), 1000):
        store.get_many(addresses[start : start + 1000])


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "create": create,
    "views": views,
    "map": mapping,
    "nearest": nearest,
    "iterate": iterate,
    "entities": entities,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures what the Python package promises.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"only these: {', '.join(SECTIONS)}")
    parser.add_argument("--smoke", action="store_true", help="small sizes: shows that it works, measures nothing")
    parser.add_argument("--rust", action="store_true", help="run `cargo xtask bench` in between, to compare with it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw data to FILE")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where temporary data go, and are removed")
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="the seed of the data")
    parsed = parser.parse_args()
    unknown = set(parsed.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"sections: found {', '.join(sorted(unknown))}; allowed: {', '.join(SECTIONS)}")
    return parsed


def temporary(parent: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="statlas-bench-", dir=parent) as folder:
        yield Path(folder)


def main() -> None:
    asked = arguments()
    sizes = SMOKE if asked.smoke else Sizes()
    for folder in temporary(asked.dir):
        facts = environment(program(), f"{'smoke' if asked.smoke else 'full'}: {sizes}", asked.seed, folder)
        bench = Bench(sizes, asked.seed, folder, Report(not asked.smoke, facts), asked.rust, asked.smoke)
        bench.report.print_environment()
        for name, section in SECTIONS.items():
            if not asked.sections or name in asked.sections:
                print(f"\n{name}: {section.__doc__}")
                section(bench)
                bench.report.print_new()
        bench.report.environment["load after"] = load_average()
        print(f"\nload after   {load_average()}")
        print(bench.report.summary())
        if asked.json:
            bench.report.write_json(asked.json)


if __name__ == "__main__":
    main()
