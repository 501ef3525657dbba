//! Server-sent events: the text/event-stream format of the WHATWG HTML standard (§9.2.6), from bytes that come in any pieces.
//!
//! Where the standard says to ignore, so does this; three things are added for BMCs: a cap on sizes, JSON that is broken over several lines without
//! `data:` before each, and word of whether anything at all came (comments keep a stream alive).

/// An event of a stream, as it was dispatched by its empty line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The stream's last event id when this came; what to ask for with `Last-Event-ID` after a break.
    pub id: String,
    /// The event's type; empty where the stream gives none.
    pub name: String,
    /// The data, its lines joined by line feeds. Never empty.
    pub data: String,
}

/// Reads a stream. Give it bytes by [`Parser::push`], take events by [`Parser::next_event`].
#[derive(Debug)]
pub struct Parser {
    max_event: usize,
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_cr: bool,
    first_line: bool,
    /// What is open is larger than allowed, and skipped to its end.
    oversized: bool,
    id: String,
    name: String,
    data: String,
    retry_ms: Option<u64>,
    skipped: u64,
    lines: u64,
    events: std::collections::VecDeque<Event>,
}

impl Parser {
    /// A parser at the beginning of a stream. An event of more than `max_event` bytes is skipped and counted.
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            oversized: false,
            id: String::new(),
            name: String::new(),
            data: String::new(),
            retry_ms: None,
            skipped: 0,
            lines: 0,
            events: std::collections::VecDeque::new(),
        }
    }

    /// Takes the next bytes of the stream, however they are cut.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(),
                byte if self.line.len() < self.max_event => self.line.push(*byte),
                // The line goes on, but nobody listens.
                _ => self.oversized = true,
            }
        }
    }

    /// The next event that is complete.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How long the server asks to wait before a reconnect, in milliseconds.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Events that were skipped since they were too large.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Lines that came, comments and empty ones too: while this grows, the stream lives.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    fn end_line(&mut self) {
        self.lines += 1;
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let line = match std::mem::replace(&mut self.first_line, false) {
            true => text.strip_prefix('\u{feff}').unwrap_or(&text),
            false => &text,
        };
        if line.is_empty() {
            self.dispatch();
        } else if !line.starts_with(':') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            self.field(field, value.strip_prefix(' ').unwrap_or(value), line);
        }
    }

    fn field(&mut self, field: &str, value: &str, line: &str) {
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data_line(value),
            // What an oversized event says of itself is still its id, so that it is not sent again and again.
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok().or(self.retry_ms);
            }
            // Not by the standard: JSON written over several lines, with `data:` before the first only.
            _ if self.data.starts_with('{') && line.trim_start().starts_with(['"', '{', '}', '[', ']']) => {
                self.data_line(line);
            }
            _ => {}
        }
    }

    fn data_line(&mut self, value: &str) {
        if self.data.len() + value.len() >= self.max_event {
            self.oversized = true;
        } else if !self.oversized {
            self.data.push_str(value);
            self.data.push('\n');
        }
    }

    fn dispatch(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        let name = std::mem::take(&mut self.name);
        data.pop();
        if std::mem::take(&mut self.oversized) {
            self.skipped += 1;
        } else if !data.is_empty() {
            self.events.push_back(Event { id: self.id.clone(), name, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::new(200);
        pieces.iter().for_each(|p| parser.push(p));
        std::iter::from_fn(|| parser.next_event()).collect()
    }

    fn data(bytes: &[u8]) -> Vec<String> {
        read(&[bytes]).into_iter().map(|e| e.data).collect()
    }

    fn event(id: &str, name: &str, data: &str) -> Event {
        Event { id: id.to_owned(), name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn the_standards_own_examples_are_read_as_it_says() {
        let stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let expected = [event("1", "", "first event"), event("", "", "second event"), event("", "", " third event")];
        assert_eq!(read(&[stream]), expected);
        assert_eq!(data(b"data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        assert_eq!(data(b"data\n\ndata\ndata\n\ndata:"), ["\n"]);
        assert_eq!(data(b"data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn line_ends_of_every_kind_and_a_byte_order_mark_are_no_content() {
        assert_eq!(data(b"\xef\xbb\xbfdata: a\r\ndata: b\rdata: c\n\r\ndata: d\r\r"), ["a\nb\nc", "d"]);
    }

    #[test]
    fn an_event_cut_off_by_the_streams_end_is_none() {
        assert!(data(b"id: 7\ndata: half").is_empty());
        assert!(data(b"id: 7\ndata: half\n").is_empty());
    }

    #[test]
    fn the_last_id_stays_until_another_comes() {
        let stream = b"id: 5\ndata: a\n\ndata: b\n\nid: x\0y\ndata: c\n\nevent: note\nid: 6\ndata: d\n\n";
        let expected = [event("5", "", "a"), event("5", "", "b"), event("5", "", "c"), event("6", "note", "d")];
        assert_eq!(read(&[stream]), expected);
    }

    #[test]
    fn a_retry_is_a_number_or_ignored() {
        let mut parser = Parser::new(100);
        parser.push(b"retry: 5000\nretry: soon\nretry:\nretry: 99999999999999999999999\n");
        assert_eq!(parser.retry_ms(), Some(5000));
    }

    #[test]
    fn json_over_several_lines_without_the_field_before_each_is_one_event() {
        let stream = b"id: 1\ndata: {\n\"Id\":\"14\",\n \"Events\":\n[{\"MessageId\":\"CMC9000\"}]\n}\n\n";
        let body: serde_json::Value = serde_json::from_str(&data(stream)[0]).unwrap();
        assert_eq!(body["Events"][0]["MessageId"], "CMC9000");
    }

    #[test]
    fn an_event_too_large_is_skipped_alone_and_counted() {
        let mut parser = Parser::new(50);
        let many = "data: 0123456789\n".repeat(20);
        parser
            .push(format!("data: a\n\nid: 9\n{many}\ndata: b\n\ndata: {}\n\ndata: c\n\n", "x".repeat(500)).as_bytes());
        let events: Vec<Event> = std::iter::from_fn(|| parser.next_event()).collect();
        assert_eq!(events.iter().map(|e| e.data.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((parser.skipped(), events[1].id.as_str()), (2, "9"));
    }

    #[test]
    fn comments_show_that_the_stream_lives() {
        let mut parser = Parser::new(50);
        parser.push(b": stream keep-alive\n");
        assert_eq!((parser.lines(), parser.next_event()), (1, None));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_bytes_are_cut(
            stream in proptest::collection::vec(prop_oneof![
                Just(b"data: ".to_vec()), Just(b"id: ".to_vec()), Just(b"\n".to_vec()), Just(b"\r\n".to_vec()), Just(b"\r".to_vec()),
                Just(b":".to_vec()), Just("\u{feff}".as_bytes().to_vec()), Just(b"retry: 10".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..90),
            ], 0..40),
            cuts in proptest::collection::vec(1usize..7, 1..20),
        ) {
            let stream = stream.concat();
            let whole = read(&[&stream]);
            let mut pieces = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(read(&pieces), whole);
        }

        #[test]
        fn what_is_written_by_the_standard_is_read_back(
            events in proptest::collection::vec(("[a-z0-9]{1,8}", "[a-z]{0,5}", "[ -~\u{e9}]{1,20}(\n[ -~]{0,20}){0,3}"), 0..8),
            end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        ) {
            let mut text = String::new();
            for (id, name, data) in &events {
                text.push_str(&format!("id: {id}{end}"));
                if !name.is_empty() { text.push_str(&format!("event: {name}{end}")); }
                for line in data.split('\n') { text.push_str(&format!("data: {line}{end}")); }
                text.push_str(end);
            }
            let expected: Vec<Event> = events.iter().map(|(id, name, data)| event(id, name, data)).collect();
            prop_assert_eq!(read(&[text.as_bytes()]), expected);
        }
    }
}
