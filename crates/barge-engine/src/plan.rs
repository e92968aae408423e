//! How an attempt is to be run on this machine: what the server works out and the shim carries out, so that the shim
//! needs neither image store nor configuration.

use crate::attempt::{Access, Attempt, AttemptId, Capabilities, Lifetime, RootFs};
use crate::cgroup::{Layout, Limits};
use crate::linux::{InitProcess, Ulimit};
use crate::mounts::{self, Volume};
use crate::user::{self, Identity};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Processes and threads that one attempt may have.
const PIDS: u64 = 8192;

/// Docker's size of `/dev/shm`.
const SHM_MIB: u64 = 64;

/// Docker's, where neither image nor job sets PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The shim's instructions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub id: AttemptId,
    pub root: RootPlan,
    pub root_access: Access,
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    pub cwd: PathBuf,
    pub identity: Identity,
    pub hostname: String,
    pub volumes: Vec<Volume>,
    pub shm_mib: u64,
    pub ulimits: Vec<Ulimit>,
    pub init: InitProcess,
    /// 0 is unlimited.
    pub disk_mib: u64,
    pub capabilities: Capabilities,
    pub limits: Limits,
    pub cgroups: Layout,
    pub group: String,
    pub privilege: Privilege,
    pub stop_grace_millis: u64,
    pub lifetime: Lifetime,
    /// Bytes of disk that lines may take up which nobody has read.
    pub output_limit: u64,
}

/// What the root file system is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RootPlan {
    /// Directories of an image's layers, the lowest first.
    Overlay { layers: Vec<PathBuf> },
    /// The host's own system directories.
    Host { tmp_mib: u64 },
}

/// What the server is on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Privilege {
    /// Root: containers need no user namespace.
    Root,
    /// An ordinary user: containers live in a user namespace with one user and one group, which are this user's.
    Rootless { uid: u32, gid: u32 },
}

/// What an image says about running it, and its lists of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageDefaults {
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub env: Vec<String>,
    pub user: String,
    pub workdir: String,
    pub passwd: String,
    pub group: String,
    pub layers: Vec<PathBuf>,
}

/// What the plan needs to know of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub cgroups: Layout,
    /// Where scratch volumes are.
    pub scratch: PathBuf,
    /// Tells this server's groups from those of another on the same machine.
    pub group_suffix: String,
    pub privilege: Privilege,
    pub output_limit: u64,
}

/// The attempt asks for what cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct Impossible(pub String);

/// Works out how to run `attempt`.
pub(crate) fn plan(attempt: &Attempt, image: &ImageDefaults, around: &Surroundings) -> Result<Plan, Impossible> {
    let root = match &attempt.root {
        RootFs::Image { .. } => RootPlan::Overlay { layers: image.layers.clone() },
        RootFs::HostReadOnly { tmp_mib, .. } => RootPlan::Host { tmp_mib: *tmp_mib },
    };
    let user = attempt.user.as_deref().unwrap_or(&image.user);
    let mut identity =
        user::resolve(user, &image.passwd, &image.group).map_err(|error| Impossible(error.to_string()))?;
    if let Privilege::Rootless { .. } = around.privilege {
        // Other groups cannot be mapped without a helper program that is set-user-id root.
        identity.groups = Vec::new();
    }
    Ok(Plan {
        id: attempt.id.clone(),
        root,
        root_access: attempt.root_access,
        args: arguments(attempt, image)?,
        env: environment(attempt, image)?,
        cwd: working_directory(attempt, image)?,
        identity,
        hostname: hostname(attempt)?,
        volumes: mounts::volumes(attempt, &around.scratch)?,
        shm_mib: shm_mib(attempt)?,
        ulimits: ulimits(attempt)?,
        init: attempt.init,
        disk_mib: attempt.disk_mib,
        capabilities: attempt.capabilities,
        limits: Limits { memory_mib: attempt.memory_mib, vcpu: attempt.vcpu, pids: PIDS },
        cgroups: around.cgroups.clone(),
        group: format!("{}-{}", attempt.id, around.group_suffix),
        privilege: around.privilege,
        stop_grace_millis: u64::try_from(attempt.stop_grace.as_millis()).unwrap_or(u64::MAX),
        lifetime: attempt.lifetime,
        output_limit: around.output_limit,
    })
}

/// Entrypoint, then command. A replaced entrypoint drops the image's command, as `docker run --entrypoint` does.
fn arguments(attempt: &Attempt, image: &ImageDefaults) -> Result<Vec<String>, Impossible> {
    let entrypoint = attempt.entrypoint.as_ref().unwrap_or(&image.entrypoint);
    let command = match (&attempt.command, &attempt.entrypoint) {
        (Some(command), _) => command.as_slice(),
        (None, Some(_)) => &[],
        (None, None) => &image.command,
    };
    let args: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    match args.first() {
        None => Err(Impossible("no command specified".to_owned())),
        Some(program) if program.is_empty() => Err(Impossible("the command is empty".to_owned())),
        Some(_) if args.iter().any(|arg| arg.contains('\0')) => {
            Err(Impossible("an argument contains a NUL byte".to_owned()))
        }
        Some(_) => Ok(args),
    }
}

