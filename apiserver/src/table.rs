//! Tables: a kept object's row, made once, its ages told anew each time it is sent.

use corten_api::json::{write_array, write_f64, write_string};
use corten_api::time::{Duration, human_duration};
use corten_kinds::table::Column;
pub use corten_kinds::table::{Cell, Row};

/// What a row shows of its object beside the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    None,
    Metadata,
    Object,
}

pub fn write_columns(columns: &[Column], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"columnDefinitions\":[");
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        for (key, value) in [
            ("{\"name\":", column.name),
            (",\"type\":", column.kind),
            (",\"format\":", column.format),
            (",\"description\":", column.description),
        ] {
            out.extend_from_slice(key.as_bytes());
            write_string(out, value);
        }
        out.extend_from_slice(format!(",\"priority\":{}}}", column.priority).as_bytes());
    }
    out.push(b']');
}

/// A row up to its object: `{"cells":[…],"conditions":[…],"object":`.
pub fn write_row(row: &Row, now: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"cells\":");
    write_array(out, &row.cells, |cell, out| write_cell(cell, now, out));
    if !row.conditions.is_empty() {
        out.extend_from_slice(b",\"conditions\":[");
        for (i, condition) in row.conditions.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"type\":");
            write_string(out, condition.kind);
            out.extend_from_slice(b",\"status\":");
            write_string(out, condition.status);
            for (key, value) in [(",\"reason\":", &condition.reason), (",\"message\":", &condition.message)] {
                if !value.is_empty() {
                    out.extend_from_slice(key.as_bytes());
                    write_string(out, value);
                }
            }
            out.push(b'}');
        }
        out.push(b']');
    }
    out.extend_from_slice(b",\"object\":");
}

fn age(since: i64, now: i64) -> String {
    human_duration(Duration((now - since).saturating_mul(1_000_000_000)))
}

fn write_cell(cell: &Cell, now: i64, out: &mut Vec<u8>) {
    match cell {
        Cell::Str(value) => write_string(out, value),
        Cell::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Cell::Float(value) => write_f64(out, *value),
        Cell::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Json(json) => out.extend_from_slice(json.as_bytes()),
        Cell::Age(None) => out.extend_from_slice(b"\"\\u003cunknown\\u003e\""),
        Cell::Age(Some(since)) => write_string(out, &age(*since, now)),
        Cell::Around { before, since, after } => write_string(out, &format!("{before}{}{after}", age(*since, now))),
    }
}
