//! What a decision is for: the options that say it, and how it is shown.

use clap::Args;
use outband_proto::maintenance::Selector;

/// Which servers, and what of them: everything that is given has to fit.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// The site
    #[arg(long)]
    site: Option<String>,
    /// The rack, by its name in the topology
    #[arg(long)]
    rack: Option<String>,
    /// The server, as `outband servers` shows it
    #[arg(long)]
    server: Option<String>,
    /// The model, as the topology or else the BMC has it
    #[arg(long)]
    model: Option<String>,
    /// The component: CLASS/SLOT, or a class alone
    #[arg(long)]
    component: Option<String>,
    /// The customer, by the name in the topology
    #[arg(long)]
    customer: Option<String>,
}

impl PlaceArgs {
    /// What it chooses; nothing, where nothing is given.
    pub(crate) fn selector(self) -> Selector {
        Selector {
            site: self.site.unwrap_or_default(),
            rack: self.rack.unwrap_or_default(),
            server: self.server.unwrap_or_default(),
            model: self.model.unwrap_or_default(),
            component: self.component.unwrap_or_default(),
            customer: self.customer.unwrap_or_default(),
            ..Selector::default()
        }
    }
}

/// What it is for, in one line.
pub(crate) fn words(selector: Option<Selector>) -> String {
    let s = selector.unwrap_or_default();
    let fields = [
        ("site", s.site),
        ("rack", s.rack),
        ("server", s.server),
        ("model", s.model),
        ("component", s.component),
        ("fault", s.fault),
        ("rule", s.rule),
        ("customer", s.customer),
    ];
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(what, value)| format!("{what} {value}")).collect::<Vec<_>>().join(", ")
}
