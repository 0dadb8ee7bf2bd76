//! What Linux says of this process.

use std::io::{Error, ErrorKind};
use std::process::Command;

/// The argument by which the program measures one act in a process of its own.
pub(crate) const CHILD: &str = "one-act";

/// The CPU time that this process has used, in seconds; in steps of 10 ms.
pub(crate) fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    // utime and stime, in hundredths of a second.
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Megabytes: `VmRSS` (now) or `VmHWM` (the most since the start, or since [`forget_peak`]).
fn status(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) * 1_024.0 / 1e6
}

/// The memory that this process has, in megabytes.
pub(crate) fn resident() -> f64 {
    status("VmRSS")
}

/// The most that it had, in megabytes.
pub(crate) fn peak() -> f64 {
    status("VmHWM")
}

/// From here on the most memory is counted anew.
pub(crate) fn forget_peak() {
    // Where that can't be done the peak is that of all that was before, which only makes it worse.
    let _done = std::fs::write("/proc/self/clear_refs", "5");
}

/// The memory of one act on 10,000 waiting jobs, in megabytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneAct {
    /// Of the process before there were any.
    pub(crate) before: f64,
    /// With the stand-in's table filled.
    pub(crate) filled: f64,
    /// At its most.
    pub(crate) peak: f64,
}

impl OneAct {
    /// What the act takes beyond what the stand-ins hold.
    pub(crate) fn own(self) -> f64 {
        self.before + (self.peak - self.filled)
    }

    /// Measures it in a process of its own, whose memory nobody has used before.
    pub(crate) fn measure() -> std::io::Result<Self> {
        let child = Command::new(std::env::current_exe()?).arg(CHILD).output()?;
        let text = String::from_utf8_lossy(&child.stdout);
        let numbers: Vec<f64> = text
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        let [before, filled, peak] = numbers[..] else {
            return Err(Error::new(ErrorKind::InvalidData, text.into_owned()));
        };
        Ok(Self {
            before,
            filled,
            peak,
        })
    }
}
