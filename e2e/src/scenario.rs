//! Scenarios for kubectl and the records of what it printed.
//!
//! A scenario is a text of steps, each beginning with a sign:
//!
//! ```text
//! # a comment
//! $ get configmap a -o yaml      runs kubectl; quotes hold words together
//! @ FILE                         writes a file into the working folder
//! | text                         a line of input to the `$` above, or of the `@` above
//! = NAME=VALUE                   sets an environment variable for the next step
//! ~                              the next step's lines come in no certain order: sort them
//! ? get widgets                  repeats until it succeeds; leaves no record
//! & get pods --watch             starts a command in the background
//! . 2                            waits until that has printed 2 lines in all
//! ! 5                            waits for 5 lines, ends it, and records them
//! ```
//!
//! A record holds, for each `$` and `!`, the step's line and then what was printed, masked: lines of standard output behind
//! two blanks, lines of standard error behind `! `, and a failing exit code behind `= `.

use crate::kubectl::{Background, Command, Kubectl, Output};
use crate::mask::Mask;
use crate::poll::DEADLINE;
use anyhow::Context;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A scenario's name and text.
pub struct Scenario {
    pub name: String,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq)]
enum Step {
    Run { line: String, command: Command, sorted: bool },
    File { name: String, text: String },
    Until(Command),
    Start(String, Command),
    Wait(usize),
    End(usize),
}

/// The scenarios of this crate, in the order in which they share a server.
pub fn all() -> anyhow::Result<Vec<Scenario>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder().join("scenarios"))? {
        files.push(entry?.path());
    }
    files.sort();
    files.iter().map(|file| Scenario::read(file)).collect()
}

/// Where the record of a scenario lies.
pub fn record_file(scenario: &str, version: &str) -> PathBuf {
    folder().join("records").join(version).join(format!("{scenario}.txt"))
}

fn folder() -> PathBuf {
    crate::workspace().join("e2e/kubectl")
}

impl Scenario {
    fn read(file: &Path) -> anyhow::Result<Scenario> {
        let text = std::fs::read_to_string(file)?;
        let name = file.file_stem().context("a file's name")?.to_string_lossy().into_owned();
        let steps = parse(&text).with_context(|| file.display().to_string())?;
        Ok(Scenario { name, steps })
    }

    /// Runs the steps against kubectl's cluster and gives the record.
    pub fn run(&self, kubectl: &Kubectl) -> anyhow::Result<String> {
        let folder = kubectl.folder().display().to_string();
        let mask = Mask::new([(kubectl.server()?, "server"), (folder, "folder")]);
        let mut record = String::new();
        let mut background: Option<(String, Background)> = None;
        for step in &self.steps {
            match step {
                Step::Run { line, command, sorted } => {
                    let mut output = kubectl.run(command).with_context(|| line.clone())?;
                    if *sorted {
                        output.stdout = sort_lines(&output.stdout);
                    }
                    render(&mut record, line, &output, &mask);
                }
                Step::File { name, text } => write_file(&kubectl.folder().join(name), text)?,
                Step::Until(command) => until_success(kubectl, command)?,
                Step::Start(line, command) => background = Some((line.clone(), kubectl.background(command)?)),
                Step::Wait(count) => {
                    let (line, running) = background.as_mut().context("nothing runs in the background")?;
                    running.until(*count).with_context(|| line.clone())?;
                }
                Step::End(count) => {
                    let (line, mut running) = background.take().context("nothing runs in the background")?;
                    running.until(*count).with_context(|| line.clone())?;
                    let stdout = running.lines().iter().flat_map(|line| [line.as_str(), "\n"]).collect();
                    render(&mut record, &line, &Output { stdout, stderr: String::new(), code: 0 }, &mask);
                }
            }
        }
        Ok(record)
    }
}

/// The blocks of two records that differ, as a text for people; `None` if they are equal.
pub fn difference(expected: &str, got: &str) -> Option<String> {
    let (expected, got) = (blocks(expected), blocks(got));
    let mut report = String::new();
    let mut differing = 0;
    for index in 0..expected.len().max(got.len()) {
        let (want, have) = (expected.get(index), got.get(index));
        if want != have {
            differing += 1;
            let (want, have) = (want.copied().unwrap_or_default(), have.copied().unwrap_or_default());
            // A long tail of differing blocks tells no more than its beginning.
            if differing <= 12 {
                report.push_str(&block_difference(want, have));
            }
        }
    }
    (differing > 0).then(|| format!("{differing} of {} steps differ\n{report}", expected.len()))
}

fn block_difference(want: &str, have: &str) -> String {
    let (want, have): (Vec<_>, Vec<_>) = (want.lines().collect(), have.lines().collect());
    let same_start = want.iter().zip(&have).take_while(|(a, b)| a == b).count();
    let room = want.len().min(have.len()) - same_start;
    let same_end = want.iter().rev().zip(have.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let mut text = format!("{}\n", want.first().or(have.first()).unwrap_or(&""));
    let mut side = |sign, lines: &[&str]| {
        for line in lines.iter().take(20) {
            let _ = writeln!(text, "    {sign}{line}");
        }
        if lines.len() > 20 {
            let _ = writeln!(text, "    {sign}... {} lines", lines.len());
        }
    };
    side("-", &want[same_start..want.len() - same_end]);
    side("+", &have[same_start..have.len() - same_end]);
    text
}

/// The records of single steps, each from its `$` on.
pub(crate) fn blocks(record: &str) -> Vec<&str> {
    let starts: Vec<_> = record
        .match_indices("$ ")
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || record.as_bytes()[at - 1] == b'\n')
        .chain([record.len()])
        .collect();
    starts.windows(2).map(|pair| &record[pair[0]..pair[1]]).collect()
}

