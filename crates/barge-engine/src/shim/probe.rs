//! Tries what a container needs, for the doctor.

use super::enter_namespaces;
use crate::doctor;
use crate::plan::Privilege;
use crate::user::Identity;
use nix::mount::{MsFlags, mount};
use std::fs;
use std::io;
use std::path::Path;

/// Makes the namespaces and an overlay in a mount namespace that ends with this process.
pub(super) fn probe() -> io::Result<()> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let privilege = if uid.is_root() && !doctor::in_user_namespace() {
        Privilege::Root
    } else {
        Privilege::Rootless { uid: uid.as_raw(), gid: gid.as_raw() }
    };
    enter_namespaces(privilege, &Identity::default())?;
    let wrong = |what: &'static str| move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    let place = Path::new("/tmp");
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(io::Error::from)
        .map_err(wrong("mounting a tmpfs"))?;
    for dir in ["lower", "upper", "work", "root"] {
        fs::create_dir(place.join(dir))?;
    }
    let mut options = "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work".to_owned();
    if privilege != Privilege::Root {
        options.push_str(",userxattr");
    }
    mount(Some("overlay"), "/tmp/root", Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .map_err(io::Error::from)
        .map_err(wrong("mounting an overlay file system (Linux 5.11 is needed for ordinary users)"))
}
