//! Swapping on images that are made here, by the same crate that makes Redox's.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use gpt::GptConfig;
use gpt::mbr::ProtectiveMBR;
use redoxfs::{DiskIo, FileSystem};

use super::error::{Error, Result};
use super::locate::{Layout, Location, Window, locate};
use super::swap;
use super::volume::{NewFile, Volume};
use crate::program::{Architecture, fake_program};

const MIB: u64 = 1 << 20;
const STOCK: &str = "/usr/lib/drivers/e1000d";

/// An empty image file that ends with the test.
fn empty(length: u64) -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(length).unwrap();
    file
}

fn format(image: &File, start: u64, length: u64, password: Option<&[u8]>) {
    let window = Window::new(image.try_clone().unwrap(), start, length);
    FileSystem::create(DiskIo(window), password, 1_780_000_000, 0).unwrap();
}

/// As Redox's build makes it without partitions: a boot loader, and the file system at 2 MiB.
fn raw_image() -> File {
    let image = empty(16 * MIB);
    image.write_all_at(&[0xEB; 512], 0).unwrap();
    format(&image, 2 * MIB, 14 * MIB, None);
    with_stock_driver(image)
}

/// A boot partition, and the file system in a partition behind it.
fn gpt_image() -> File {
    let image = empty(24 * MIB);
    let sectors = u32::try_from(24 * MIB / 512).unwrap();
    let mut device = image.try_clone().unwrap();
    ProtectiveMBR::with_lb_size(sectors - 1)
        .overwrite_lba0(&mut device)
        .unwrap();
    let mut disk = GptConfig::new()
        .writable(true)
        .logical_block_size(gpt::disk::LogicalBlockSize::Lb512)
        .create_from_device(device, None)
        .unwrap();
    disk.add_partition("BIOS", MIB, gpt::partition_types::BIOS, 0, None)
        .unwrap();
    disk.add_partition("REDOX", 16 * MIB, gpt::partition_types::LINUX_FS, 0, None)
        .unwrap();
    let lb = *disk.logical_block_size();
    let redox = disk.partitions()[&2].clone();
    disk.write().unwrap();
    format(
        &image,
        redox.bytes_start(lb).unwrap(),
        redox.bytes_len(lb).unwrap(),
        None,
    );
    with_stock_driver(image)
}

fn with_stock_driver(image: File) -> File {
    let stock = fake_program(2, 62, 100_000);
    open(&image)
        .unwrap()
        .write(&[NewFile {
            path: STOCK,
            data: &stock,
            executable: true,
        }])
        .unwrap();
    image
}

fn open(image: &File) -> Result<Volume> {
    Volume::open(image.try_clone().unwrap(), &locate(image)?)
}

#[test]
fn driver_is_swapped_in_and_back_in_both_layouts() {
    for (image, layout) in [(raw_image(), Layout::Raw), (gpt_image(), Layout::Gpt)] {
        assert_eq!(locate(&image).unwrap().layout, layout);
        let driver = fake_program(2, 62, 300_000);
        let mut volume = open(&image).unwrap();
        let free = volume.free();
        assert_eq!(
            swap::target(&mut volume).unwrap().architecture,
            Architecture::X86_64
        );
        swap::install(&mut volume, &driver).unwrap();
        drop(volume);

        // As the system will find it.
        let mut volume = open(&image).unwrap();
        assert!(volume.read(swap::DRIVER).unwrap().unwrap() == driver);
        assert_eq!(
            volume.read(swap::MATCH_FILE).unwrap().unwrap(),
            swap::match_file().as_bytes()
        );
        for (path, mode) in [
            (swap::DRIVER, 0o100_755),
            (swap::MATCH_FILE, 0o100_644),
            ("/etc/pcid.d", 0o040_755),
        ] {
            assert_eq!(volume.attributes(path), Some((mode, 0, 0)), "{path}");
        }
        assert!(volume.read(STOCK).unwrap().is_some());

        swap::undo(&mut volume).unwrap();
        drop(volume);
        let mut volume = open(&image).unwrap();
        assert!(volume.read(swap::DRIVER).unwrap().is_none());
        assert!(volume.read(swap::MATCH_FILE).unwrap().is_none());
        assert_eq!(volume.read(STOCK).unwrap().unwrap(), fake_program(2, 62, 100_000));
        // Directories and the file system's lists stay.
        assert!(free - volume.free() < 64 << 10);
        assert!(matches!(swap::undo(&mut volume), Err(Error::NothingToUndo)));
    }
}

