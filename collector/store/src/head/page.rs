//! Points of up to 64 series of one window, in the order in which they came: what waits in memory to be sealed. Pure.
//!
//! Sensors that are read together come together: each time the same ones, the same milliseconds apart, few of them with another value than before. So points are
//! held by the poll, and a group of series that came together is a shape, which the next poll need not tell again.
//!
//! A record (integers are LEB128 varints, signed ones zigzag) is a head byte and what its bits say that follows:
//!
//! | bits | is |
//! |---|---|
//! | 0 to 2 | the number of the shape |
//! | 3 | the series of the shape, a bit each in 8 bytes: it begins anew |
//! | 4 | how much longer it is since the record of this shape before than it was then |
//! | 5 | how long after the one before each point but the first was read |
//! | 6 | by how much more the points waited until they came than those of the record before |
//! | 7 | a bit for each point, whether it has another value or quality than the one before; then a code for each that has ([`record`]) |

use super::record::{self, Code, Reader, Told};
use super::{Arrival, Newest, UNKNOWN, place};
use crate::chunk::bits::{put_varint, zigzag};
use crate::chunk::{Point, tagged};
use outband_schemas::{State, Timestamp, Value};

pub(super) const SHAPE: u8 = 0b111;
pub(super) const BEGINS: u8 = 1 << 3;
pub(super) const STEP: u8 = 1 << 4;
pub(super) const OFFSETS: u8 = 1 << 5;
pub(super) const LAG: u8 = 1 << 6;
pub(super) const CHANGED: u8 = 1 << 7;

/// So many groups of series are known at once; another one takes the place of the one that began first.
pub(super) const MOST_SHAPES: usize = 8;
/// Among so many words that came last one is looked for.
const RECENT_WORDS: usize = 16;
/// The bytes grow by a sixteenth of what there is, at least so many: what is not used is memory, too.
const GROWS: usize = 160;

/// A value that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Last {
    #[default]
    Nothing,
    /// The bits of a number.
    Number(u64),
    /// The place of a word.
    Word(u32),
}

/// What is known of one series.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    value: u64,
    other: u64,
    /// The latest time of a point, in milliseconds since the start of the window.
    at: u32,
    quality: u16,
    /// Bits 0 and 1: what `value` is; bits 2 and 3: what `other` is.
    kinds: u8,
    /// Where it stands when the point of the latest time came; [`NONE`]: there is no point.
    receipt: u8,
}

/// No receipt: nothing came.
const NONE: u8 = u8::MAX;
/// Bit 4 of the kinds: what came last is not what has the latest time.
const OVERTAKEN: u8 = 1 << 4;

impl Slot {
    const EMPTY: Self = Self { value: 0, other: 0, at: 0, quality: 0, kinds: 0, receipt: NONE };

    fn is_there(&self) -> bool {
        self.receipt != NONE
    }

    fn value(&self) -> Last {
        unpacked(self.kinds & 0b11, self.value)
    }

    fn other(&self) -> Last {
        unpacked(self.kinds >> 2 & 0b11, self.other)
    }

    /// Another value is the last one.
    fn put(&mut self, value: Last) {
        let (kind, bits) = match value {
            Last::Nothing => (0, 0),
            Last::Number(bits) => (1, bits),
            Last::Word(at) => (2, u64::from(at)),
        };
        self.other = self.value;
        self.value = bits;
        self.kinds = self.kinds & OVERTAKEN | (self.kinds & 0b11) << 2 | kind;
    }
}

fn unpacked(kind: u8, bits: u64) -> Last {
    match kind {
        1 => Last::Number(bits),
        2 => Last::Word(u32::try_from(bits).unwrap_or_default()),
        _ => Last::Nothing,
    }
}

/// Series that come together.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// A bit for each.
    series: u64,
    /// When the first of them was read last, in milliseconds since the start of the window, and how long that was after the time before.
    at: u32,
    step: i32,
    /// Where the distances between them stand.
    offsets: (u32, u32),
}

/// The points of one window of the series of one page.
#[derive(Debug, Default)]
pub(super) struct Page {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    shapes: Vec<Shape>,
    words: Vec<(u8, Box<str>)>,
    /// When points came that are the newest of a series.
    received: Vec<i64>,
    words_len: usize,
    points: u32,
    next_shape: u8,
    /// How long the last ones waited until they came.
    lag: i64,
    first_row: i64,
}

