//! Environment variables in which pcid-spawner and init pass descriptors to a driver.

use std::ffi::OsStr;

/// The variable with the descriptor number of the open [`Channel`](crate::Channel).
pub const PCID_CLIENT_CHANNEL: &str = "PCID_CLIENT_CHANNEL";

/// The variable with the descriptor number of the pipe that takes one byte when the driver is ready.
pub const INIT_NOTIFY: &str = "INIT_NOTIFY";

/// A variable that should hold a descriptor number does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} should be the decimal number of a file descriptor, not \"{}\"", value.escape_debug())]
pub struct EnvironmentError {
    /// The variable.
    pub name: &'static str,
    /// Its value; bytes that are not UTF-8 are replaced.
    pub value: String,
}

/// The file descriptor that a variable names, or `None` if the variable is not set.
///
/// `value` is what `std::env::var_os(name)` returns; reading the environment is left to the caller.
///
/// # Errors
///
/// [`EnvironmentError`] if the value is not a decimal number.
pub fn parse_fd(name: &'static str, value: Option<&OsStr>) -> Result<Option<usize>, EnvironmentError> {
    let Some(value) = value else { return Ok(None) };
    match value.to_str().map(str::parse) {
        Some(Ok(fd)) => Ok(Some(fd)),
        _ => Err(EnvironmentError {
            name,
            value: value.to_string_lossy().into_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Option<usize>, EnvironmentError> {
        parse_fd(INIT_NOTIFY, Some(OsStr::new(value)))
    }

    #[test]
    fn unset_variable_is_none_and_number_is_itself() {
        assert_eq!(parse_fd(PCID_CLIENT_CHANNEL, None), Ok(None));
        assert_eq!(parse("3"), Ok(Some(3)));
        assert_eq!(parse(&usize::MAX.to_string()), Ok(Some(usize::MAX)));
    }

    #[test]
    fn anything_but_a_decimal_number_is_refused_by_name() {
        for value in ["", "-1", "3 ", "0x3", "three", "99999999999999999999999"] {
            let error = parse(value).unwrap_err();
            assert_eq!(
                error,
                EnvironmentError {
                    name: INIT_NOTIFY,
                    value: value.into()
                }
            );
            assert!(error.to_string().contains("INIT_NOTIFY"));
        }
    }
}
