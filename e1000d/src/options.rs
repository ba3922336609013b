//! Options of the command line. The hosted daemon has the same, and others.

use std::ffi::OsString;
use std::str::FromStr;

use e1000_hw::flow_control::Pause;
use e1000_hw::moderation::{DEFAULT_POLICY, Policy};
use lexopt::Arg::{Long, Short, Value};
use lexopt::Parser;

use crate::redox::irq::Kind;

/// Description of the options, a few lines each.
pub const DESCRIPTION: &str = "\
Options of e1000d:
  --interrupts KIND    First kind of interrupt to try: msi-x (default), msi, intx or polling;
                       those that follow are fallbacks
  --pause MODE         Pause frames that are wanted: none, rx (default), tx or both
  --moderation POLICY  Interval between two interrupts: off, lowest, low (default), bulk or adaptive
  --force              Drive parts with a known defect, and with memory that they may not reach
";

/// Options of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// First kind of interrupt to try; those that follow are fallbacks.
    pub interrupts: Kind,
    /// Pause frames that are wanted of those that the partner offers.
    pub pause: Pause,
    /// Interval between two interrupts of the NIC.
    pub moderation: Policy,
    /// Drive parts with a known defect, and with memory that they may not reach.
    pub force: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interrupts: Kind::MsiX,
            pause: Pause::RX,
            moderation: DEFAULT_POLICY,
            force: false,
        }
    }
}

/// A command line that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// An option is unknown or lacks its value, or there is an argument that belongs to no option.
    #[error(transparent)]
    CommandLine(#[from] lexopt::Error),
    /// The value of an option is none of those that it takes.
    #[error("--{option} takes {expected}, not \"{}\"", value.to_string_lossy().escape_debug())]
    Value {
        /// Name of the option.
        option: &'static str,
        /// The values that it takes.
        expected: &'static str,
        /// The value that was given.
        value: OsString,
    },
}

impl Options {
    /// Parses a command line without the program's name. `None` if it asks for help.
    ///
    /// # Errors
    ///
    /// See [`OptionsError`].
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Self>, OptionsError> {
        let mut options = Self::default();
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long(name) => {
                    let name = name.to_owned();
                    if !options.take(&name, &mut parser)? {
                        return Err(Long(&name).unexpected().into());
                    }
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(options))
    }

    /// Takes these options out of a command line that has others, too. Returns them, and the rest in its order.
    ///
    /// # Errors
    ///
    /// See [`OptionsError`]; of the rest nothing is an error.
    pub fn split(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<(Self, Vec<OsString>), OptionsError> {
        let mut options = Self::default();
        let mut rest = Vec::new();
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            let mut other = match argument {
                Value(value) => {
                    rest.push(value);
                    continue;
                }
                Short(name) => format!("-{name}"),
                Long(name) => {
                    let name = name.to_owned();
                    if options.take(&name, &mut parser)? {
                        continue;
                    }
                    format!("--{name}")
                }
            }
            .into();
            if let Some(value) = parser.optional_value() {
                OsString::push(&mut other, "=");
                other.push(value);
            }
            rest.push(other);
        }
        Ok((options, rest))
    }

    /// Takes the option `name`, whose value comes next. Returns false if there is no such option.
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<bool, OptionsError> {
        match name {
            "interrupts" => {
                self.interrupts = value(parser, "interrupts", "msi-x, msi, intx or polling")?;
            }
            "pause" => self.pause = value(parser, "pause", "none, rx, tx or both")?,
            "moderation" => {
                self.moderation = value(parser, "moderation", "off, lowest, low, bulk or adaptive")?;
            }
            "force" => self.force = true,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Text of `--help`.
pub fn help() -> String {
    format!(
        "Driver daemon for Intel Gigabit Ethernet on Redox OS, started by pcid-spawner\n\n\
         Usage: e1000d [OPTIONS]\n\n\
         {DESCRIPTION}  -h, --help           Print this text\n"
    )
}

/// Parses the value of an option.
fn value<T: FromStr>(
    parser: &mut Parser,
    option: &'static str,
    expected: &'static str,
) -> Result<T, OptionsError> {
    let value = parser.value()?;
    let parsed = value.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or(OptionsError::Value {
        option,
        expected,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split_whitespace().map(OsString::from)
    }

    fn parse(line: &str) -> Options {
        let options = Options::parse(words(line)).expect("a command line");
        options.expect("options")
    }

    fn error(line: &str) -> String {
        let result = Options::parse(words(line));
        result.expect_err("an error").to_string()
    }

    #[test]
    fn interrupts_pause_and_moderation_may_be_chosen() {
        let default = Options::default();
        assert_eq!(parse(""), default);
        assert_eq!(
            parse("--interrupts intx"),
            Options {
                interrupts: Kind::Line,
                ..default
            }
        );
        assert_eq!(
            parse("--pause both --interrupts=msi"),
            Options {
                interrupts: Kind::Msi,
                pause: Pause::BOTH,
                ..default
            }
        );
        assert_eq!(
            parse("--moderation adaptive --force"),
            Options {
                moderation: Policy::Adaptive,
                force: true,
                ..default
            }
        );
    }

    #[test]
    fn errors_name_the_option() {
        for (line, message) in [
            (
                "--interrupts irq",
                "--interrupts takes msi-x, msi, intx or polling, not \"irq\"",
            ),
            ("--pause full", "--pause takes none, rx, tx or both, not \"full\""),
            (
                "--moderation 8000",
                "--moderation takes off, lowest, low, bulk or adaptive, not \"8000\"",
            ),
            ("--pause", "missing argument for option '--pause'"),
            ("--fast", "invalid option '--fast'"),
            ("-f", "invalid option '-f'"),
            ("fast", "unexpected argument \"fast\""),
            ("--force=yes", "unexpected argument for option '--force': \"yes\""),
        ] {
            assert_eq!(error(line), message);
        }
    }

    #[test]
    fn help_names_every_option_and_value() {
        for line in ["-h", "--help", "--force --help"] {
            assert!(matches!(Options::parse(words(line)), Ok(None)), "{line}");
        }
        for option in ["--interrupts", "--pause", "--moderation", "--force"] {
            assert!(help().contains(option), "{option}");
        }
        for value in ["msi-x", "msi", "intx", "polling", "none", "rx", "tx", "both"] {
            assert!(help().contains(value), "{value}");
        }
        for value in ["off", "lowest", "low", "bulk", "adaptive"] {
            assert!(help().contains(value), "{value}");
        }
    }

    #[test]
    fn options_are_taken_out_of_a_command_line_with_others() {
        let line = "--nic e1000e --pause tx --mac=52:54:00:12:34:56 --force -v file";
        let (options, rest) = Options::split(words(line)).expect("a command line");
        let expected = Options {
            pause: Pause::TX,
            force: true,
            ..Options::default()
        };
        assert_eq!(options, expected);
        let others = "--nic e1000e --mac=52:54:00:12:34:56 -v file";
        assert_eq!(rest, words(others).collect::<Vec<_>>());
        assert!(Options::split(words("--nic e1000 --pause full")).is_err());
    }
}
