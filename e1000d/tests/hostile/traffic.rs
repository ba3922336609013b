//! Traffic: frames from the wire, readers that keep reading, self-tests.

use super::Case;
use super::script::Script;

impl Case {
    /// One frame of any length arrives.
    pub(super) fn arrive(&mut self, script: &mut Script<'_>) {
        let len = match script.byte() {
            0 => 1 + script.below(17_000),
            1 => 1 + script.below(14),
            2..8 => 1514,
            n => 14 + usize::from(n),
        };
        let machine = &self.machine;
        self.kernel
            .inner()
            .wire
            .arrive(len, false, |frame| machine.deliver(frame));
    }

    /// More frames of one flow than a client can read, and some others.
    pub(super) fn flood(&mut self, script: &mut Script<'_>) {
        let count = script.byte();
        let others = script.byte() | 3;
        for n in 0..count {
            let machine = &self.machine;
            self.kernel
                .inner()
                .wire
                .arrive(60, n & others != 0, |frame| machine.deliver(frame));
        }
    }

    /// A client of an event queue reads on and on.
    pub(super) fn read_on(&mut self, script: &mut Script<'_>) {
        let (count, at_once) = (script.byte(), 1 + script.byte() % 16);
        let mut reader = None;
        let asked = self.with_clients(script, |clients| {
            let (id, asked) = clients.watch_frames();
            reader = Some(id);
            asked
        });
        self.ask(asked);
        for n in 0..count {
            if n % at_once == 0 {
                self.serve();
            }
            let asked = self.with_clients(script, |clients| clients.poll(reader.unwrap_or(0)));
            self.ask(asked);
        }
        self.serve();
    }

    pub(super) fn self_test(&mut self, script: &mut Script<'_>) {
        let n = usize::from(script.byte());
        let id = {
            let kernel = self.kernel.inner();
            let mut files = kernel.open.iter().filter(|open| open.is_self_test);
            let count = files.clone().count().max(1);
            files.nth(n % count).map(|open| open.id)
        };
        if let Some(id) = id {
            let asked = self.with_clients(script, |clients| clients.start_self_test(id));
            self.ask(asked);
            self.serve();
        }
    }
}
