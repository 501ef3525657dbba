//! Two polls of one section of a Redfish service whose bodies are anything. The first byte says which section and what the BMC claims to expand; after it come
//! bodies, each ended by the byte 1Eh, in the order in which they are asked for. A body that begins with `!` is a failure.
//!
//! Must hold: only paths of Redfish are asked for, none too often; and the collector can read what the walk made.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_bmc::Bookmark;
use outband_bmc::redfish::memory::Memory;
use outband_bmc::redfish::walk::{Answer, Limits, Walk};
use outband_fuzz::{AT, seeds, survive_the_wire};
use outband_schemas::{Cause, Section};

fn answer(body: Option<&[u8]>) -> Answer {
    match body {
        None => Answer::Http { status: 404, body: Vec::new(), etag: None },
        Some([b'!', b't', ..]) => Answer::Failed { cause: Cause::Timeout, detail: "no answer".to_owned() },
        Some([b'!', b'u', ..]) => Answer::Failed { cause: Cause::Unreachable, detail: "refused".to_owned() },
        Some([b'!', status, body @ ..]) => {
            Answer::Http { status: 400 + u16::from(*status), body: body.to_vec(), etag: None }
        }
        Some(body) => Answer::Http { status: 200, body: body.to_vec(), etag: None },
    }
}

fuzz_target!(init: seeds::plant(seeds::redfish_walk), |data: &[u8]| {
    let Some((how, rest)) = data.split_first() else { return };
    let section = Section::OF_BMC[usize::from(how % 4)];
    let mut bodies = rest.split(|b| *b == 0x1E);
    let root = seeds::root(how / 4);
    let limits = Limits { requests: 300, ..Limits::default() };
    let (mut memory, mut bookmark): (_, Option<Bookmark>) = (Memory::default(), None);
    for _ in 0..2 {
        let mut walk = Walk::new(section, &root, &mut memory, bookmark.as_ref(), limits, AT);
        let mut asked = 0;
        while let Some(get) = walk.poll_get(&mut memory) {
            asked += 1;
            assert!(asked <= limits.requests);
            assert!(get.uri.starts_with("/redfish") || get.uri.starts_with("/rest/"), "{}", get.uri);
            walk.handle_body(&mut memory, &get, answer(bodies.next()), AT);
        }
        let outcome = walk.finish(&mut memory, AT);
        survive_the_wire(section, outcome.observations);
        bookmark = outcome.bookmark;
    }
});