#[test]
fn second_swap_replaces_the_first() {
    let image = raw_image();
    let mut volume = open(&image).unwrap();
    swap::install(&mut volume, &fake_program(2, 62, 300_000)).unwrap();
    let second = fake_program(2, 62, 5000);
    swap::install(&mut volume, &second).unwrap();
    assert!(volume.read(swap::DRIVER).unwrap().unwrap() == second);
}

#[test]
fn match_file_of_somebody_else_is_left_alone() {
    let image = raw_image();
    let mut volume = open(&image).unwrap();
    let other = NewFile {
        path: swap::MATCH_FILE,
        data: b"drivers = []\n",
        executable: false,
    };
    volume.write(&[other]).unwrap();
    let install = swap::install(&mut volume, &fake_program(2, 62, 64));
    assert!(matches!(install, Err(Error::ForeignOverride(_))));
    assert!(matches!(swap::undo(&mut volume), Err(Error::ForeignOverride(_))));
    assert_eq!(volume.read(swap::MATCH_FILE).unwrap().unwrap(), b"drivers = []\n");
}

#[test]
fn report_comes_off_and_the_client_that_was_there_comes_back() {
    let image = raw_image();
    let mut volume = open(&image).unwrap();
    for before in [None, Some(fake_program(2, 62, 9000))] {
        if let Some(data) = &before {
            volume
                .write(&[NewFile {
                    path: swap::CLIENT,
                    data,
                    executable: true,
                }])
                .unwrap();
        }
        let state = swap::install_report(&mut volume, &fake_program(2, 62, 7000), 30).unwrap();
        assert!(volume.read(swap::UNIT).unwrap().is_some());
        assert_eq!(volume.read(swap::CLIENT).unwrap().unwrap().len(), 7000);
        swap::remove_report(&mut volume, &state).unwrap();
        assert!(volume.read(swap::UNIT).unwrap().is_none());
        assert_eq!(volume.read(swap::CLIENT).unwrap(), before);
    }
}

#[test]
fn image_without_file_system_says_where_was_looked() {
    let image = empty(4 * MIB);
    image.write_all_at(b"RedoxFS is not here", 2 * MIB).unwrap();
    let error = locate(&image).unwrap_err().to_string();
    assert_eq!(
        error,
        "no RedoxFS in the image: looked at 0 partition(s) and the first 4 MiB"
    );
}

#[test]
fn encrypted_file_system_is_told() {
    let image = empty(8 * MIB);
    format(&image, 2 * MIB, 6 * MIB, Some(b"secret"));
    assert!(matches!(locate(&image), Err(Error::Encrypted { offset }) if offset == 2 * MIB));
}

#[test]
fn other_version_of_the_format_is_told() {
    let image = empty(8 * MIB);
    format(&image, 2 * MIB, 6 * MIB, None);
    // The version follows the signature, in each header of the ring.
    for header in 0..redoxfs::HEADER_RING {
        let place = 2 * MIB + header * redoxfs::BLOCK_SIZE;
        image.write_all_at(&99_u64.to_le_bytes(), place + 8).unwrap();
    }
    let error = locate(&image).unwrap_err();
    assert!(
        matches!(error, Error::Version { offset, found: 99, .. } if offset == 2 * MIB),
        "{error}"
    );
}

