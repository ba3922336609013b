//! `script`: commands from a file, for the host of the lab.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use lab_protocol::Event;
use netstack_client::adapter;
use serde_json::Value;

use netstack_client::cli::{Error, Outcome, value};

/// Carry out commands from a file and mark their results.
///
/// For programs that follow a system's console from outside. Each line of the file is a name and a command of this
/// program, "tx bench tx --size 60", or "sleep TIME". If the name ends with "&", the next line does not wait for the
/// command; a line "wait" does. For each command a line with the marker says that it begins, and another one what came
/// of it (JSON); the last one is {"done":true}. The exit status is 0 if every command could be started.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file.
    file: PathBuf,

    /// Beginning of the lines for the other program.
    #[arg(long, value_name = "TEXT", default_value = "")]
    marker: String,

    /// Time to wait at first until there is an adapter.
    #[arg(long, value_name = "TIME[ms|s|m]", default_value = "10s", value_parser = value::duration)]
    wait: Duration,
}

/// A line of the file.
#[derive(Debug, PartialEq)]
enum Line {
    Sleep(Duration),
    Wait,
    Command {
        name: String,
        background: bool,
        arguments: Vec<String>,
    },
}

impl FromStr for Line {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next().ok_or("an empty line")?;
        let arguments: Vec<_> = words.collect();
        match (name.as_str(), arguments.as_slice()) {
            ("wait", []) => Ok(Self::Wait),
            ("sleep", [time]) => value::duration(time).map(Self::Sleep),
            (_, []) => Err(format!("{line:?} has no command")),
            (text, _) => Ok(Self::Command {
                background: text.ends_with('&'),
                name: text.trim_end_matches('&').to_owned(),
                arguments,
            }),
        }
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.file.display().to_string();
    let failed = |source| Error::File {
        path: path.clone(),
        source,
    };
    let text = fs::read_to_string(&arguments.file).map_err(failed)?;
    let lines: Vec<Line> = text
        .lines()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Other(format!("{path}: {error}")))?;
    wait_for_adapter(arguments.wait);
    let mut running = Vec::new();
    let mut started = true;
    for line in lines {
        match line {
            Line::Sleep(time) => thread::sleep(time),
            Line::Wait => finish(&mut running, &arguments.marker),
            Line::Command {
                name,
                background,
                arguments: words,
            } => {
                let begin = Instant::now();
                print(&arguments.marker, &Event::Begin(name.clone()));
                match start(&words) {
                    Ok(child) if background => running.push((name, child, begin)),
                    Ok(child) => finish(&mut vec![(name, child, begin)], &arguments.marker),
                    Err(error) => {
                        started = false;
                        end(&arguments.marker, &name, Err(error), begin);
                    }
                }
            }
        }
    }
    finish(&mut running, &arguments.marker);
    print(&arguments.marker, &Event::Done(true));
    Ok(started)
}

/// Drivers may take a moment. If there is none, the commands will say so.
fn wait_for_adapter(limit: Duration) {
    let start = Instant::now();
    while !adapter::list().is_ok_and(|names| !names.is_empty()) && start.elapsed() < limit {
        thread::sleep(Duration::from_millis(50));
    }
}

/// Each command is a process of its own, so that none is left with what another one has blocked.
fn start(arguments: &[String]) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("--json")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn finish(running: &mut Vec<(String, Child, Instant)>, marker: &str) {
    for (name, child, begin) in running.drain(..) {
        end(marker, &name, child.wait_with_output(), begin);
    }
}

fn end(marker: &str, step: &str, output: io::Result<Output>, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    let event = match output {
        Ok(output) => Event::End {
            step: step.to_owned(),
            result: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            error: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            success: output.status.success(),
            seconds,
        },
        Err(error) => Event::End {
            step: step.to_owned(),
            result: Value::Null,
            error: error.to_string(),
            success: false,
            seconds,
        },
    };
    print(marker, &event);
}

/// In one piece: the console is shared.
fn print(marker: &str, event: &Event) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(event.line(marker).as_bytes())
        .and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_names_and_commands() {
        let command = |name: &str, background| Line::Command {
            name: name.to_owned(),
            background,
            arguments: vec!["bench".to_owned(), "floor".to_owned()],
        };
        assert_eq!("a bench  floor".parse(), Ok(command("a", false)));
        assert_eq!("a& bench floor".parse(), Ok(command("a", true)));
        assert_eq!("wait".parse(), Ok(Line::Wait));
        assert_eq!("sleep 5ms".parse(), Ok(Line::Sleep(Duration::from_millis(5))));
        for wrong in ["", "a", "sleep long"] {
            assert!(wrong.parse::<Line>().is_err(), "{wrong:?}");
        }
    }
}
