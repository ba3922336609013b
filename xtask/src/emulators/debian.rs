//! Emulators from Debian's packages, unpacked and not installed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process::{executable, output};
use crate::tools::{QEMU, QEMU_PACKAGE};

/// With which Debian signs its suites.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Parts of packages that no emulator reads.
const LEFT_OUT: [&str; 4] = [
    "./usr/share/doc",
    "./usr/share/icons",
    "./usr/share/locale",
    "./usr/share/man",
];

/// A program of Debian's, and how it is started from a tree of unpacked packages.
pub struct Program {
    /// Its name, and that of the script that starts it.
    name: &'static str,
    /// What to fetch, with all that it depends on.
    packages: &'static [&'static str],
    /// The file in the tree.
    file: &'static str,
    /// Variables of its environment, and what in the tree they name.
    variables: &'static [(&'static str, &'static str)],
    /// Options, each with something in the tree.
    options: &'static [(&'static str, &'static str)],
}

/// QEMU for PCs.
pub const SYSTEM_QEMU: Program = Program {
    name: QEMU,
    packages: &[QEMU_PACKAGE],
    file: "usr/bin/qemu-system-x86_64",
    variables: &[],
    options: &[("-L", "usr/share/qemu"), ("-L", "usr/share/seabios")],
};

/// Bochs, with the smallest of its displays; the one that needs no terminal (rfb) is in its main package.
pub const BOCHS: Program = Program {
    name: "bochs",
    packages: &["bochs", "bochs-term", "bochsbios", "vgabios"],
    file: "usr/bin/bochs-bin",
    variables: &[
        ("LTDL_LIBRARY_PATH", "usr/lib/x86_64-linux-gnu/bochs/plugins"),
        ("BXSHARE", "usr/share/bochs"),
    ],
    options: &[],
};

/// A suite of Debian, below a directory of its own.
pub struct Suite {
    name: String,
    directory: PathBuf,
    mirror: Option<String>,
}

impl Suite {
    /// The suite with that name, below `place`; its packages come from `mirror`, or from where apt has its own.
    pub fn new(name: &str, mirror: Option<&str>, place: &Path) -> Result<Self> {
        let named = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
        ensure!(named && !name.is_empty(), "{name:?} is no name of a suite");
        Ok(Self {
            name: name.to_owned(),
            directory: place.join(name),
            mirror: mirror.map(str::to_owned),
        })
    }

    /// The files of the program, once it was fetched.
    pub fn tree(&self) -> PathBuf {
        self.directory.join("tree")
    }

    /// Fetches the program with all that it needs, or finds it as it was fetched before; the directory with a script
    /// that starts it by its own loader, with its own libraries.
    ///
    /// apt works in a directory of its own: it knows no other sources, no installed package, and needs no root.
    pub fn fetch(&self, program: &Program) -> Result<PathBuf> {
        let bin = self.directory.join("bin");
        let script = bin.join(program.name);
        if script.exists() {
            return Ok(bin);
        }
        self.configure()?;
        self.apt(&["update", "-qq"])?;
        let mut arguments = vec!["install", "-y", "-qq", "--download-only"];
        if self.base().is_some() {
            arguments.extend(["-t", &self.name]);
        }
        arguments.extend(program.packages);
        self.apt(&arguments)?;
        let tree = self.tree();
        let mut packages = 0;
        for entry in fs::read_dir(self.directory.join("cache/archives"))? {
            let package = entry?.path();
            if package.extension() == Some(OsStr::new("deb")) {
                unpack(&package, &tree)?;
                fs::remove_file(&package).with_context(|| format!("cannot remove {}", package.display()))?;
                packages += 1;
            }
        }
        ensure!(packages > 0, "apt-get fetched no package");
        // Last: that it is there says that all of the tree is.
        executable(&script, &starter(program, &tree)?)?;
        Ok(bin)
    }

    /// The suite that a suite of backports adds to.
    fn base(&self) -> Option<&str> {
        self.name.strip_suffix("-backports")
    }

