//! The points of the contract, in order: reading before writing, the usual before the odd, and last what stops the
//! drivers that Redox has in 2026.

use super::subject::{Subject, Verdict};
use super::{Check, Needs, abuse, events, files, open, reading, sharing, writing};

const fn check(
    name: &'static str,
    needs: Needs,
    run: fn(&Subject) -> Verdict,
    promise: &'static str,
) -> Check {
    Check {
        name,
        promise,
        needs,
        run,
    }
}

use Needs::{Nothing, Peer, Reader};

/// All of them.
#[rustfmt::skip]
pub static CHECKS: &[Check] = &[
    check("mac.six-bytes", Nothing, files::six_bytes, "mac is 6 bytes, the address of a network card"),
    check("mac.kept-offset", Nothing, files::kept_offset, "mac can be read in pieces, and ends"),
    check("mac.offset-0", Nothing, files::offset_0, "pread of mac at 0"),
    check("mac.offset-5", Nothing, files::offset_5, "pread of mac at 5: one byte"),
    check("mac.offset-6", Nothing, files::offset_6, "pread of mac at 6: the end"),
    check("mac.write", Nothing, files::write_refused, "mac cannot be written"),
    check("file.stat", Nothing, files::stat, "fstat: regular files, sizes 0 and 6"),
    check("file.path", Nothing, files::path, "fpath: /scheme/NAME/ and /scheme/NAME/mac"),
    check("file.listing", Nothing, files::listing, "the root lists mac"),
    check("file.sync", Nothing, files::sync, "fsync works"),
    check("file.get-flags", Nothing, files::get_flags, "F_GETFL tells O_NONBLOCK"),
    check("file.set-flags", Nothing, files::set_flags, "F_SETFL O_NONBLOCK makes reads non-blocking"),
    check("open.unknown-path", Nothing, open::unknown_path, "other files do not exist"),
    check("open.not-root", Nothing, open::not_root, "only root may open"),
    check("open.below-a-file", Nothing, open::below_a_file, "files are no directories"),
    check("open.many-times", Nothing, open::many_times, "1000 opens, and 100 at once"),

    check("read.would-block", Nothing, reading::would_block, "no frame, O_NONBLOCK: EAGAIN (11), never 0"),
    check("read.arp", Peer, reading::arp, "a 42-byte ARP request goes out, the reply comes in"),
    check("read.whole-frames", Peer, reading::whole_frames, "frames of 60 to 1514 bytes come whole, without FCS"),
    check("read.blocking", Peer, reading::blocking_handle_reads_what_is_there, "blocking read takes what is there"),
    check("read.short-buffer", Peer, reading::short_buffer, "what does not fit the buffer is dropped"),
    check("read.empty-buffer", Nothing, reading::empty_buffer, "a read of 0 bytes is answered"),

    check("event.pending", Peer, events::pending_at_subscription, "subscribing with frames there gives an event"),
    check("event.edge", Peer, events::edge_after_eagain, "the first frame after EAGAIN gives an event"),
    check("event.edge-again", Peer, events::edge_after_others_read, "also if somebody else read the last one"),
    check("event.every-subscriber", Peer, events::every_subscriber, "all subscribers are told"),
    check("event.after-128", Peer, events::after_smolnetds_limit,
        "a reader that stops at 128 frames, or is stopped, is told again"),
    check("event.after-3", Peer, events::after_a_few, "a reader that stops anywhere is told again"),
    check("event.other-files", Peer, events::not_to_other_files, "mac gets no events"),
    check("event.write", Nothing, events::room_to_write, "EVENT_WRITE while there is room"),

    check("sharing.exactly-once", Peer, sharing::exactly_once, "two readers: each frame goes to one of them"),
    check("sharing.parked", Peer, sharing::parked_read, "a blocking read waits for a frame"),
    check("sharing.parked-beside", Peer, sharing::parked_beside_nonblocking, "others get EAGAIN meanwhile"),
    check("sharing.parked-order", Peer, sharing::parked_in_order, "who waits longest is served first"),
    check("sharing.reader-killed", Reader, sharing::reader_killed, "a killed reader takes no frame with it"),

    check("write.42", Nothing, writing::shortest_arp, "42 bytes are taken"),
    check("write.60", Nothing, writing::minimum, "60 bytes are taken"),
    check("write.1514", Nothing, writing::maximum, "1514 bytes are taken"),
    check("write.1518-vlan", Nothing, writing::tagged, "1518 bytes with a VLAN tag are taken"),
    check("write.14", Nothing, writing::header_only, "14 bytes are taken"),
    check("write.burst", Nothing, writing::burst, "1000 frames in a row are taken whole, never EAGAIN"),
    check("write.13", Nothing, writing::too_short, "13 bytes: EINVAL"),
    check("write.0", Nothing, writing::nothing, "0 bytes: EINVAL"),
    check("write.1515", Nothing, writing::too_long, "1515 bytes: EMSGSIZE"),
    check("write.20000", Nothing, writing::much_too_long, "20000 bytes: EMSGSIZE"),

    check("abuse.paths", Nothing, open::odd_paths, "odd paths are errors"),
    check("abuse.attributes", Nothing, abuse::attributes, "attributes cannot be changed"),
    check("abuse.seek", Nothing, abuse::seek, "frames have no size"),
    check("abuse.fcntl", Nothing, abuse::fcntl, "unknown fcntl are answered"),
    check("abuse.dup", Nothing, abuse::dup_with_argument, "dup with an argument is an error"),
    check("abuse.call", Nothing, abuse::call, "SYS_CALL is an error"),
    check("abuse.recvfd", Nothing, abuse::receive_descriptor, "no descriptors are given"),
    check("abuse.path-bytes", Nothing, abuse::path_of_any_bytes, "a path that is not UTF-8 is an error"),
    check("abuse.survived", Peer, reading::whole_frames, "after all that, frames pass"),
    // From here on: each stops a stock driver, or hangs its client.
    check("abuse.sendfd", Nothing, abuse::send_descriptor, "no descriptors are taken"),
    check("mac.offset-7", Nothing, files::offset_7, "pread of mac behind the end"),
    check("mac.offset-2^63", Nothing, files::offset_huge, "pread of mac far behind the end"),
    check("abuse.short-fstat", Nothing, abuse::short_fstat, "fstat into 0, 3, 15 bytes is an error"),
    check("abuse.short-records", Nothing, abuse::short_records, "fstat, fstatvfs, futimens of 3 bytes are errors"),
    check("abuse.mmap", Nothing, abuse::memory_mapping, "no memory is mapped"),
    check("abuse.opcodes", Nothing, abuse::opcodes, "every opcode is answered"),
    check("abuse.std-fs-calls", Nothing, abuse::std_fs_calls, "every StdFsCall is answered"),
    check("end.mac", Nothing, files::six_bytes, "the adapter is still there"),
    check("end.frames", Peer, reading::whole_frames, "frames still pass"),
];
