//! Ulimits: raised by the shim, which may, and set by the container's process last of all, so that no limit is in the way
//! of what builds the container.

use crate::linux::{Ulimit, UlimitName};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Open files that a process may have: Fargate's default (ECS Developer Guide, "Fargate task definition parameters").
const OPEN_FILES: u64 = 65_535;

/// `asked`, and what holds where nothing is asked for.
pub(super) fn with_defaults(asked: &[Ulimit]) -> Vec<Ulimit> {
    let mut limits = asked.to_vec();
    if !limits.iter().any(|limit| limit.name == UlimitName::Nofile) {
        // Raising a limit takes a right that a server in a container may lack.
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard.min(OPEN_FILES));
        limits.push(Ulimit { name: UlimitName::Nofile, soft: limit, hard: limit });
    }
    limits
}

/// Raises this process's hard limits as far as `limits` need it.
pub(super) fn make_room(limits: &[Ulimit]) -> Result<(), String> {
    for limit in limits {
        let resource = resource(limit.name);
        let (soft, hard) = getrlimit(resource).map_err(|error| explain(limit, error))?;
        if hard < limit.hard {
            setrlimit(resource, soft, limit.hard).map_err(|error| explain(limit, error))?;
        }
    }
    Ok(())
}

/// Sets this process's limits.
pub(super) fn apply(limits: &[Ulimit]) -> Result<(), String> {
    limits
        .iter()
        .try_for_each(|limit| setrlimit(resource(limit.name), limit.soft, limit.hard).map_err(|e| explain(limit, e)))
}

fn explain(limit: &Ulimit, error: nix::errno::Errno) -> String {
    format!("ulimit {} {}:{}: {}", limit.name.name(), shown(limit.soft), shown(limit.hard), error.desc().to_lowercase())
}

fn shown(value: u64) -> String {
    if value == Ulimit::UNLIMITED { "unlimited".to_owned() } else { value.to_string() }
}

fn resource(name: UlimitName) -> Resource {
    match name {
        UlimitName::Core => Resource::RLIMIT_CORE,
        UlimitName::Cpu => Resource::RLIMIT_CPU,
        UlimitName::Data => Resource::RLIMIT_DATA,
        UlimitName::Fsize => Resource::RLIMIT_FSIZE,
        UlimitName::Locks => Resource::RLIMIT_LOCKS,
        UlimitName::Memlock => Resource::RLIMIT_MEMLOCK,
        UlimitName::Msgqueue => Resource::RLIMIT_MSGQUEUE,
        UlimitName::Nice => Resource::RLIMIT_NICE,
        UlimitName::Nofile => Resource::RLIMIT_NOFILE,
        UlimitName::Nproc => Resource::RLIMIT_NPROC,
        UlimitName::Rss => Resource::RLIMIT_RSS,
        UlimitName::Rtprio => Resource::RLIMIT_RTPRIO,
        UlimitName::Rttime => Resource::RLIMIT_RTTIME,
        UlimitName::Sigpending => Resource::RLIMIT_SIGPENDING,
        UlimitName::Stack => Resource::RLIMIT_STACK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_limited_where_nobody_asks() {
        assert_eq!(with_defaults(&[]).len(), 1);
        let asked = [Ulimit::new("nofile", 3, 4).unwrap(), Ulimit::new("core", 0, -1).unwrap()];
        assert_eq!(with_defaults(&asked), asked);
    }

    #[test]
    fn every_name_is_a_limit_of_the_kernels() {
        for name in UlimitName::ALL {
            getrlimit(resource(name)).unwrap();
        }
    }

    #[test]
    fn a_limit_that_cannot_be_set_is_named() {
        let limit = Ulimit { name: UlimitName::Nofile, soft: Ulimit::UNLIMITED, hard: Ulimit::UNLIMITED };
        assert_eq!(make_room(&[limit]).unwrap_err(), "ulimit nofile unlimited:unlimited: operation not permitted");
    }
}
