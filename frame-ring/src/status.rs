//! Status and counters, which the driver writes and the client reads.

use crate::layout::{COUNTERS, STATUS};
use crate::memory::{Area, AreaError, ReadWrite, Word};

/// State of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has attached, or the driver has detached the client: nothing moves any more.
    Detached,
    /// Frames go in and out.
    Running,
    /// The client broke the rules and was detached.
    Broken,
    /// The NIC is gone, or the driver ends.
    Gone,
    /// Another number: the driver broke the rules, or is newer. Nothing moves any more.
    Unknown(u32),
}

impl From<u32> for State {
    fn from(word: u32) -> Self {
        match word {
            0 => Self::Detached,
            1 => Self::Running,
            2 => Self::Broken,
            3 => Self::Gone,
            _ => Self::Unknown(word),
        }
    }
}

impl From<State> for u32 {
    fn from(state: State) -> Self {
        match state {
            State::Detached => 0,
            State::Running => 1,
            State::Broken => 2,
            State::Gone => 3,
            State::Unknown(word) => word,
        }
    }
}

/// State of the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// In Mbit/s; 0 without a link.
    pub speed: u32,
    /// Both directions at once.
    pub full_duplex: bool,
}

impl Link {
    /// No link.
    pub const DOWN: Self = Self {
        speed: 0,
        full_duplex: false,
    };

    const FULL_DUPLEX: u32 = 1 << 31;

    /// Returns true if there is a link.
    pub const fn is_up(self) -> bool {
        self.speed != 0
    }
}

impl From<u32> for Link {
    fn from(word: u32) -> Self {
        Self {
            speed: word & !Self::FULL_DUPLEX,
            full_duplex: word & Self::FULL_DUPLEX != 0,
        }
    }
}

impl From<Link> for u32 {
    fn from(link: Link) -> Self {
        let duplex = if link.full_duplex { Link::FULL_DUPLEX } else { 0 };
        link.speed & !Link::FULL_DUPLEX | duplex
    }
}

/// Status of a ring and its NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// State of the ring.
    pub state: State,
    /// State of the link.
    pub link: Link,
    /// Resets of the NIC since the client attached: frames that were in flight at each are lost.
    pub epoch: u32,
    /// Bytes of the longest frame, without FCS.
    pub max_frame_len: u32,
}

/// Frames that got lost, since the client attached; the numbers wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Received frames for which the RX ring had no room.
    pub rx_dropped: u32,
    /// Frames of the client's that were refused: see [`crate::FrameError`].
    pub tx_refused: u32,
    /// Frames of the client's that the NIC did not send: it was reset, or had no link for too long.
    pub tx_lost: u32,
}

/// The words of both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatusWords<'m, A> {
    pub state: Word<'m, A>,
    pub link: Word<'m, A>,
    pub epoch: Word<'m, A>,
    pub max_frame_len: Word<'m, A>,
    pub rx_dropped: Word<'m, A>,
    pub tx_refused: Word<'m, A>,
    pub tx_lost: Word<'m, A>,
}

impl<'m, A> StatusWords<'m, A> {
    pub fn new(driver: &Area<'m, A>) -> Result<Self, AreaError> {
        Ok(Self {
            state: driver.word(STATUS)?,
            link: driver.word(STATUS.wrapping_add(4))?,
            epoch: driver.word(STATUS.wrapping_add(8))?,
            max_frame_len: driver.word(STATUS.wrapping_add(12))?,
            rx_dropped: driver.word(COUNTERS)?,
            tx_refused: driver.word(COUNTERS.wrapping_add(4))?,
            tx_lost: driver.word(COUNTERS.wrapping_add(8))?,
        })
    }

    pub fn status(&self) -> Status {
        Status {
            // What was stored before the state is seen with it.
            state: self.state.load_acquire().into(),
            link: self.link.load().into(),
            epoch: self.epoch.load(),
            max_frame_len: self.max_frame_len.load(),
        }
    }

    pub fn counters(&self) -> Counters {
        Counters {
            rx_dropped: self.rx_dropped.load(),
            tx_refused: self.tx_refused.load(),
            tx_lost: self.tx_lost.load(),
        }
    }
}

/// A counter, with a private copy: what was stored to shared memory is never read back.
#[derive(Debug)]
pub(crate) struct Count<'m> {
    word: Word<'m, ReadWrite>,
    value: u32,
}

impl<'m> Count<'m> {
    pub fn new(word: Word<'m, ReadWrite>) -> Self {
        Self { word, value: 0 }
    }

    pub fn add_one(&mut self) {
        self.value = self.value.wrapping_add(1);
        self.word.store(self.value);
    }
}
