//! Section `tokens`: tokens by the million, beside what the memory can do with the same bytes.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use statlas_core::{AXES, RawCoordinates, SPACES, Space, SpaceSet, Token, TokenType};
use statlas_lab::SplitMix64;
use statlas_tokens::{
    Column, Condition, Field, MappedTokens, Metric, TokenBatch, TokenCoordinates, TokenFile, TokenVec,
    nearest, save, within,
};

use crate::Bench;
use crate::report::Target;

const SECTION: &str = "tokens";
const MEGABYTE: f64 = 1e6;
/// Tokens in each of the calls that fill memory which grows.
const PART: usize = 10_000;
/// Tokens of a durable append.
const APPENDED: usize = 1_000;
/// Neighbours of a token.
const K: usize = 10;

/// Times of one thing, in ms.
type Times = Vec<f64>;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let mut random = SplitMix64::new(bench.seed ^ 0x70c3);
    let coordinates: Vec<RawCoordinates> =
        (0..bench.sizes.tokens).map(|_| random_coordinates(&mut random)).collect();
    let weights: Vec<f32> = coordinates.iter().map(|_| (random.unit() * 100.0) as f32).collect();
    let count = coordinates.len();
    bench.report.note(
        SECTION,
        format!(
            "{count} tokens of random coordinates, {} MB; one thread unless it says otherwise; what is compared \
             alternates; fresh memory is new from the system, reused memory was written before",
            (count * Token::BYTES) as f64 / MEGABYTE
        ),
    );
    create(bench, &coordinates, &weights)?;
    let mut tokens = TokenVec::with_capacity(count);
    tokens.create(count, &described(&coordinates, &weights))?;
    read(bench, &tokens, &mut random)?;
    search(bench, &tokens, &mut random)?;
    filter_and_sort(bench, &tokens)?;
    files(bench, &tokens)
}

/// No space is without values, so that every axis is compared.
fn random_coordinates(random: &mut SplitMix64) -> RawCoordinates {
    [(); SPACES].map(|()| [(); AXES].map(|()| (random.next_u64() as i16).max(-i16::MAX)))
}

fn described<'a>(coordinates: &'a [RawCoordinates], weights: &'a [f32]) -> TokenBatch<'a> {
    TokenBatch {
        coordinates: TokenCoordinates::Raw(coordinates),
        weight: Column::Each(weights),
        ..same_for_all()
    }
}

fn same_for_all<'a>() -> TokenBatch<'a> {
    TokenBatch { entity_type: Column::One(TokenType::Object), weight: Column::One(1.0), ..TokenBatch::now() }
}

/// How long something takes, in ms, and what it gives, which is not taken down before the clock has stopped.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let value = black_box(work());
    (started.elapsed().as_secs_f64() * 1e3, value)
}

fn ratios(times: &Times, bases: &Times) -> Times {
    times.iter().zip(bases).map(|(time, base)| time / base).collect()
}

