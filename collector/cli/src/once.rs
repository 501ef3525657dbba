//! What every change may carry: as of which version, and under which name.

use clap::Args;

/// A name for the request, so that it can be sent again.
#[derive(Debug, Default, Args)]
pub(crate) struct RequestArgs {
    /// A name for this request, best a UUID: sent again within 24 hours, it is answered as before and not done again
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ID")]
    pub(crate) request_id: String,
}

/// The same, and the version that it is a change of.
#[derive(Debug, Default, Args)]
pub(crate) struct ChangeArgs {
    /// Only if it is still as it was when this etag was read (see `-o json`)
    #[arg(long, default_value = "", hide_default_value = true, value_name = "ETAG")]
    pub(crate) if_etag: String,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}
