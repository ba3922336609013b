//! Behaviour of emulators that hardware does not have.

/// Oddities of emulators that the fake can be given, all off at the start. The differential test of the hosted home
/// finds out which of them a model of QEMU's has, and then expects them of it; functions are those of QEMU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// A frame below 60 bytes is filled up with zeroes and received; hardware takes it for a fragment. hw/net/e1000.c,
    /// `e1000_receive_iov`; hw/net/e1000e_core.c, `e1000e_receive_internal`; net/net.c, `qemu_send_packet_async` from
    /// 8.0 on.
    pub short_frames_are_padded: bool,
    /// The limit of 1522 bytes, and with RCTL.LPE of 16384, is compared with a length that does not count the FCS.
    /// hw/net/e1000x_common.c, `e1000x_is_oversized`.
    pub limits_without_fcs: bool,
    /// Lengths are checked, and counted in RUC and ROC, before the filter. hw/net/e1000.c, `e1000_receive_iov`;
    /// hw/net/e1000e_core.c, `e1000e_receive_internal`.
    pub lengths_before_filter: bool,
    /// Without a link, frames are counted as sent that are not. hw/net/e1000.c, `start_xmit`; hw/net/e1000e_core.c,
    /// `e1000e_start_xmit`.
    pub lost_frames_are_counted: bool,
    /// ICR.INT_ASSERTED is set with every cause, masked or not. hw/net/e1000e_core.c, `e1000e_fix_icr_asserted`.
    pub masked_causes_are_asserted: bool,
    /// Checksums of received frames are never looked at. hw/net/e1000.c, `e1000_receive_iov`.
    pub checksums_are_not_checked: bool,
    /// A frame that finds too few descriptors raises RXO and is not counted: it waits. hw/net/e1000e_core.c,
    /// `e1000e_receive_internal`.
    pub frames_without_room_wait: bool,
    /// Behind a last segment that is full, the headers are sent once more. hw/net/e1000.c, `process_tx_desc`.
    pub headers_follow_full_segment: bool,
    /// The last segment loses FIN and PSH. hw/net/net_tx_pkt.c, `net_tx_pkt_tcp_fragment_fix`, from 8.0 on.
    pub last_segment_loses_flags: bool,
    /// Reading MPC and RNBC does not clear them. hw/net/e1000.c, `macreg_readops`.
    pub missed_stay: bool,
    /// Frames to single addresses are looked up in the multicast table, too. hw/net/e1000x_common.c,
    /// `e1000x_rx_group_filter`.
    pub multicast_table_is_for_all: bool,
    /// A frame that the multicast table lets in is counted in MPRC by the filter, even if it then finds no room.
    /// hw/net/e1000x_common.c, `e1000x_rx_group_filter`.
    pub table_counts: bool,
    /// So are all other frames to groups and to everybody, and none of them afterwards. hw/net/e1000.c,
    /// `receive_filter`.
    pub filter_counts: bool,
    /// With RCTL.MPE, frames to everybody are counted as frames to groups. hw/net/e1000.c, `receive_filter`;
    /// hw/net/e1000x_common.c, `e1000x_rx_group_filter`.
    pub everybody_is_a_group: bool,
    /// Writing TCTL or TDT raises TXQE even if there was nothing to send. hw/net/e1000.c, `start_xmit`;
    /// hw/net/e1000e_core.c, `e1000e_start_xmit`.
    pub empty_queue_is_told_again: bool,
    /// Counters that stay 0, bit n for the one at 0x4000 + 4 n. hw/net/e1000x_common.c, `e1000x_update_rx_total_stats`;
    /// hw/net/e1000.c from 11.1 on.
    pub absent_counters: u128,
    /// RXDMT0 is raised with each frame that leaves half of the ring or less. hw/net/e1000.c, `e1000_receive_iov`.
    pub low_ring_is_told_again: bool,
    /// RXDMT0 is not raised by a frame of several descriptors that leaves less than half of the ring.
    /// hw/net/e1000e_core.c, `e1000e_rx_descr_threshold_hit`.
    pub low_ring_is_missed: bool,
    /// Once the link has negotiated, CTRL.RFCE and TFCE are set, whatever was negotiated. hw/net/e1000e_core.c,
    /// `e1000e_update_flowctl_status`.
    pub link_sets_flow_control: bool,
}
