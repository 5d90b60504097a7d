//! The table of the worst.

use crate::growth::Grown;
use crate::limits::Measured;

const WORST: usize = 10;

/// The ten requests that grew most beyond their bodies.
pub fn growth(mut all: Vec<Grown>) -> String {
    all.sort_by(|a, b| b.excess().total_cmp(&a.excess()));
    let mut table = format!(
        "{:>9} {:>9} {:>7} {:>9} {:>7}  {}\n",
        "body KiB", "CPU ms", "growth", "alloc KiB", "growth", "case (of the larger body)"
    );
    for grown in all.iter().take(WORST) {
        table.push_str(&format!(
            "{:>9} {:>9.1} {:>7.2} {:>9} {:>7.2}  {}\n",
            grown.bytes / 1024,
            grown.large.cpu.as_secs_f64() * 1e3,
            grown.cpu(),
            grown.large.allocated / 1024,
            grown.allocated(),
            grown.name
        ));
    }
    table
}

/// The ten requests that took longest.
pub fn limits(mut all: Vec<Measured>) -> String {
    all.sort_by_key(|measured| std::cmp::Reverse(measured.cost.wall));
    let mut table =
        format!("{:>9} {:>9} {:>9} {:>10} {:>9}  {}\n", "body KiB", "ms", "CPU ms", "memory MB", "livez ms", "case");
    for Measured { name, bytes, cost, .. } in all.iter().take(WORST) {
        table.push_str(&format!(
            "{:>9} {:>9} {:>9} {:>10} {:>9}  {name}\n",
            bytes / 1024,
            cost.wall.as_millis(),
            cost.cpu.as_millis(),
            cost.memory >> 20,
            cost.livez.as_millis(),
        ));
    }
    table
}