#[test]
fn damaged_first_header_does_not_hide_the_file_system() {
    let image = raw_image();
    let Location { start, .. } = locate(&image).unwrap();
    image.write_all_at(&[0; 4096], start).unwrap();
    let location = locate(&image).unwrap();
    assert_eq!(location.start, start);
    assert!(open(&image).unwrap().read(STOCK).unwrap().is_some());
}

#[test]
fn partition_of_the_master_boot_record_is_found_where_no_block_begins() {
    let image = empty(16 * MIB);
    let start = 63 * 512;
    format(&image, start, 14 * MIB, None);
    let mut entry = [0; 16];
    entry[4] = 0x83;
    entry[8..12].copy_from_slice(&63_u32.to_le_bytes());
    entry[12..].copy_from_slice(&u32::try_from(14 * MIB / 512).unwrap().to_le_bytes());
    image.write_all_at(&entry, 446).unwrap();
    image.write_all_at(&[0x55, 0xAA], 510).unwrap();
    let location = locate(&image).unwrap();
    assert_eq!((location.start, location.layout), (start, Layout::Mbr));
}

#[test]
fn full_file_system_stays_as_it_was_and_says_what_is_free() {
    let image = raw_image();
    let mut volume = open(&image).unwrap();
    let free = volume.free();
    // Bytes that do not compress.
    let mut state = 1_u64;
    let mut driver: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(20 << 20)
    .collect();
    driver[..64].copy_from_slice(&fake_program(2, 62, 64));
    let error = swap::install(&mut volume, &driver).unwrap_err();
    assert!(
        matches!(error, Error::FileSystemFull { free: told, .. } if told == free),
        "{error}"
    );

    // Nearly full: the estimate does not see it, the file system does.
    let filler = &driver[..usize::try_from(free).unwrap() - (600 << 10)];
    volume
        .write(&[NewFile {
            path: "/filler",
            data: filler,
            executable: false,
        }])
        .unwrap();
    let result = swap::install(&mut volume, &driver[..500 << 10]);
    assert!(matches!(result, Err(Error::FileSystemFull { .. })));
    drop(volume);
    let mut volume = open(&image).unwrap();
    assert!(volume.read(swap::DRIVER).unwrap().is_none());
    assert!(volume.read(swap::MATCH_FILE).unwrap().is_none());
    assert!(volume.read("/filler").unwrap().unwrap() == filler);
}

#[test]
fn image_without_known_program_names_what_was_looked_for() {
    let image = empty(8 * MIB);
    format(&image, 2 * MIB, 6 * MIB, None);
    let error = swap::target(&mut open(&image).unwrap()).unwrap_err();
    assert!(error.to_string().contains("/usr/bin/pcid-spawner"), "{error}");
}

#[test]
fn window_shows_nothing_of_what_is_around_it() {
    let file = empty(100);
    file.write_all_at(&[1; 100], 0).unwrap();
    let mut window = Window::new(file.try_clone().unwrap(), 10, 20);
    window.seek(SeekFrom::End(-4)).unwrap();
    assert_eq!(window.write(&[2; 10]).unwrap(), 4);
    assert_eq!(window.write(&[2; 10]).unwrap(), 0);
    let mut content = [0; 100];
    file.read_exact_at(&mut content, 0).unwrap();
    assert!(content[..26].iter().chain(&content[30..]).all(|byte| *byte == 1));
    assert_eq!(content[26..30], [2; 4]);
}

#[test]
fn size_that_an_image_claims_is_not_allocated() {
    for size in [(256 << 20) + 1, 1 << 40, u64::MAX] {
        let image = raw_image();
        let mut volume = open(&image).unwrap();
        volume.forge_size(STOCK, size);
        let error = swap::target(&mut volume).unwrap_err();
        assert!(
            matches!(&error, Error::FileTooLarge { path, size: told, .. } if path == STOCK && *told == size),
            "{error}"
        );
    }
}