    /// Makes the directories and files of apt.
    fn configure(&self) -> Result<()> {
        let mirror = match &self.mirror {
            Some(mirror) => mirror.clone(),
            None => machines_mirror()?,
        };
        for path in [
            "etc",
            "state/lists/partial",
            "cache/archives/partial",
            "tree",
            "bin",
        ] {
            let path = self.directory.join(path);
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let signed = if Path::new(KEYRING).exists() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        let write = |path: &str, text: String| {
            let path = self.directory.join(path);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        let suites = self.base().into_iter().chain([self.name.as_str()]);
        let sources = suites.map(|suite| format!("deb {signed}{mirror} {suite} main\n"));
        write("etc/sources.list", sources.collect())?;
        write("status", String::new())?;
        let at = self.directory.display();
        // A mirror may be behind; what it says is signed in any case.
        write(
            "apt.conf",
            format!(
                "Dir::Etc::SourceList \"{at}/etc/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
                 Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n\
                 Dir::State \"{at}/state\";\nDir::State::Status \"{at}/status\";\nDir::Cache \"{at}/cache\";\n\
                 APT::Sandbox::User \"root\";\nAPT::Install-Recommends \"false\";\n\
                 Acquire::Check-Valid-Until \"false\";\nAcquire::Languages \"none\";\nAcquire::Retries \"2\";\n"
            ),
        )
    }

    fn apt(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("apt-get");
        command
            .env("APT_CONFIG", self.directory.join("apt.conf"))
            .args(arguments);
        output(&mut command).map(|_| ())
    }
}

/// Unpacks a package without the parts that are [left out](LEFT_OUT).
fn unpack(package: &Path, tree: &Path) -> Result<()> {
    let mut reader = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let stream = reader.stdout.take().context("no output of dpkg-deb")?;
    let unpacked = Command::new("tar")
        .args(["-x", "-C"])
        .arg(tree)
        .args(LEFT_OUT.map(|path| format!("--exclude={path}")))
        .stdin(stream)
        .output()
        .context("cannot start tar")?;
    let read = reader.wait()?;
    if !(unpacked.status.success() && read.success()) {
        let reason = String::from_utf8_lossy(&unpacked.stderr);
        bail!("cannot unpack {}: {}", package.display(), reason.trim());
    }
    Ok(())
}

/// A script that starts the program in `tree`.
fn starter(program: &Program, tree: &Path) -> Result<String> {
    // Where /lib is a part of /usr, and where it is not.
    let loaders = ["usr/lib", "lib"].map(|lib| tree.join(lib).join("x86_64-linux-gnu/ld-linux-x86-64.so.2"));
    let Some(loader) = loaders.iter().find(|loader| loader.exists()) else {
        bail!("no x86_64 loader among the packages");
    };
    let (loader, tree) = (loader.display(), tree.display());
    let mut script = String::from("#!/bin/sh\n");
    for (name, path) in program.variables {
        script += &format!("export {name}='{tree}/{path}'\n");
    }
    script += &format!(
        "exec '{loader}' --library-path '{tree}/usr/lib/x86_64-linux-gnu:{tree}/lib/x86_64-linux-gnu' '{tree}/{}'",
        program.file
    );
    for (option, path) in program.options {
        script += &format!(" {option} '{tree}/{path}'");
    }
    Ok(script + " \"$@\"\n")
}

/// Where apt on this machine has Debian's packages from.
fn machines_mirror() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(REPO_URI)",
        "Created-By: Packages",
    ]);
    let sources = output(&mut command)?;
    let mut mirrors = sources.lines().filter_map(|line| line.strip_prefix("Debian "));
    // Security updates are a repository of their own, without suites like these.
    let mirror = mirrors.find(|mirror| !mirror.contains("security"));
    mirror
        .map(str::to_owned)
        .context("apt has no Debian packages on this machine; say --mirror URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_is_a_name_and_no_path_or_option() {
        let place = Path::new("/nowhere");
        for suite in ["", "../sid", "sid main\ndeb x", "a b"] {
            assert!(Suite::new(suite, None, place).is_err(), "{suite}");
        }
        assert!(Suite::new("trixie-backports", None, place).is_ok());
    }

    #[test]
    fn backports_come_with_what_they_add_to() {
        let place = tempfile::tempdir().unwrap();
        let suite = Suite::new("trixie-backports", Some("file:/m"), place.path()).unwrap();
        suite.configure().unwrap();
        let sources = fs::read_to_string(suite.directory.join("etc/sources.list")).unwrap();
        let suites: Vec<_> = sources
            .lines()
            .filter_map(|line| line.split("file:/m ").nth(1))
            .collect();
        assert_eq!(suites, ["trixie main", "trixie-backports main"]);
    }

    #[test]
    fn starter_takes_the_loader_that_is_there() {
        let tree = tempfile::tempdir().unwrap();
        assert!(starter(&SYSTEM_QEMU, tree.path()).is_err());
        let lib = tree.path().join("lib/x86_64-linux-gnu");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("ld-linux-x86-64.so.2"), "").unwrap();
        let script = starter(&SYSTEM_QEMU, tree.path()).unwrap();
        assert!(
            script.contains(&format!("exec '{}/ld-linux", lib.display())),
            "{script}"
        );
        assert!(script.ends_with("/usr/share/seabios' \"$@\"\n"), "{script}");
        let script = starter(&BOCHS, tree.path()).unwrap();
        assert!(script.contains("\nexport BXSHARE='"), "{script}");
    }

    #[test]
    fn package_is_unpacked_without_what_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let (root, tree) = (place.path().join("root"), place.path().join("tree"));
        for (path, text) in [
            (
                "DEBIAN/control",
                "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: n\nDescription: d\n",
            ),
            ("usr/share/doc/p/copyright", "c"),
            ("usr/share/p/data", "d"),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir(&tree).unwrap();
        let package = place.path().join("p.deb");
        let mut build = Command::new("dpkg-deb");
        build.args(["--root-owner-group", "-b"]).arg(&root).arg(&package);
        // Only where packages exist can they be fetched.
        if output(&mut build).is_ok() {
            unpack(&package, &tree).unwrap();
            assert!(tree.join("usr/share/p/data").exists());
            assert!(!tree.join("usr/share/doc/p").exists());
        }
        fs::write(&package, "no package").unwrap();
        assert!(unpack(&package, &tree).is_err());
    }
}
