//! Who holds the cluster's lock.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The holder of the cluster's lock: one run of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// The user who started it.
    pub user: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process ID there.
    pub pid: u32,
    /// The run's ID.
    pub run: String,
}

impl LockHolder {
    /// Returns whether the holder ran on `host`, which must be this machine's
    /// own name, and its process is gone.
    pub fn is_dead_here(&self, host: &str) -> bool {
        self.host == host && !Path::new("/proc").join(self.pid.to_string()).exists()
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}/{}", self.user, self.host, self.pid, self.run)
    }
}

/// The text does not name a lock's holder.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` does not name a lock's holder as `user@host/pid/run`")]
pub struct InvalidLockHolder(String);

impl FromStr for LockHolder {
    type Err = InvalidLockHolder;

    fn from_str(text: &str) -> Result<Self, InvalidLockHolder> {
        let parse = || {
            let (user, rest) = text.split_once('@')?;
            let mut parts = rest.splitn(3, '/');
            Some(Self {
                user: user.to_owned(),
                host: parts.next()?.to_owned(),
                pid: parts.next()?.parse().ok()?,
                run: parts.next()?.to_owned(),
            })
        };
        parse().ok_or_else(|| InvalidLockHolder(text.chars().take(120).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_survives_a_round_trip() {
        let text = "ops@bastion/4711/20261121-090000-0000002a";
        assert_eq!(text.parse::<LockHolder>().unwrap().to_string(), text);
        assert!("ops@bastion/many/run".parse::<LockHolder>().is_err());
    }

    #[test]
    fn only_a_process_of_this_machine_can_be_known_dead() {
        let holder = |host: &str, pid: u32| LockHolder {
            user: "ops".to_owned(),
            host: host.to_owned(),
            pid,
            run: "r".to_owned(),
        };
        // Linux's highest possible process ID is 2^22.
        assert!(holder("here", u32::MAX).is_dead_here("here"));
        assert!(!holder("there", u32::MAX).is_dead_here("here"));
        assert!(!holder("here", std::process::id()).is_dead_here("here"));
    }
}
