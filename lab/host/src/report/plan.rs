//! Scenarios of the report: on which machine each is played, for which column of the table.

use std::time::Duration;

use crate::system::hardware::{HUB, Nic, USER};

/// A driver on a NIC.
pub struct Column {
    /// In the table.
    pub title: &'static str,
    /// QEMU's name of the NIC.
    pub model: &'static str,
    /// A model that the driver knows, other than its own.
    partner: &'static str,
    /// For names of jobs.
    name: &'static str,
    pub stock: bool,
    /// Kinds of interrupts that can be forced.
    interrupts: &'static [&'static str],
}

/// The stock driver is the first. It drives only two of QEMU's models.
const COLUMNS: [Column; 5] = [
    Column {
        title: "stock, 82540EM",
        model: "e1000",
        partner: "e1000-82545em",
        name: "stock",
        stock: true,
        interrupts: &[],
    },
    Column {
        title: "82540EM",
        model: "e1000",
        partner: "e1000e",
        name: "e1000",
        stock: false,
        interrupts: &["intx", "polling"],
    },
    Column {
        title: "82544GC",
        model: "e1000-82544gc",
        partner: "e1000e",
        name: "e1000-82544gc",
        stock: false,
        interrupts: &["intx", "polling"],
    },
    Column {
        title: "82545EM",
        model: "e1000-82545em",
        partner: "e1000",
        name: "e1000-82545em",
        stock: false,
        interrupts: &["intx", "polling"],
    },
    Column {
        title: "82574L",
        model: "e1000e",
        partner: "e1000",
        name: "e1000e",
        stock: false,
        interrupts: &["msi-x", "msi", "intx", "polling"],
    },
];

/// Titles of the columns.
pub fn columns() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.title).collect()
}

/// Groups of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Boot,
    Interrupts,
    Contract,
    Restart,
    Link,
    Pair,
    Load,
}

impl Group {
    /// Above its rows.
    pub fn title(self) -> &'static str {
        match self {
            Self::Boot => "Boot: driver, MAC address, DHCP, 4 of 4 pings through the stack",
            Self::Interrupts => "Kinds of interrupts, each forced: boot as above",
            Self::Contract => "The contract with clients, checked through `lab-agent check` in the system",
            Self::Restart => "Restart by hand",
            Self::Link => "The link",
            Self::Pair => {
                "Two NICs connected to each other: numbered and hashed frames, both directions at once"
            }
            Self::Load => {
                "Load: as in `cargo xtask bench`, medians and ranges, with nothing else on the host"
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Interrupts => "interrupts",
            Self::Contract => "contract",
            Self::Restart => "restart",
            Self::Link => "link",
            Self::Pair => "pair",
            Self::Load => "load",
        }
    }
}

/// The host's part meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Nothing,
    /// Gives the link when the system waits for an address.
    LateLink,
    /// Switches the link as the scenario wants.
    Link,
}

/// One machine, booted once; more often only if the system stops in the middle of the contract.
pub struct Job {
    /// Index of the column.
    pub column: usize,
    pub group: Group,
    /// The row that all its steps make together; `None` if each is a row.
    pub row: Option<String>,
    pub stock: bool,
    /// Name of the client's scenario.
    pub scenario: &'static str,
    /// The client's `--time`.
    pub time: Duration,
    pub machine: &'static str,
    pub smp: u32,
    pub nics: Vec<Nic<'static>>,
    /// The driver's arguments.
    pub arguments: Vec<&'static str>,
    pub host: Host,
}

impl Job {
    fn new(column: usize, group: Group, scenario: &'static str) -> Self {
        let Column { model, stock, .. } = COLUMNS[column];
        Self {
            column,
            group,
            row: None,
            stock,
            scenario,
            time: Duration::from_secs(60),
            machine: "pc",
            smp: 1,
            nics: vec![Nic {
                model,
                netdev: USER,
                link: true,
                slot: None,
            }],
            arguments: Vec::new(),
            host: Host::Nothing,
        }
    }

    fn row(mut self, row: String) -> Self {
        self.row = Some(row);
        self
    }

    /// For people, `--only` and the console's file.
    pub fn name(&self) -> String {
        let row = self.row.as_ref().map_or_else(String::new, |row| {
            let letter = |letter: char| if letter.is_alphanumeric() { letter } else { '-' };
            format!("/{}", row.chars().map(letter).collect::<String>())
        });
        let row = row.replace("--", "-");
        let scenario = if self.scenario == self.group.name() {
            String::new()
        } else {
            format!("/{}", self.scenario)
        };
        let name = format!("{}/{}", COLUMNS[self.column].name, self.group.name());
        if row.is_empty() {
            name + &scenario
        } else {
            name + row.trim_end_matches('-')
        }
    }

    /// Returns true if it is among those asked for: parts of names, or all.
    pub fn is_meant_by(&self, only: &[String]) -> bool {
        is_meant(&self.name(), only)
    }

    /// Returns true if the two make the same rows, for two drivers or NICs.
    pub fn is_alike(&self, other: &Self) -> bool {
        (self.group, self.scenario, &self.row) == (other.group, other.scenario, &other.row)
    }

    /// Returns true if drivers are compared by its speed: then nothing else is to run on the host.
    pub fn is_measured(&self) -> bool {
        self.group == Group::Pair || self.host == Host::Link
    }
}

fn is_meant(name: &str, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|part| name.contains(part.as_str()))
}

/// Load on one driver and NIC.
pub struct Load {
    pub column: usize,
    pub name: String,
    pub model: &'static str,
    pub stock: bool,
}

