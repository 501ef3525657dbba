//! The one table.

/// A system and what was measured of it.
pub(crate) struct Column {
    name: String,
    /// Readings per CPU-second, sealing and merging included.
    pub(crate) per_cpu: Option<f64>,
    cells: Vec<(&'static str, String)>,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), per_cpu: None, cells: Vec::new() }
    }

    pub(crate) fn set(&mut self, row: &'static str, value: impl Into<String>) {
        let value = value.into();
        eprintln!("  {}: {row}: {value}", self.name);
        self.cells.push((row, value));
    }

    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.name == name
    }

    fn cell(&self, row: &str) -> &str {
        self.cells.iter().find(|(name, _)| *name == row).map_or("–", |(_, value)| value)
    }
}

/// The columns side by side, as Markdown.
pub(crate) fn render(columns: &[Column]) -> String {
    let mut rows: Vec<&str> = Vec::new();
    for (row, _) in columns.iter().flat_map(|c| &c.cells) {
        if !rows.contains(row) {
            rows.push(row);
        }
    }
    let width = |texts: &mut dyn Iterator<Item = &str>| texts.map(|t| t.chars().count()).max().unwrap_or(0);
    let first = width(&mut rows.iter().copied());
    let line = |head: &str, cell: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().map(|c| {
            let wide = width(&mut c.cells.iter().map(|(_, v)| v.as_str()).chain([c.name.as_str()]));
            format!(" {:>wide$} |", cell(c))
        });
        format!("| {head:first$} |{}\n", cells.collect::<String>())
    };
    let mut out = line("", &|c| c.name.clone());
    let rule = columns.iter().map(|_| "---|").collect::<String>();
    out += &format!("|---|{rule}\n");
    for row in rows {
        out += &line(row, &|c| c.cell(row).to_owned());
    }
    out
}