fn render(record: &mut String, line: &str, output: &Output, mask: &Mask) {
    let _ = writeln!(record, "$ {line}");
    for (sign, text) in [("  ", &output.stdout), ("! ", &output.stderr)] {
        for line in mask.apply(text).lines() {
            let _ = writeln!(record, "{sign}{line}");
        }
    }
    if output.code != 0 {
        let _ = writeln!(record, "= {}", output.code);
    }
}

fn sort_lines(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

fn write_file(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text)?;
    if text.starts_with("#!") {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn until_success(kubectl: &Kubectl, command: &Command) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let output = kubectl.run(command)?;
        if output.code == 0 {
            return Ok(());
        }
        anyhow::ensure!(start.elapsed() < DEADLINE, "kubectl {} does not succeed: {output:?}", command.args.join(" "));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let (mut env, mut sorted) = (Vec::new(), false);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (sign, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        let mut command = || -> anyhow::Result<Command> {
            Ok(Command { args: words(rest)?, stdin: String::new(), env: std::mem::take(&mut env) })
        };
        match sign.trim_end() {
            "#" => {}
            "$" => steps.push(Step::Run {
                line: rest.to_owned(),
                command: command()?,
                sorted: std::mem::take(&mut sorted),
            }),
            "?" => steps.push(Step::Until(command()?)),
            "&" => steps.push(Step::Start(rest.to_owned(), command()?)),
            "@" => steps.push(Step::File { name: rest.to_owned(), text: String::new() }),
            "." => steps.push(Step::Wait(rest.trim().parse()?)),
            "!" => steps.push(Step::End(rest.trim().parse()?)),
            "~" => sorted = true,
            "=" => {
                let (name, value) = rest.split_once('=').context("an environment variable is NAME=VALUE")?;
                env.push((name.to_owned(), value.to_owned()));
            }
            "|" => {
                let text = match steps.last_mut() {
                    Some(Step::Run { command, .. }) => &mut command.stdin,
                    Some(Step::File { text, .. }) => text,
                    _ => anyhow::bail!("input without a command or a file: {line}"),
                };
                text.push_str(rest);
                text.push('\n');
            }
            _ => anyhow::bail!("a step begins with one of # $ ? & @ . ! ~ = |: {line}"),
        }
    }
    Ok(steps)
}

/// Splits at blanks, but not within quotes of either kind.
fn words(line: &str) -> anyhow::Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    anyhow::ensure!(quote.is_none(), "an open quote: {line}");
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_words(line: &str, expected: &[&str]) {
        assert_eq!(words(line).expect(line), expected);
    }

    #[test]
    fn words_are_split_outside_of_quotes() {
        check_words("get  cm a", &["get", "cm", "a"]);
        check_words(r#"-p '{"a": "b c"}' """#, &["-p", r#"{"a": "b c"}"#, ""]);
        check_words(r#"-o jsonpath="{.a}"'{.b}'"#, &["-o", "jsonpath={.a}{.b}"]);
        assert!(words("'open").is_err());
    }

    #[test]
    fn steps_carry_input_and_environment() {
        let steps = parse("# c\n= A=b=c\n~\n$ apply -f -\n| x\n|   y\n@ f\n| #!z\n. 2\n! 3\n").expect("parses");
        let command = Command {
            args: vec!["apply".into(), "-f".into(), "-".into()],
            stdin: "x\n  y\n".into(),
            env: vec![("A".into(), "b=c".into())],
        };
        let expected = vec![
            Step::Run { line: "apply -f -".into(), command, sorted: true },
            Step::File { name: "f".into(), text: "#!z\n".into() },
            Step::Wait(2),
            Step::End(3),
        ];
        assert_eq!(steps, expected);
        assert!(parse("get pods").is_err());
        assert!(parse("| input").is_err());
    }

    #[test]
    fn a_record_shows_output_error_and_code() {
        let mut record = String::new();
        let output = Output { stdout: "a\n\nb\n".into(), stderr: "no\n".into(), code: 1 };
        render(&mut record, "get x", &output, &Mask::default());
        assert_eq!(record, "$ get x\n  a\n  \n  b\n! no\n= 1\n");
    }

    #[test]
    fn differences_name_their_step() {
        let record = "$ one\n  a\n$ two\n  b\n  c\n  d\n";
        assert_eq!(difference(record, record), None);
        let report = difference(record, "$ one\n  a\n$ two\n  b\n  x\n  d\n").expect("differs");
        assert_eq!(report, "1 of 2 steps differ\n$ two\n    -  c\n    +  x\n");
        assert!(difference(record, "$ one\n  a\n").is_some());
    }
}
