//! Tab-separated facts.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A file of facts; cells are found by the header's names.
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    cells: &'a [String],
}

pub fn read(folder: &Path, name: &str) -> Result<Table> {
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().with_context(|| format!("{name} is empty"))?;
    let rows: Vec<_> = lines.collect();
    for (index, row) in rows.iter().enumerate() {
        ensure!(row.len() == header.len(), "{name}:{}: {} cells, not {}", index + 2, row.len(), header.len());
    }
    Ok(Table { header, rows })
}

impl Table {
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { table: self, cells })
    }
}

impl<'a> Row<'a> {
    pub fn cell(self, column: &str) -> Result<&'a str> {
        let index = self.table.header.iter().position(|name| name == column);
        let index = index.with_context(|| format!("there is no column {column}"))?;
        Ok(&self.cells[index])
    }

    pub fn list(self, column: &str) -> Result<Vec<&'a str>> {
        Ok(self.cell(column)?.split(',').filter(|part| !part.is_empty()).collect())
    }

    pub fn yes(self, column: &str) -> Result<bool> {
        Ok(matches!(self.cell(column)?, "yes" | "true"))
    }
}
