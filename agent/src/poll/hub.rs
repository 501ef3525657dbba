//! The loop that speaks IPMI with every BMC: one thread, since it is one socket and one core is plenty.

use super::shelf::Folder;
use outband_bmc::ipmi::hub::Hub;
use outband_bmc::ipmi::library::Library;
use std::io;
use std::path::Path;
use std::thread;

/// Starts the loop, which keeps what it learns of sensors in `data_dir`; it ends when the hub and the last session in it are gone.
///
/// # Errors
/// When there is no thread, no reactor or no directory to be had.
pub fn start(data_dir: &Path) -> io::Result<Hub> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (hub, driver) = Hub::new(Library::on(Box::new(Folder::within(data_dir)?)));
    thread::Builder::new().name("ipmi".to_owned()).spawn(move || {
        runtime.block_on(driver.run());
    })?;
    Ok(hub)
}
