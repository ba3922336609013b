//! `cargo xtask stack`

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolKind};
use serde::Deserialize;

use crate::process::{cargo, output, target};
use crate::steps::Steps;

/// Most bytes of the stack that a function of the chip core may take: a kernel's whole stack is 8 or 16 KiB.
const LIMIT: u64 = 2048;
/// Frames that are shown.
const SHOWN: usize = 5;

/// A function and its frame.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    size: u64,
    function: String,
}

/// A message of cargo about a crate that it has compiled.
#[derive(Deserialize)]
struct Artifact {
    #[serde(default)]
    target: Target,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
struct Target {
    name: String,
}

/// Measures the stack frames of the chip core, as the example `kernel` uses it, in release mode on x86-64, and fails if
/// one is larger than a kernel's stack can bear.
pub fn run() -> Result<()> {
    if let Some(reason) = obstacle() {
        bail!("{reason}");
    }
    check()
}

/// The same as a part of the tests: where it is impossible it is skipped.
pub fn check_or_skip() -> Result<()> {
    match obstacle() {
        Some(reason) => {
            eprintln!("SKIPPED: {reason}");
            Ok(())
        }
        None => check(),
    }
}

/// Reason why stack frames cannot be measured.
fn obstacle() -> Option<String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Some("stack frames are measured on x86-64 Linux only".to_owned());
    }
    let mut command = Command::new("rustc");
    command.args(["-Z", "emit-stack-sizes", "--print", "sysroot"]);
    let refused = output(command.env("RUSTC_BOOTSTRAP", "1")).err()?;
    Some(format!("the compiler does not tell stack frames: {refused:#}"))
}

fn check() -> Result<()> {
    let steps = Steps::new(false);
    let mut frames = steps.step("compile", || {
        let frames = compile()?
            .iter()
            .map(|library| read(library))
            .collect::<Result<Vec<_>>>()?;
        let frames: Vec<Frame> = frames.into_iter().flatten().collect();
        let count = frames.len();
        Ok((frames, format!("{count} functions")))
    })?;
    if frames.len() < 100 {
        bail!("only {} functions tell their stack frames", frames.len());
    }
    frames.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.function.cmp(&b.function)));
    for Frame { size, function } in frames.iter().take(SHOWN) {
        println!("{size:>6}  {function}");
    }
    let large = frames.iter().take_while(|frame| frame.size > LIMIT).count();
    if large > 0 {
        bail!("{large} functions take more than {LIMIT} bytes of the stack");
    }
    Ok(())
}

/// Compiles the core and its example, and returns their libraries.
fn compile() -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "e1000-hw",
    ]);
    command.args(["--example", "kernel", "--message-format", "json"]);
    // Other flags than those of all other builds, which would have to be built again.
    command.arg("--target-dir").arg(target().join("stack"));
    command.env("RUSTFLAGS", "-Z emit-stack-sizes");
    command.env("RUSTC_BOOTSTRAP", "1");
    // Code, and not what a linker makes code of.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off");
    let mut libraries = vec![];
    for line in output(&mut command)?.lines() {
        let artifact: Artifact = serde_json::from_str(line).context("cargo's messages")?;
        let ours = ["kernel", "e1000_hw"].contains(&artifact.target.name.as_str());
        let is_library = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "rlib");
        libraries.extend(artifact.filenames.into_iter().filter(is_library).filter(|_| ours));
    }
    if libraries.len() != 2 {
        bail!("cargo made {libraries:?}");
    }
    Ok(libraries)
}

/// Stack frames of the functions in a library, but for those of the fake.
fn read(library: &Path) -> Result<Vec<Frame>> {
    let data = fs::read(library).with_context(|| library.display().to_string())?;
    let archive = ArchiveFile::parse(&*data)?;
    let mut frames = vec![];
    for member in archive.members() {
        let member = member?;
        if member.name().ends_with(b".o") {
            frames.extend(read_object(member.data(&*data)?)?);
        }
    }
    frames.retain(|frame| !frame.function.contains("e1000_hw::fake::"));
    Ok(frames)
}

/// Entries of the sections `.stack_sizes`: the address of a function, from a relocation, and its frame as a number
/// in LEB128 (LLVM, "CodeGen: Emitting function stack size information").
fn read_object(data: &[u8]) -> Result<Vec<Frame>> {
    let file = object::File::parse(data)?;
    let functions: HashMap<_, _> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text)
        .filter_map(|symbol| Some(((symbol.section_index()?, symbol.address()), symbol.name().ok()?)))
        .collect();
    let mut frames = vec![];
    for section in file
        .sections()
        .filter(|section| section.name() == Ok(".stack_sizes"))
    {
        let data = section.data()?;
        for (offset, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                continue;
            };
            let symbol = file.symbol_by_index(index)?;
            let address = symbol.address().wrapping_add_signed(relocation.addend());
            let name = symbol
                .section_index()
                .and_then(|section| functions.get(&(section, address)))
                .copied()
                .unwrap_or("a function without a name");
            let size = usize::try_from(offset)?
                .checked_add(8)
                .and_then(|at| number(data.get(at..)?))
                .context("the section .stack_sizes is cut short")?;
            let function = format!("{:#}", rustc_demangle::demangle(name));
            frames.push(Frame { size, function });
        }
    }
    Ok(frames)
}

/// The number in LEB128 at the beginning of `bytes`.
fn number(bytes: &[u8]) -> Option<u64> {
    let mut value = 0;
    for (n, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_at_the_first_byte_without_the_highest_bit() {
        assert_eq!(number(&[0x7F, 0xFF]), Some(127));
        assert_eq!(number(&[0xE5, 0x8E, 0x26]), Some(624_485));
        assert_eq!(number(&[0x80]), None);
        assert_eq!(number(&[]), None);
    }
}
