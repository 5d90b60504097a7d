//! What this program says it is: the Kubernetes version that it behaves as, and what it was built from.

/// The members that describe a build, by the names of upstream's labels.
pub const LABELS: [(&str, &str); 9] = [
    ("major", "1"),
    ("minor", "36"),
    ("git_version", concat!("v1.36.2+corten", env!("CARGO_PKG_VERSION"))),
    ("git_commit", ""),
    ("git_tree_state", "clean"),
    ("build_date", "1970-01-01T00:00:00Z"),
    ("go_version", ""),
    ("compiler", "rustc"),
    ("platform", PLATFORM),
];

/// In Go's words.
const PLATFORM: &str = if cfg!(target_arch = "x86_64") {
    "linux/amd64"
} else if cfg!(target_arch = "aarch64") {
    "linux/arm64"
} else {
    "linux"
};

/// The body of `/version`.
pub fn json() -> String {
    let fact = |name: &str| LABELS.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
    serde_json::json!({
        "major": fact("major"),
        "minor": fact("minor"),
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": fact("git_version"),
        "gitCommit": fact("git_commit"),
        "gitTreeState": fact("git_tree_state"),
        "buildDate": fact("build_date"),
        "goVersion": fact("go_version"),
        "compiler": fact("compiler"),
        "platform": fact("platform"),
    })
    .to_string()
}