/// Room that is used again for each record.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    record: Vec<u8>,
    offsets: Vec<u8>,
    codes: Vec<u8>,
}

/// Series as bits, from the lowest.
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(at)
    })
}

/// Milliseconds since the start of a window.
fn since(start: i64, at: Timestamp) -> u32 {
    u32::try_from(at.as_millis().wrapping_sub(start)).unwrap_or_default()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl Page {
    /// Holds nothing yet; what comes stands in row `row` of the journal and those after it.
    pub(super) fn new(row: i64) -> Box<Self> {
        Box::new(Self { first_row: row, ..Self::default() })
    }

    /// The first row of the journal that is needed for it.
    pub(super) fn first_row(&self) -> i64 {
        self.first_row
    }

    /// How many points it holds.
    pub(super) fn len(&self) -> usize {
        self.points as usize
    }

    /// The bytes of memory that it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>()
            + self.bytes.capacity()
            + self.slots.capacity() * size_of::<Slot>()
            + self.shapes.capacity() * size_of::<Shape>()
            + self.words.capacity() * size_of::<(u8, Box<str>)>()
            + self.words_len
            + self.received.capacity() * size_of::<i64>()
    }

    /// Whether it holds a point of the series at this place.
    pub(super) fn has(&self, at: usize) -> bool {
        self.slots.get(at).is_some_and(Slot::is_there)
    }

    /// The places of the series that it holds points of.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.is_there()).map(|(at, _)| at)
    }

    /// Adds points of its window, which began at `start`, and of its series.
    pub(super) fn add(&mut self, start: i64, row: i64, arrivals: &[Arrival], scratch: &mut Scratch) {
        self.first_row = self.first_row.min(row);
        let goes_on =
            |a: &Arrival, b: &Arrival| place(a.series).1 < place(b.series).1 && a.received_at == b.received_at;
        for together in arrivals.chunk_by(goes_on) {
            self.record(start, together, scratch);
        }
    }

    /// Adds points of different series, in the order of these, that came at the same time.
    fn record(&mut self, start: i64, together: &[Arrival], scratch: &mut Scratch) {
        let Some(first) = together.first() else { return };
        let series = together.iter().fold(0_u64, |bits, a| bits | 1 << place(a.series).1);
        let at = since(start, first.point.at);
        let lag = first.received_at.map_or(UNKNOWN, Timestamp::as_millis).wrapping_sub(first.point.at.as_millis());
        let Scratch { record, offsets, codes } = scratch;
        for room in [&mut *record, &mut *offsets, &mut *codes] {
            room.clear();
        }
        for (before, after) in together.iter().zip(together.iter().skip(1)) {
            let later = i64::from(since(start, after.point.at)) - i64::from(since(start, before.point.at));
            put_varint(offsets, zigzag(later));
        }
        record.push(0);
        let mut head = 0;
        let (number, shape) = match self.shapes.iter().position(|s| s.series == series) {
            Some(number) => (number, self.shapes.get(number).copied()),
            None => (self.begin(), None),
        };
        let mut shape = shape.unwrap_or_else(|| {
            head |= BEGINS;
            record.extend(series.to_le_bytes());
            Shape { series, at: 0, step: 0, offsets: (0, 0) }
        });
        // Both lie within one window.
        let step = (i64::from(at) - i64::from(shape.at)) as i32;
        if step != shape.step {
            head |= STEP;
            put_varint(record, zigzag(i64::from(step) - i64::from(shape.step)));
        }
        let known = self.bytes.get(shape.offsets.0 as usize..shape.offsets.1 as usize);
        if known != Some(offsets.as_slice()) {
            head |= OFFSETS;
            let from = length(&self.bytes).saturating_add(length(record));
            shape.offsets = (from, from.saturating_add(length(offsets)));
            record.extend_from_slice(offsets);
        }
        if lag != self.lag {
            head |= LAG;
            put_varint(record, zigzag(lag.wrapping_sub(self.lag)));
            self.lag = lag;
        }
        let changed = self.tell(start, together, codes);
        if changed != 0 {
            head |= CHANGED;
            record.extend(changed.to_le_bytes().iter().take(together.len().div_ceil(8)));
            record.extend_from_slice(codes);
        }
        if let Some(byte) = record.first_mut() {
            *byte = head | u8::try_from(number).unwrap_or_default();
        }
        if self.bytes.capacity() - self.bytes.len() < record.len() {
            self.bytes.reserve_exact(record.len().max(GROWS).max(self.bytes.len() / 16));
        }
        self.bytes.extend_from_slice(record);
        (shape.at, shape.step) = (at, step);
        match self.shapes.get_mut(number) {
            Some(known) => *known = shape,
            None => {
                self.shapes.reserve_exact(1);
                self.shapes.push(shape);
            }
        }
        self.points = self.points.saturating_add(u32::try_from(together.len()).unwrap_or_default());
    }

    /// The number of a shape that begins.
    fn begin(&mut self) -> usize {
        let number = usize::from(self.next_shape);
        self.next_shape = (self.next_shape + 1) % MOST_SHAPES as u8;
        number
    }

    /// Writes codes for those that have another value or quality than before; answers which, by their places among these.
    fn tell(&mut self, start: i64, together: &[Arrival], codes: &mut Vec<u8>) -> u64 {
        let most = together.last().map_or(0, |a| place(a.series).1 + 1);
        if self.slots.len() < most {
            self.slots.reserve_exact(most - self.slots.len());
            self.slots.resize(most, Slot::EMPTY);
        }
        let (mut changed, mut renewed) = (0_u64, 0_u64);
        for (n, Arrival { series, point, .. }) in together.iter().enumerate() {
            let at = place(*series).1;
            let Some(slot) = self.slots.get_mut(at) else { continue };
            let mut code = Code { quality: None, told: Told::Same };
            let quality = super::quality_code(&point.quality);
            if quality != slot.quality {
                slot.quality = quality;
                code.quality = Some(quality);
            }
            let now = match &point.value {
                None => Last::Nothing,
                Some(Value::Number(number)) => Last::Number(number.to_bits()),
                Some(word) => Last::Word(find(&mut self.words, &mut self.words_len, slot, word)),
            };
            if now != slot.value() {
                code.told = record::told(slot.value(), slot.other(), now);
                slot.put(now);
            }
            if code.quality.is_some() || code.told != Told::Same {
                changed |= 1 << n;
                record::put(codes, &code);
            }
            let since = since(start, point.at);
            if !slot.is_there() || since >= slot.at {
                slot.at = since;
                slot.kinds &= !OVERTAKEN;
                renewed |= 1 << at;
            } else {
                slot.kinds |= OVERTAKEN;
            }
        }
        let received = together.first().and_then(|a| a.received_at).map_or(UNKNOWN, Timestamp::as_millis);
        self.receive(renewed, received);
        changed
    }

    /// Notes when the newest points of these series came.
    fn receive(&mut self, renewed: u64, received: i64) {
        if renewed == 0 {
            return;
        }
        let others = self.slots.iter().enumerate().filter(|(at, slot)| slot.is_there() && renewed >> at & 1 == 0);
        // Each names one, and one is left out at least: one of the 64 is free.
        let taken = others.fold(0_u64, |taken, (_, slot)| taken | 1 << slot.receipt);
        let free = (!taken).trailing_zeros() as usize;
        if self.received.len() <= free {
            self.received.reserve_exact(free + 1 - self.received.len());
            self.received.resize(free + 1, UNKNOWN);
        }
        if let Some(place) = self.received.get_mut(free) {
            *place = received;
        }
        for at in ones(renewed) {
            if let Some(slot) = self.slots.get_mut(at) {
                slot.receipt = u8::try_from(free).unwrap_or_default();
            }
        }
    }

    /// The newest point of the series at this place: that with the latest time, of several the one that came last.
    pub(super) fn newest(&self, start: i64, at: usize) -> Option<Newest> {
        let slot = self.slots.get(at).filter(|slot| slot.is_there())?;
        let newest = |point, received: i64| Newest {
            point,
            received_at: (received != UNKNOWN).then(|| Timestamp::from_millis(received)),
        };
        if slot.kinds & OVERTAKEN == 0 {
            let received = self.received.get(usize::from(slot.receipt)).copied().unwrap_or(UNKNOWN);
            return Some(newest(self.point(start, slot.at, slot.value(), slot.quality)?, received));
        }
        let mut found: Option<(Point, i64)> = None;
        self.walk(start, Some(at), |_, point, received| {
            if found.as_ref().is_none_or(|(best, _)| best.at <= point.at) {
                found = Some((point, received));
            }
        });
        found.map(|(point, received)| newest(point, received))
    }

    fn point(&self, start: i64, since: u32, value: Last, quality: u16) -> Option<Point> {
        let value = match value {
            Last::Nothing => None,
            Last::Number(bits) => Some(Value::Number(f64::from_bits(bits))),
            Last::Word(at) => self.words.get(at as usize).map(|(tag, text)| {
                let text = text.as_ref().to_owned();
                match State::from_number(*tag) {
                    Some(state) => Value::State { state, text },
                    None => Value::Text(text),
                }
            }),
        };
        let at = Timestamp::from_millis(start.wrapping_add(i64::from(since)));
        Some(Point { at, value, quality: super::quality_of(quality)? })
    }

    /// The points of the series at this place, as they came.
    pub(super) fn of(&self, start: i64, at: usize) -> Vec<Point> {
        let mut out = Vec::new();
        if self.has(at) {
            self.walk(start, Some(at), |_, point, _| out.push(point));
        }
        out
    }

    /// The points of all series by their places, each as they came.
    pub(super) fn all(&self, start: i64) -> Vec<(usize, Vec<Point>)> {
        let places = self.places().count().max(1);
        let mut out = vec![Vec::new(); self.slots.len()];
        for list in self.places() {
            if let Some(list) = out.get_mut(list) {
                list.reserve_exact(self.len() / places + 1);
            }
        }
        self.walk(start, None, |at, point, _| {
            if let Some(list) = out.get_mut(at) {
                list.push(point);
            }
        });
        out.into_iter().enumerate().filter(|(_, points)| !points.is_empty()).collect()
    }

    /// Goes through the points, of all series or of the one at a place: its place, the point, when it came.
    fn walk(&self, start: i64, only: Option<usize>, mut each: impl FnMut(usize, Point, i64)) {
        let mut reader = Reader::new(&self.bytes, only);
        // The bytes are our own: that they end early is not possible, and loses nothing before.
        while let Some(()) = reader.record(|at, since, value, quality, lag| {
            let Some(point) = self.point(start, since, value, quality) else { return };
            // What is lag is told of the first point of a record, whose time the reader added.
            each(at, point, start.wrapping_add(lag));
        }) {}
    }

    /// The same without its first so many points.
    pub(super) fn without(&self, start: i64, page: i64, count: usize) -> Box<Self> {
        let mut left = Vec::with_capacity(self.len().saturating_sub(count));
        let mut passed = 0;
        self.walk(start, None, |at, point, received| {
            passed += 1;
            if passed > count {
                let received_at = (received != UNKNOWN).then(|| Timestamp::from_millis(received));
                left.push(Arrival { series: super::series(page, at), received_at, point });
            }
        });
        let mut out = Self::new(self.first_row);
        out.add(start, self.first_row, &left, &mut Scratch::default());
        out
    }
}

/// The place of a word, among those that came; a new one where it did not come lately.
fn find(words: &mut Vec<(u8, Box<str>)>, words_len: &mut usize, slot: &Slot, word: &Value) -> u32 {
    let Some((tag, text)) = tagged(word) else { return 0 };
    let is = |(t, w): &(u8, Box<str>)| *t == tag && **w == *text;
    for last in [slot.value(), slot.other()] {
        if let Last::Word(at) = last
            && words.get(at as usize).is_some_and(is)
        {
            return at;
        }
    }
    let skipped = words.len().saturating_sub(RECENT_WORDS);
    let found = words.iter().skip(skipped).position(is).map(|at| at + skipped);
    let at = found.unwrap_or_else(|| {
        words.reserve_exact(1);
        words.push((tag, text.into()));
        *words_len += text.len();
        words.len() - 1
    });
    u32::try_from(at).unwrap_or_default()
}
