//! What `cargo test` printed, by NIC.

use std::collections::BTreeMap;

/// What a run of tests came to.
#[derive(Debug, Default, PartialEq)]
pub struct Results {
    passed: u32,
    /// Names of tests that failed, with the NICs that they named; none if they named none.
    failed: BTreeMap<String, Vec<String>>,
    /// Programs that ended without saying what they found.
    broken: bool,
}

/// Understands the output of `cargo test`. None if no test ran.
pub fn parse(output: &str) -> Option<Results> {
    let mut results = Results::default();
    let (mut programs, mut ended) = (0, 0);
    let mut current = None;
    for line in output.lines() {
        if line.starts_with("running ") && line.trim_end().ends_with(['s', 't']) {
            programs += 1;
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            ended += 1;
            let mut words = rest.split_whitespace();
            let count = words.position(|word| word == "passed;").and_then(|at| {
                rest.split_whitespace()
                    .nth(at.checked_sub(1)?)?
                    .parse::<u32>()
                    .ok()
            });
            results.passed += count.unwrap_or(0);
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            results.failed.entry(name.to_owned()).or_default();
        } else if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            current = Some(name.to_owned());
        } else if let Some(nics) = line.strip_prefix("failed for [")
            && let Some((nics, _)) = nics.split_once(']')
            && let Some(failed) = current.as_ref().and_then(|name| results.failed.get_mut(name))
        {
            failed.extend(nics.split(", ").map(|nic| nic.trim_matches('"').to_owned()));
        }
    }
    results.broken = programs != ended;
    (ended > 0).then_some(results)
}

impl Results {
    /// The result for a NIC, or what is wrong. A failure that names no NIC counts for each.
    pub fn cell(&self, nic: &str) -> Result<String, String> {
        let concerns = |nics: &Vec<String>| nics.is_empty() || nics.iter().any(|name| name == nic);
        let failed: Vec<&str> = self
            .failed
            .iter()
            .filter_map(|(name, nics)| concerns(nics).then_some(name.as_str()))
            .collect();
        match (failed.is_empty(), self.broken) {
            (true, false) => Ok(format!("ok, {} passed", self.passed)),
            (true, true) => Err("a test program ended early".into()),
            (false, _) => Err(failed.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = r#"
running 3 tests
test first ... ok
test second ... FAILED
test third ... FAILED

failures:

---- second stdout ----
thread 'second' panicked at homes/hosted/tests/common/mod.rs:49:9:
failed for ["e1000", "e1000e"]; see above
---- third stdout ----
thread 'third' panicked at somewhere:1:1:

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s

running 1 test
test fourth ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
"#;

    #[test]
    fn failures_belong_to_the_nics_that_they_name_or_to_all() {
        let results = parse(OUTPUT).unwrap();
        assert_eq!(results.passed, 2);
        assert_eq!(results.cell("e1000"), Err("second, third".into()));
        assert_eq!(results.cell("e1000-82544gc"), Err("third".into()));
    }

    #[test]
    fn run_without_failures_is_ok_and_a_program_that_ended_early_is_none() {
        let good = OUTPUT
            .lines()
            .skip_while(|line| *line != "running 1 test")
            .collect::<Vec<_>>()
            .join("\n");
        assert_eq!(parse(&good).unwrap().cell("e1000"), Ok("ok, 1 passed".into()));
        let early = format!("{good}\nrunning 7 tests\ntest fifth ... ok\n");
        assert!(parse(&early).unwrap().cell("e1000").is_err());
        assert_eq!(parse("error: could not compile"), None);
    }
}