fn create(bench: &mut Bench, coordinates: &[RawCoordinates], weights: &[f32]) -> Result<()> {
    let count = coordinates.len();
    let bytes = count * Token::BYTES;
    let columns = described(coordinates, weights);
    let mut reused_bytes = vec![1_u8; bytes];
    let mut reused = TokenVec::with_capacity(count);
    reused.create(count, &columns)?;
    let mut times: [Times; 10] = Default::default();
    for repetition in 0..bench.sizes.tokens_repetitions {
        let byte = repetition as u8 | 1;
        let fresh_bytes = timed(|| vec![byte; bytes]).0;
        let fresh = timed(|| created(count, false, &same_for_all()));
        check_created(&fresh.1?, count)?;
        let fresh_all_threads = timed(|| created(count, true, &same_for_all()));
        check_created(&fresh_all_threads.1?, count)?;
        let grown = timed(|| filled_in_parts(TokenVec::new(), count));
        check_created(&grown.1?, count)?;
        let reserved = timed(|| filled_in_parts(TokenVec::with_capacity(count), count));
        check_created(&reserved.1?, count)?;
        let again_bytes = timed(|| reused_bytes.fill(byte)).0;
        reused.clear();
        let again = timed(|| reused.create(count, &same_for_all()));
        again.1?;
        check_created(&reused, count)?;
        reused.clear();
        let again_all_threads = timed(|| reused.par_create(count, &same_for_all()));
        again_all_threads.1?;
        check_created(&reused, count)?;
        reused.clear();
        let with_columns = timed(|| reused.create(count, &columns));
        with_columns.1?;
        ensure!(
            reused.iter().zip(coordinates).all(|(token, raws)| token.coordinates() == *raws),
            "other axes"
        );
        reused.clear();
        let with_columns_all_threads = timed(|| reused.par_create(count, &columns));
        with_columns_all_threads.1?;
        ensure!(
            reused.iter().zip(coordinates).all(|(token, raws)| token.coordinates() == *raws),
            "other axes"
        );
        let all = [
            fresh_bytes,
            fresh.0,
            fresh_all_threads.0,
            grown.0,
            reserved.0,
            again_bytes,
            again.0,
            again_all_threads.0,
            with_columns.0,
            with_columns_all_threads.0,
        ];
        times.iter_mut().zip(all).for_each(|(times, time)| times.push(time));
    }
    let [
        fresh_bytes,
        fresh,
        fresh_all_threads,
        grown,
        reserved,
        again_bytes,
        again,
        again_all_threads,
        with_columns,
        with_columns_all_threads,
    ] = times;
    let mut row = |name: &str, unit, values, target| bench.report.row(SECTION, name, unit, values, target);
    let most = Target::AtMost(1.5);
    row("create into fresh memory, to memset", "times", ratios(&fresh, &fresh_bytes), most);
    row("create into reused memory, to memset", "times", ratios(&again, &again_bytes), most);
    row("memset of fresh memory", "ms", fresh_bytes, Target::None);
    row("create into fresh memory", "ms", fresh, Target::None);
    row("the same on all threads", "ms", fresh_all_threads, Target::None);
    row("memset of reused memory", "ms", again_bytes, Target::None);
    row("create into reused memory", "ms", again, Target::None);
    row("the same on all threads, reused", "ms", again_all_threads, Target::None);
    row("the same with 24 axes and a weight each", "ms", with_columns, Target::None);
    row("that on all threads", "ms", with_columns_all_threads, Target::None);
    row("create 10,000 a call, memory that grows", "ms", grown, Target::None);
    row("the same in memory from `with_capacity`", "ms", reserved, Target::None);
    Ok(())
}

fn created(count: usize, on_all_threads: bool, batch: &TokenBatch<'_>) -> Result<TokenVec> {
    let mut tokens = TokenVec::with_capacity(count);
    if on_all_threads {
        tokens.par_create(count, batch)?;
    } else {
        tokens.create(count, batch)?;
    }
    Ok(tokens)
}

fn filled_in_parts(mut tokens: TokenVec, count: usize) -> Result<TokenVec> {
    while tokens.len() < count {
        let first = u32::try_from(tokens.len())?;
        let batch = TokenBatch { local_ids: statlas_tokens::LocalIds::From(first), ..same_for_all() };
        tokens.create(PART.min(count - tokens.len()), &batch)?;
    }
    Ok(tokens)
}

fn check_created(tokens: &TokenVec, count: usize) -> Result<()> {
    let is_right = |(at, token): (usize, &Token)| {
        token.local_id() as usize == at && token.entity_type() == TokenType::Object && token.timestamp() > 0
    };
    ensure!(tokens.len() == count && tokens.iter().enumerate().all(is_right), "other tokens were made");
    Ok(())
}