/// Load for all columns that are asked for.
pub fn loads(only: &[String]) -> Vec<Load> {
    let load = |(column, of): (usize, &Column)| Load {
        column,
        name: format!("{}/{}", of.name, Group::Load.name()),
        model: of.model,
        stock: of.stock,
    };
    let mut loads: Vec<_> = COLUMNS.iter().enumerate().map(load).collect();
    loads.retain(|load| is_meant(&load.name, only));
    loads
}

/// Rows appear in this order, our columns first: they have all of them.
pub fn position(job: &Job) -> (Group, bool, usize) {
    (job.group, job.stock, job.column)
}

/// Everything: `pair` is how long two NICs exchange frames, `soak` how long they do it once more.
pub fn jobs(pair: Duration, soak: Option<Duration>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (number, column) in COLUMNS.iter().enumerate() {
        for (machine, smp) in [("pc", 1), ("pc", 4), ("q35", 1), ("q35", 4)] {
            let row = format!(
                "machine {machine}, {smp} processor{}",
                if smp == 1 { "" } else { "s" }
            );
            jobs.push(Job {
                machine,
                smp,
                ..Job::new(number, Group::Boot, "boot").row(row)
            });
        }
        for &kind in column.interrupts {
            jobs.push(Job {
                arguments: vec!["--interrupts", kind],
                ..Job::new(number, Group::Interrupts, "boot").row(kind.to_owned())
            });
        }
        jobs.push(Job::new(number, Group::Contract, "contract"));
        jobs.push(Job::new(number, Group::Restart, "restart"));
        let mut late = Job::new(number, Group::Link, "late-link");
        late.host = Host::LateLink;
        late.nics[0].link = false;
        jobs.push(late);
        jobs.push(Job {
            host: Host::Link,
            ..Job::new(number, Group::Link, "link")
        });
        jobs.extend(pairs(number, pair, soak));
    }
    jobs
}

/// Two NICs: of one model or two, with lines of their own or one for both.
fn pairs(number: usize, time: Duration, soak: Option<Duration>) -> Vec<Job> {
    let Column {
        model,
        partner,
        stock,
        interrupts,
        ..
    } = COLUMNS[number];
    let nic = |model, slot| Nic {
        model,
        netdev: HUB,
        link: true,
        slot: Some(slot),
    };
    // PCI slots share a line on this machine if their numbers are 4 apart.
    let kinds = [
        ("the same model", [nic(model, 4), nic(model, 5)], time, false),
        (
            "with another model",
            [nic(model, 4), nic(partner, 5)],
            time,
            false,
        ),
        (
            "the same model, one INTx line for both",
            [nic(model, 4), nic(model, 8)],
            time,
            true,
        ),
        (
            "with another model, one INTx line for both",
            [nic(model, 4), nic(partner, 8)],
            time,
            true,
        ),
    ];
    let long = soak.filter(|_| model == "e1000" && !stock).map(|soak| {
        (
            "82540EM with 82574L, soak",
            [nic("e1000", 4), nic("e1000e", 5)],
            soak,
            false,
        )
    });
    kinds
        .into_iter()
        .chain(long)
        .map(|(row, nics, time, shared)| Job {
            time,
            nics: nics.to_vec(),
            arguments: if shared && !interrupts.is_empty() {
                vec!["--interrupts", "intx"]
            } else {
                Vec::new()
            },
            ..Job::new(number, Group::Pair, "pair").row(format!("{row}, {} s", time.as_secs()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn jobs_have_names_of_their_own() {
        let jobs = jobs(Duration::from_secs(20), Some(Duration::from_secs(600)));
        let names: HashSet<_> = jobs.iter().map(Job::name).collect();
        assert_eq!(names.len(), jobs.len(), "{names:?}");
        assert!(names.contains("stock/boot/machine-pc-1-processor"), "{names:?}");
        assert!(names.contains("e1000e/interrupts/msi-x"), "{names:?}");
        assert!(names.contains("e1000/link/late-link"), "{names:?}");
        assert_eq!(names.iter().filter(|name| name.contains("soak")).count(), 1);
    }

    #[test]
    fn what_is_compared_by_its_pace_runs_alone() {
        let jobs = jobs(Duration::from_secs(20), None);
        let measured = |name: &str| jobs.iter().find(|job| job.name() == name).unwrap().is_measured();
        assert!(measured("e1000/link") && measured("e1000/pair/the-same-model-20-s"));
        assert!(!measured("e1000/link/late-link") && !measured("e1000/contract"));
    }

    #[test]
    fn load_is_for_every_column() {
        assert_eq!(loads(&[]).len(), COLUMNS.len());
        let some = loads(&["e1000e".to_owned()]);
        assert_eq!((some.len(), some[0].model, some[0].stock), (1, "e1000e", false));
        assert!(loads(&["contract".to_owned()]).is_empty());
    }

    #[test]
    fn stock_driver_is_given_no_arguments() {
        let jobs = jobs(Duration::from_secs(20), None);
        let stock: Vec<_> = jobs.iter().filter(|job| job.stock).collect();
        assert!(stock.iter().all(|job| job.arguments.is_empty()));
        assert!(stock.iter().all(|job| {
            job.nics
                .iter()
                .all(|nic| ["e1000", "e1000-82545em"].contains(&nic.model))
        }));
    }

    #[test]
    fn selection_is_a_part_of_a_name() {
        let jobs = jobs(Duration::from_secs(20), None);
        let count = |only: &str| {
            jobs.iter()
                .filter(|job| job.is_meant_by(&[only.to_owned()]))
                .count()
        };
        assert_eq!(count("contract"), COLUMNS.len());
        assert_eq!(count("stock/boot"), 4);
        assert_eq!(count("nothing"), 0);
        assert!(jobs.iter().all(|job| job.is_meant_by(&[])));
    }
}
