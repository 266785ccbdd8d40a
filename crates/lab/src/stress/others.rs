//! What other processes took of the processors while figures were measured.

use std::fs;

/// A unit of processor time in `/proc`, in seconds.
const TICK: f64 = 0.01;

/// What all processes and what this one, with its children, have had of the processors until now, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessorTime {
    all: f64,
    own: f64,
    idle: f64,
}

impl ProcessorTime {
    /// `None` where the system does not tell.
    pub(super) fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/stat").ok()?, &fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn read(machine: &str, process: &str) -> Option<Self> {
        let line = machine.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<f64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        // User, nice, system, idle, waiting for devices, interrupts, soft interrupts, and what a host took; what guests had
        // is part of the first two.
        let [user, nice, system, idle, waiting, interrupts, soft, stolen, ..] = ticks[..] else {
            return None;
        };
        let fields: Vec<&str> = process.rsplit_once(')')?.1.split_whitespace().collect();
        // Fields 14 to 17 of the line, of which the first two were cut off: of the process and of children that ended.
        let own: f64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<f64>().ok()).sum();
        let all = user + nice + system + interrupts + soft + stolen;
        Some(Self { all: all * TICK, own: own * TICK, idle: (idle + waiting) * TICK })
    }

    /// The share of the processors' time since then that others had.
    pub(super) fn share_of_others_since(&self, before: &Self) -> Option<f64> {
        let (all, own, idle) = (self.all - before.all, self.own - before.own, self.idle - before.idle);
        (all + idle > 0.0).then(|| ((all - own) / (all + idle)).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessorTime;

    #[test]
    fn what_is_neither_idle_nor_ones_own_is_of_others() {
        let machine = |user: u32, idle: u32| format!("cpu  {user} 0 50 {idle} 10 5 5 0 0 0\ncpu0 1 2 3 4\n");
        let process =
            |own: u32| format!("7 (a name) of) S 1 1 1 0 -1 4194560 1 0 0 0 {own} 10 5 5 20 0 1 0 1 1 1");
        let read =
            |user, idle, own| ProcessorTime::read(&machine(user, idle), &process(own)).expect("it is legal");
        let before = read(100, 1000, 20);
        // 400 ticks, 100 of them idle, 200 its own.
        let share = read(400, 1100, 220).share_of_others_since(&before).expect("time has passed");
        assert!((share - 0.25).abs() < 1e-9, "{share}");
        assert_eq!(before.share_of_others_since(&before), None);
        assert!(ProcessorTime::read("", "").is_none());
    }
}
