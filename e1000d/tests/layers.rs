//! The folders of the daemon depend on each other in one direction (docs/design.md, "The daemon").

use std::fs;
use std::path::{Path, PathBuf};

/// Folders, and the parts of the crate that they may use besides themselves.
const LAYERS: [(&str, &[&str]); 4] = [
    ("overload", &[]),
    ("scheme", &["overload"]),
    ("driver", &["scheme", "overload"]),
    ("redox", &["error", "platform"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let deeper = folders.iter().flat_map(|folder| sources(folder));
    files.into_iter().chain(deeper).collect()
}

#[test]
fn folders_use_only_those_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (folder, allowed) in LAYERS {
        for path in sources(&root.join(folder)) {
            let text = fs::read_to_string(&path).expect("a source");
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                for part in line.split("crate::").skip(1) {
                    let used = part.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                    let used = used.unwrap_or_default();
                    assert!(
                        used == folder || allowed.contains(&used),
                        "{}: {line}",
                        path.display()
                    );
                }
            }
        }
    }
}
