//! Logs: `tracing` to stderr, in text or JSON, with klog's `-v` numbers.
//!
//! | -v | Corten's own code | libraries |
//! |---|---|---|
//! | 0, 1 | info | warn |
//! | 2, 3 | info | info |
//! | 4, 5 | debug | info |
//! | 6, 7 | trace | info |
//! | 8, 9 | trace | debug |
//! | 10 and above | trace | trace |

use std::fmt;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

/// The value of `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Sends all logs of the process to stderr, panics included. To be called once, before anything logs.
pub fn init(verbosity: u32, format: Format) -> Result<(), SetGlobalDefaultError> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing::subscriber::set_global_default(subscriber(verbosity, format, colours, std::io::stderr))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// What passes at a verbosity, by the module that it comes from.
pub fn filter(verbosity: u32) -> Targets {
    let (own, others) = match verbosity {
        0..=1 => (LevelFilter::INFO, LevelFilter::WARN),
        2..=3 => (LevelFilter::INFO, LevelFilter::INFO),
        4..=5 => (LevelFilter::DEBUG, LevelFilter::INFO),
        6..=7 => (LevelFilter::TRACE, LevelFilter::INFO),
        8..=9 => (LevelFilter::TRACE, LevelFilter::DEBUG),
        _ => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    Targets::new().with_default(others).with_target("corten", own)
}

/// A subscriber that writes anywhere; `init` is one to stderr.
pub fn subscriber<W>(verbosity: u32, format: Format, colours: bool, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => Box::new(lines.with_filter(filter(verbosity))),
        Format::Json => Box::new(lines.json().flatten_event(true).with_filter(filter(verbosity))),
    };
    Registry::default().with(lines)
}

/// Every panic that is caught somewhere (by a task's policy, say) is still a defect, so all are told with their place.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(place, thread = thread.name().unwrap_or("unnamed"), "panic: {message}");
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err(format!("unknown log format {text:?}: text and json are known")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Text => "text",
            Format::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(verbosity: u32, format: Format, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(verbosity, format, false, move || writer.clone()), log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_and_json_carry_the_fields() {
        let log = || tracing::info!(pods = 3, name = "a b", "listed");
        let text = logged(0, Format::Text, log);
        assert!(text.contains(" INFO corten_runtime::logs::tests: listed pods=3 name=\"a b\"\n"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&logged(0, Format::Json, log)).unwrap();
        assert_eq!((&json["message"], &json["pods"], &json["level"]), (&"listed".into(), &3.into(), &"INFO".into()));
    }

    #[test]
    fn verbosity_decides_what_passes() {
        fn check(verbosity: u32, expected: &str) {
            let log = || {
                tracing::trace!("t");
                tracing::debug!("d");
                tracing::info!("i");
                tracing::debug!(target: "hyper", "D");
                tracing::info!(target: "hyper", "I");
                tracing::warn!(target: "hyper", "W");
            };
            let text = logged(verbosity, Format::Text, log);
            let passed: String = text.lines().filter_map(|line| line.chars().last()).collect();
            assert_eq!(passed, expected, "-v {verbosity}");
        }
        check(0, "iW");
        check(2, "iIW");
        check(4, "diIW");
        check(6, "tdiIW");
        check(8, "tdiDIW");
        check(99, "tdiDIW");
    }

    #[test]
    fn formats_by_name() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("text".parse::<Format>().unwrap().to_string(), "text");
        assert_eq!("xml".parse::<Format>().unwrap_err(), "unknown log format \"xml\": text and json are known");
    }
}
