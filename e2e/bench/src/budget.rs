//! What an operation may cost. The figures are the design's, for a machine of two cores that the client shares; a rate
//! depends on that client, so what is budgeted is the CPU time that the server's process spends.

/// A row of the report and its limits.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub what: &'static str,
    pub unit: Unit,
    /// What the first wave must reach.
    pub first: f64,
    pub goal: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Microseconds,
    Milliseconds,
    Mebibytes,
    Percent,
    Minutes,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Unit::Microseconds => "us",
            Unit::Milliseconds => "ms",
            Unit::Mebibytes => "MiB",
            Unit::Percent => "%",
            Unit::Minutes => "min",
        }
    }
}

const fn budget(what: &'static str, unit: Unit, first: f64, goal: f64) -> Budget {
    Budget { what, unit, first, goal }
}

pub const COLD_START: Budget = budget("cold start to /readyz, empty data folder", Unit::Milliseconds, 500.0, 200.0);
pub const IDLE: Budget = budget("idle, of a core", Unit::Percent, 1.0, 0.2);
pub const IDLE_MEMORY: Budget = budget("memory, idle", Unit::Mebibytes, 96.0, 48.0);
pub const CREATE_CONFIG_MAP: Budget = budget("create a configmap of 1 KB", Unit::Microseconds, 120.0, 50.0);
pub const UPDATE_CONFIG_MAP: Budget = budget("update it", Unit::Microseconds, 120.0, 50.0);
pub const CREATE_POD: Budget = budget("create a pod of 3 KB", Unit::Microseconds, 250.0, 90.0);
pub const GET_POD: Budget = budget("get a pod", Unit::Microseconds, 60.0, 20.0);
pub const LIST: Budget = budget("list 10,000 pods", Unit::Milliseconds, 120.0, 60.0);
pub const TABLE: Budget = budget("the same as a Table", Unit::Milliseconds, 120.0, 50.0);
pub const DELIVER: Budget = budget("deliver an event to one of 200 watchers", Unit::Microseconds, 4.0, 1.5);
pub const MEMORY: Budget = budget("memory after all of that", Unit::Mebibytes, 400.0, 150.0);
pub const BINARY: Budget = budget("release binary", Unit::Mebibytes, 45.0, 30.0);
pub const BUILD: Budget = budget("clean release build", Unit::Minutes, 14.0, 8.0);
