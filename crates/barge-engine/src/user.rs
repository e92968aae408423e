//! Who a container's process is: from the image's `USER` or the job's, and the image's own lists of users. Pure.

use serde::{Deserialize, Serialize};

/// A process's user and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// The image has no such user or group.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unable to find {kind} {name}: no matching entries in {file}")]
pub(crate) struct NotInImage {
    kind: &'static str,
    name: String,
    file: &'static str,
}

/// What `user` (`name`, `uid`, either with `:group` or `:gid`; empty is root) means, given the texts of the image's
/// `/etc/passwd` and `/etc/group`. As with Docker a number needs no entry; a user without a group given has that of
/// its entry, else 0, and a named group's membership counts only where no group is given.
pub(crate) fn resolve(user: &str, passwd: &str, group: &str) -> Result<Identity, NotInImage> {
    let (user, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|g| !g.is_empty())),
        None => (user, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let entry = passwd.lines().map(fields).find(|f| f.first() == Some(&user) || f.get(2) == Some(&user));
    let uid = entry
        .as_ref()
        .and_then(|f| f.get(2)?.parse().ok())
        .or_else(|| user.parse().ok())
        .ok_or_else(|| NotInImage { kind: "user", name: user.to_owned(), file: "/etc/passwd" })?;
    if let Some(wanted) = wanted_group {
        let gid = group
            .lines()
            .map(fields)
            .find(|f| f.first() == Some(&wanted))
            .and_then(|f| f.get(2)?.parse().ok())
            .or_else(|| wanted.parse().ok())
            .ok_or_else(|| NotInImage { kind: "group", name: wanted.to_owned(), file: "/etc/group" })?;
        return Ok(Identity { uid, gid, groups: Vec::new() });
    }
    let gid = entry.as_ref().and_then(|f| f.get(3)?.parse().ok()).unwrap_or(0);
    let name = entry.as_ref().and_then(|f| f.first().copied()).unwrap_or_default();
    let groups = group
        .lines()
        .map(fields)
        .filter(|f| !name.is_empty() && f.get(3).is_some_and(|members| members.split(',').any(|m| m == name)))
        .filter_map(|f| f.get(2)?.parse().ok())
        .filter(|g| *g != gid)
        .collect();
    Ok(Identity { uid, gid, groups })
}

fn fields(line: &str) -> Vec<&str> {
    line.trim_end().split(':').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:app,root\napp:x:1001:app\n";

    #[test]
    fn users_as_docker_reads_them() {
        let identity = |uid, gid, groups: &[u32]| Identity { uid, gid, groups: groups.to_vec() };
        for (user, expected) in [
            ("", identity(0, 0, &[50])),
            ("root", identity(0, 0, &[50])),
            ("app", identity(1000, 1001, &[50])),
            ("1000", identity(1000, 1001, &[50])),
            ("app:staff", identity(1000, 50, &[])),
            ("app:7", identity(1000, 7, &[])),
            ("4711", identity(4711, 0, &[])),
            ("4711:4712", identity(4711, 4712, &[])),
            (":staff", identity(0, 50, &[])),
        ] {
            assert_eq!(resolve(user, PASSWD, GROUP), Ok(expected), "{user}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert_eq!(
            resolve("nemo", PASSWD, GROUP).unwrap_err().to_string(),
            "unable to find user nemo: no matching entries in /etc/passwd"
        );
        assert!(resolve("app:nemo", PASSWD, GROUP).is_err());
        assert!(resolve("app", "", "").is_err());
    }
}
