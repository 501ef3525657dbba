//! What people copy by hand: the line of an invite, six words, the address of a collector, and the names in a certificate.
//!
//! Must hold: what is taken is written the same, and the secret is in no error and no `Debug`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outband_fuzz::seeds;
use outband_schemas::enrol::{InviteLine, identity_uri, is_address, read_identity_uri, read_words, words};
use outband_store::volume::Volume;

fuzz_target!(init: seeds::plant(seeds::invite), |data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match text.parse::<InviteLine>() {
        Ok(line) => {
            assert!(line.addresses().iter().all(|a| is_address(a)));
            assert_eq!(line.reveal().parse(), Ok(line.clone()));
            let secret: String = line.secret.iter().map(|b| format!("{b:02x}")).collect();
            assert!(!format!("{line:?}").contains(&secret) || line.addresses().iter().any(|a| a.contains(&secret)));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(six) = read_words(&text) {
        assert_eq!(read_words(&six.join(" ")), Ok(six));
    }
    if let Some(hash) = data.first_chunk::<32>() {
        let six = words(hash);
        assert_eq!(read_words(&six.join("-")), Ok(six));
    }
    if let Some((site, agent)) = read_identity_uri(&text) {
        assert_eq!(identity_uri(&site, &agent), text);
    }
    if let Some(volume) = Volume::named(&text) {
        assert_eq!(volume.file_name(), text);
        assert!(volume.start < volume.end);
    }
});
