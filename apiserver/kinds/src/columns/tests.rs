//! Rows of kube-apiserver, replayed. A line of `rows.tsv` is apiVersion, kind, the time in seconds, an object, and what
//! its row was then. Most objects are those of upstream's own tests.

use corten_api::json::write_string;
use corten_api::time::{Duration, human_duration};
use corten_object::json::{Form, parse};
use corten_object::tree::Tree;

use super::printer;
use crate::table::{Cell, Row};

fn object(api_version: &str, kind: &str, json: &str) -> Tree {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let row = corten_schema::kind(group, version, kind).unwrap_or_else(|| panic!("no kind {api_version} {kind}"));
    parse(json.as_bytes().to_vec(), Form::Typed(row.ty)).unwrap_or_else(|error| panic!("{json}: {error}")).tree
}

fn plural(api_version: &str, kind: &str) -> &'static str {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let mut resources = corten_schema::RESOURCES.iter();
    let row = resources.find(|row| (row.group, row.version, row.kind) == (group, version, kind));
    row.unwrap_or_else(|| panic!("no resource of {api_version} {kind}")).plural
}

fn show(cell: &Cell, now: i64) -> String {
    let age = |since: i64| human_duration(Duration((now - since) * 1_000_000_000));
    let text = match cell {
        Cell::Int(value) => return value.to_string(),
        Cell::Bool(value) => return value.to_string(),
        Cell::Str(value) => value.clone(),
        Cell::Age(None) => "<unknown>".to_owned(),
        Cell::Age(Some(since)) => age(*since),
        Cell::Around { before, since, after } => format!("{before}{}{after}", age(*since)),
        other => panic!("{other:?}"),
    };
    let mut out = Vec::new();
    write_string(&mut out, &text);
    String::from_utf8(out).unwrap()
}

fn show_row(row: &Row, now: i64) -> String {
    let mut shown = row.cells.iter().map(|cell| show(cell, now)).collect::<Vec<_>>().join(",");
    for condition in &row.conditions {
        shown
            .push_str(&format!(" {}={} {}: {}", condition.kind, condition.status, condition.reason, condition.message));
    }
    shown
}

#[test]
fn rows_are_upstreams() {
    let mut wrong = Vec::new();
    for line in include_str!("tests/rows.tsv").lines() {
        let [api_version, kind, now, json, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let printer = printer(group, plural(api_version, kind)).unwrap_or_else(|| panic!("no printer of {kind}"));
        let now = now.parse().unwrap();
        let tree = object(api_version, kind, json);
        let found = show_row(&(printer.row)(tree.root()), now);
        if found != expected {
            wrong.push(format!("{kind} {json}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// One cell for each column, however little an object says.
#[test]
fn rows_of_empty_objects_fit_their_columns() {
    for resource in corten_schema::RESOURCES {
        let Some(printer) = printer(resource.group, resource.plural) else { continue };
        if resource.group == "autoscaling" && resource.version == "v1" {
            continue;
        }
        let tree = object(&api_version(resource.group, resource.version), resource.kind, "{}");
        // Upstream's IPAddress has an age without a column.
        let beyond = usize::from(resource.kind == "IPAddress");
        assert_eq!((printer.row)(tree.root()).cells.len(), printer.columns.len() + beyond, "{}", resource.kind);
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

#[test]
fn kinds_without_a_printer_show_the_default() {
    for (group, plural) in [
        ("", "limitranges"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("example.com", "pods"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("rbac.authorization.k8s.io", "roles"),
        ("storage.k8s.io", "csistoragecapacities"),
    ] {
        assert!(printer(group, plural).is_none(), "{group}/{plural}");
    }
}

/// What the row keeps does not tell the time.
#[test]
fn ages_are_told_when_sent() {
    let pod = r#"{"metadata":{"name":"p","creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{"containers":[{"name":"a"}]},
        "status":{"containerStatuses":[{"name":"a","restartCount":3,"lastState":{"terminated":{
        "exitCode":1,"finishedAt":"2026-01-01T01:00:00Z"}}}]}}"#;
    let row = (printer("", "pods").unwrap().row)(object("v1", "Pod", pod).root());
    let shown = |now: i64| [show(&row.cells[3], now), show(&row.cells[4], now)];
    let created = 1_767_225_600;
    assert_eq!(shown(created + 3660), ["\"3 (60s ago)\"", "\"61m\""]);
    assert_eq!(shown(created + 36_000), ["\"3 (9h ago)\"", "\"10h\""]);
}
