//! What is to be known of a model: its card.

use super::fit::Facts;
use super::source::date;
use outband_health::model::DiskModel;

/// The card, in Markdown. `measured`: the table of a validation, if there was one.
pub(super) fn write(model: &DiskModel, facts: &Facts, cite: &str, measured: Option<&str>) -> String {
    let nodes: usize = model.forest.trees.iter().map(|t| t.nodes.len()).sum();
    let measured = measured.unwrap_or("Not measured: nothing was held back.\n");
    format!(
        "# Disk model {version}

Says how likely a rotating SATA disk is to fail within 30 days, from raw SMART values.

- **Data**: {cite}; {from} to {to}; {drives} drives, {failures} failures, of which {bulk} were left out as bulk replacements
  (8 or more drives of one model on one day: a decision, not a failure).
- **Learnt from**: {rows} drive-days with new errors of the medium (attribute 5, 187, 196, 197 or 198 rose on the day or in the three days
  before), {positives} of them followed by a failure within 10 days.
- **Form**: {trees} boosted trees, {nodes} nodes, over {features} features that know nothing of later days; fixed seeds, one thread: the same
  tables give the same file.
- **Probability**: of failure within 30 days, calibrated on scores of trees that had not seen the drive. A drive without new errors gets the
  base rate of such drives, {quiet:.4}.
- **Threshold**: from a budget of false tickets per 100 drive-months; begins with what thresholds cost in the last year of training and
  follows the outcomes of the own fleet, by what is known 30 days later.

## Measured

```
{measured}```

## Where it is blind

- Disks that fail without new errors of the medium: more than half of all.
- SSD, NVMe, SAS: it says nothing of them; rules and wear do.
- Makes other than Seagate, HGST/Hitachi and WDC, and models later than 2015: it judges their errors as it would of the drives it knows.
- Replacements that were decisions count as failures where they were few on a day.

## Features

{names}
",
        version = model.version,
        from = date(facts.days.0),
        to = date(facts.days.1),
        drives = facts.drives,
        failures = facts.failures,
        bulk = facts.bulk,
        rows = facts.rows,
        positives = facts.positives,
        trees = model.forest.trees.len(),
        features = model.features.len(),
        quiet = model.quiet,
        names = model.features.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", "),
    )
}