fn environment(attempt: &Attempt, image: &ImageDefaults) -> Result<Vec<String>, Impossible> {
    let mut pairs: Vec<(String, String)> = vec![("PATH".to_owned(), DEFAULT_PATH.to_owned())];
    let from_image =
        image.env.iter().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned()));
    for (name, value) in from_image.chain(attempt.env.iter().cloned()) {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Impossible(format!("{name:?} cannot be set in an environment")));
        }
        match pairs.iter_mut().find(|(known, _)| *known == name) {
            Some(pair) => pair.1 = value,
            None => pairs.push((name, value)),
        }
    }
    Ok(pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

fn working_directory(attempt: &Attempt, image: &ImageDefaults) -> Result<PathBuf, Impossible> {
    let given = attempt.workdir.as_deref().unwrap_or(&image.workdir);
    let path = PathBuf::from(if given.is_empty() { "/" } else { given });
    if path.is_absolute() { Ok(path) } else { Err(Impossible(format!("working directory {given:?} is not absolute"))) }
}

fn shm_mib(attempt: &Attempt) -> Result<u64, Impossible> {
    match attempt.shm_mib.unwrap_or(SHM_MIB) {
        0 => Err(Impossible("the shared memory's size must be 1 MiB or more".to_owned())),
        size => Ok(size),
    }
}

fn ulimits(attempt: &Attempt) -> Result<Vec<Ulimit>, Impossible> {
    for (i, limit) in attempt.ulimits.iter().enumerate() {
        let name = limit.name.name();
        if limit.soft > limit.hard {
            return Err(Impossible(format!("ulimit {name}: the soft limit is above the hard one")));
        }
        if attempt.ulimits[..i].iter().any(|earlier| earlier.name == limit.name) {
            return Err(Impossible(format!("ulimit {name} is given twice")));
        }
    }
    Ok(attempt.ulimits.clone())
}

fn hostname(attempt: &Attempt) -> Result<String, Impossible> {
    match &attempt.hostname {
        Some(name) if name.is_empty() || name.len() > 63 || name.contains('\0') => {
            Err(Impossible(format!("{name:?} cannot be a host name")))
        }
        Some(name) => Ok(name.clone()),
        None => Ok(attempt.id.as_str().chars().take(63).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Mount;
    use crate::linux::UlimitName;

    fn attempt() -> Attempt {
        Attempt::new(AttemptId::new("a").unwrap(), RootFs::Image { digest: String::new() })
    }

    fn image() -> ImageDefaults {
        ImageDefaults {
            entrypoint: vec!["/entry".to_owned()],
            command: vec!["x".to_owned()],
            env: vec!["A=1".to_owned(), "B=2=3".to_owned()],
            user: "app".to_owned(),
            workdir: "/srv".to_owned(),
            passwd: "app:x:7:8::/:/bin/sh".to_owned(),
            ..ImageDefaults::default()
        }
    }

    fn around() -> Surroundings {
        Surroundings {
            cgroups: Layout::Nowhere { reason: String::new() },
            scratch: PathBuf::from("/scratch"),
            group_suffix: "1".to_owned(),
            privilege: Privilege::Root,
            output_limit: 1,
        }
    }

    #[test]
    fn commands_combine_as_docker_combines_them() {
        let list = |words: &[&str]| Some(words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        for (entrypoint, command, expected) in [
            (None, None, "/entry x"),
            (None, list(&["y", "z"]), "/entry y z"),
            (None, list(&[]), "/entry"),
            (list(&["/sh"]), None, "/sh"),
            (list(&["/sh"]), list(&["-c"]), "/sh -c"),
        ] {
            let attempt = Attempt { entrypoint, command, ..attempt() };
            assert_eq!(plan(&attempt, &image(), &around()).unwrap().args.join(" "), expected);
        }
        let nothing = ImageDefaults::default();
        assert_eq!(plan(&attempt(), &nothing, &around()).unwrap_err().to_string(), "no command specified");
    }

    #[test]
    fn the_jobs_environment_wins() {
        let attempt =
            Attempt { env: vec![("A".to_owned(), "9".to_owned()), ("C".to_owned(), String::new())], ..attempt() };
        let env = plan(&attempt, &image(), &around()).unwrap().env;
        assert_eq!(env, [&format!("PATH={DEFAULT_PATH}"), "A=9", "B=2=3", "C="]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let nofile = |soft, hard| Ulimit { name: UlimitName::Nofile, soft, hard };
        let pair = |k: &str, v: &str| vec![(k.to_owned(), v.to_owned())];
        for broken in [
            Attempt { env: pair("", "x"), ..attempt() },
            Attempt { env: pair("A=B", "x"), ..attempt() },
            Attempt { env: pair("A", "x\0"), ..attempt() },
            Attempt { command: Some(vec!["a\0".to_owned()]), ..attempt() },
            Attempt { workdir: Some("x".to_owned()), ..attempt() },
            Attempt { hostname: Some("x".repeat(64)), ..attempt() },
            Attempt { user: Some("nemo".to_owned()), ..attempt() },
            Attempt { shm_mib: Some(0), ..attempt() },
            Attempt { ulimits: vec![nofile(2, 1)], ..attempt() },
            Attempt { ulimits: vec![nofile(1, 1), nofile(1, 1)], ..attempt() },
            Attempt { mounts: vec![Mount::read_only("x", "/y")], ..attempt() },
        ] {
            assert!(plan(&broken, &image(), &around()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn the_image_gives_user_and_directory() {
        let plan = plan(&attempt(), &image(), &around()).unwrap();
        assert_eq!((plan.identity.uid, plan.identity.gid, plan.cwd), (7, 8, PathBuf::from("/srv")));
    }
}