/// Sums up all bytes, eight at a time: the least that whoever looks at all of them does.
fn sum_of(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks::<8>().0;
    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

fn read(bench: &mut Bench, tokens: &TokenVec, random: &mut SplitMix64) -> Result<()> {
    let mut shuffled: Vec<u32> = (0..u32::try_from(tokens.len())?).collect();
    random.shuffle(&mut shuffled);
    let (mut sequential, mut at_random, mut copied, mut cloned) = (vec![], vec![], vec![], vec![]);
    for _ in 0..bench.sizes.tokens_repetitions {
        let sum = |sum: u64, token: &Token| sum + u64::from(token.local_id());
        let (time, in_order) = timed(|| tokens.iter().fold(0, sum));
        sequential.push(time);
        let (time, in_disorder) = timed(|| shuffled.iter().map(|at| &tokens[*at as usize]).fold(0, sum));
        at_random.push(time);
        ensure!(in_order == in_disorder, "other tokens were read");
        copied.push(timed(|| tokens.as_bytes().to_vec()).0);
        let (time, clone) = timed(|| tokens.clone());
        cloned.push(time);
        ensure!(clone.as_bytes() == tokens.as_bytes(), "the clone is another one");
    }
    let each = 1e6 / tokens.len() as f64;
    let ns = |times: Times| times.into_iter().map(|ms| ms * each).collect();
    bench.report.row(SECTION, "clone, to copying the bytes", "times", ratios(&cloned, &copied), Target::None);
    bench.report.row(SECTION, "clone into fresh memory", "ms", cloned, Target::None);
    bench.report.row(SECTION, "a token read in order, a field of it", "ns", ns(sequential), Target::None);
    bench.report.row(SECTION, "a token read at random, a field of it", "ns", ns(at_random), Target::None);
    Ok(())
}

fn search(bench: &mut Bench, tokens: &TokenVec, random: &mut SplitMix64) -> Result<()> {
    let mut bytes_read = Times::new();
    let mut found = vec![Times::new(); 2 + SPACES];
    let (mut inside, mut inside_count) = (Times::new(), 0);
    for repetition in 0..bench.sizes.tokens_repetitions {
        let mut query = Token::EMPTY;
        query.set_coordinates(&random_coordinates(random));
        bytes_read.push(timed(|| sum_of(tokens.as_bytes())).0);
        let whole = [(SpaceSet::ALL, Metric::Euclidean), (SpaceSet::ALL, Metric::Cosine)];
        let spaces = Space::ALL.map(|space| (SpaceSet::from(space), Metric::Euclidean));
        for (times, (spaces, metric)) in found.iter_mut().zip(whole.into_iter().chain(spaces)) {
            let (time, near) = timed(|| nearest(tokens, &query, K, spaces, metric));
            times.push(time);
            if repetition == 0 {
                check_nearest(tokens, &query, spaces, metric, &near)?;
            }
        }
        // As many as a hundredth of the room holds.
        let radius = 60.0;
        let spaces = SpaceSet::from(Space::Physical);
        let (time, near) = timed(|| within(tokens, &query, radius, spaces, Metric::Euclidean));
        inside.push(time);
        inside_count += near.len();
        if repetition == 0 {
            let distances = tokens.iter().filter_map(|token| query.distance(token, spaces));
            ensure!(
                distances.filter(|distance| *distance <= radius).count() == near.len(),
                "others are within"
            );
        }
    }
    let mean = inside_count as f64 / inside.len() as f64;
    bench.report.note(SECTION, format!("nearest is k = {K}; within {mean:.0} tokens on average"));
    let mut found = found.into_iter();
    let mut next = || found.next().expect("there are as many as names");
    bench.report.row(SECTION, "nearest, all spaces", "ms", next(), Target::AtMost(15.0));
    bench.report.row(SECTION, "nearest by cosine, all spaces", "ms", next(), Target::AtMost(15.0));
    for space in Space::ALL {
        let ratios = ratios(&next(), &bytes_read);
        let name = format!("nearest, {space}, to reading the bytes");
        bench.report.row(SECTION, name, "times", ratios, Target::AtMost(2.0));
    }
    bench.report.row(SECTION, "reading the bytes", "ms", bytes_read, Target::None);
    bench.report.row(SECTION, "within a radius, physical", "ms", inside, Target::None);
    Ok(())
}

/// The nearest are those that comparing all finds.
fn check_nearest(
    tokens: &TokenVec,
    query: &Token,
    spaces: SpaceSet,
    metric: Metric,
    found: &[statlas_tokens::Near],
) -> Result<()> {
    let distance = |token: &Token| match metric {
        Metric::Euclidean => query.distance(token, spaces),
        Metric::Cosine => query.cosine(token, spaces).map(|cosine| 1.0 - cosine),
    };
    let mut all: Vec<(f64, usize)> =
        tokens.iter().enumerate().filter_map(|(at, token)| Some((distance(token)?, at))).collect();
    all.select_nth_unstable_by(K, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(K);
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let found: Vec<_> = found.iter().map(|near| (near.distance, near.index)).collect();
    ensure!(found == all, "others are nearest");
    Ok(())
}

fn filter_and_sort(bench: &mut Bench, tokens: &TokenVec) -> Result<()> {
    let field = Field::Axis(Space::Social, 1);
    let conditions = [Condition::In(field, 0.0..=0.5), Condition::In(Field::Weight, 25.0..=75.0)];
    let is_met = |token: &Token| conditions.iter().all(|condition| condition.is_met(token));
    let expected = tokens.iter().filter(|token| is_met(token)).count();
    let (mut selected, mut filtered, mut sorted) = (Times::new(), Times::new(), Times::new());
    for _ in 0..bench.sizes.tokens_repetitions {
        let (time, numbers) = timed(|| tokens.select(&conditions));
        selected.push(time);
        ensure!(numbers.len() == expected, "others were selected");
        let (time, some) = timed(|| tokens.filter(&conditions));
        filtered.push(time);
        ensure!(some.len() == expected && some.iter().all(is_met), "others were filtered out");
        let mut clone = tokens.clone();
        sorted.push(timed(|| clone.sort_by(field, false)).0);
        ensure!(
            clone.is_sorted_by_key(|token| token.coordinates()[Space::Social.index()][1]),
            "it is not sorted"
        );
    }
    bench
        .report
        .note(SECTION, format!("select and filter: two ranges, met by {expected}; on all threads, as sort"));
    bench.report.row(SECTION, "select by two fields", "ms", selected, Target::None);
    bench.report.row(SECTION, "filter by two fields", "ms", filtered, Target::None);
    bench.report.row(SECTION, "sort by an axis", "ms", sorted, Target::None);
    Ok(())
}

fn files(bench: &mut Bench, tokens: &TokenVec) -> Result<()> {
    let path = bench.directory.join("bench.tokens");
    let many: TokenVec = tokens.iter().cycle().take(bench.sizes.tokens_in_file).copied().collect();
    let bytes = (many.len() * Token::BYTES) as f64;
    let (time, done) = timed(|| save(&path, &many));
    done?;
    bench.report.row(
        SECTION,
        format!("save {} tokens, synced", many.len()),
        "MB/s",
        vec![bytes / MEGABYTE / time * 1e3],
        Target::None,
    );
    let mut mapped_times = Times::new();
    for _ in 0..bench.sizes.tokens_repetitions {
        let (time, mapped) = timed(|| MappedTokens::open(&path));
        mapped_times.push(time);
        ensure!(mapped?.last() == many.last(), "another token is the last one");
    }
    bench.report.row(SECTION, "map them", "ms", mapped_times, Target::AtMost(5.0));
    let mapped = MappedTokens::open(&path)?;
    let (time, checked) = timed(|| mapped.check());
    checked?;
    ensure!(mapped[..] == many[..], "other tokens were saved");
    let rate = vec![bytes / MEGABYTE / time * 1e3];
    bench.report.row(SECTION, "check them, file in the page cache", "MB/s", rate, Target::None);
    drop(mapped);
    let mut file = TokenFile::open(&path)?;
    let mut appended = Times::new();
    for part in tokens.chunks(APPENDED).take(4 * bench.sizes.tokens_repetitions) {
        let (time, done) = timed(|| file.append(part));
        done?;
        appended.push(time);
    }
    let mapped = file.map()?;
    ensure!(mapped[many.len()..] == tokens[..mapped.len() - many.len()], "others were appended");
    mapped.check()?;
    let name = format!("append {APPENDED} tokens, on the device");
    bench.report.row(SECTION, name, "ms", appended, Target::None);
    std::fs::remove_file(&path)?;
    Ok(())
}
