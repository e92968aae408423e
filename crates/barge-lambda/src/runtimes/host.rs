//! Asks programs of the host: which interpreter is there, and where.

use super::{LANGUAGE_DIR, RuntimeError};
use crate::sandbox::Bind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Directories that a sandbox sees at the same place.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];

/// What `command` printed, without the spaces around it.
pub(super) async fn output(mut command: Command, patience: Duration) -> Result<String, RuntimeError> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(patience, command.output())
        .await
        .map_err(|_| RuntimeError::Host(format!("{name} did not finish within {} seconds", patience.as_secs())))?
        .map_err(|error| RuntimeError::Host(format!("{name}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(RuntimeError::Host(format!("{name}: {}: {}", output.status, reason(&complaint))))
}

/// The line of what a program complained of that says why: mostly the last. npm has its first for that, and advice after it.
fn reason(complaint: &str) -> &str {
    let code = complaint.lines().find(|line| line.starts_with("npm error code"));
    code.or_else(|| complaint.trim().lines().last()).unwrap_or_default()
}

/// Where a sandbox sees an interpreter that is installed under `prefix`, and the bind that it takes, if it takes one.
pub(super) fn place(prefix: &Path) -> (PathBuf, Option<Bind>) {
    if SYSTEM.iter().any(|dir| prefix.starts_with(dir)) {
        return (prefix.to_owned(), None);
    }
    (PathBuf::from(LANGUAGE_DIR), Some(Bind { source: prefix.to_owned(), target: LANGUAGE_DIR.into() }))
}

/// Writes `content` to `path`, where it isn't there already; nobody ever sees half of it.
pub(super) fn install(path: &Path, content: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if std::fs::read(path).is_ok_and(|now| now == content.as_bytes()) {
        return Ok(());
    }
    let making = path.with_extension("new");
    std::fs::write(&making, content)?;
    std::fs::set_permissions(&making, std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(making, path)
}

/// Makes a directory that a sandbox's user may look into.
pub(super) fn make_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_outside_the_system_are_bound() {
        assert_eq!(place(Path::new("/usr/local")), ("/usr/local".into(), None));
        let (seen, bind) = place(Path::new("/home/me/python"));
        assert_eq!(seen, Path::new("/var/lang"));
        assert_eq!(bind.unwrap().source, Path::new("/home/me/python"));
    }

    #[test]
    fn the_line_that_says_why() {
        let npm = "npm error code ECONNREFUSED\nnpm error errno -111\nnpm error A complete log is elsewhere";
        for (complaint, expected) in
            [("", ""), ("WARNING: again\nERROR: no boto3\n", "ERROR: no boto3"), (npm, "npm error code ECONNREFUSED")]
        {
            assert_eq!(reason(complaint), expected);
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = output(Command::new("barge-no-such-program"), Duration::from_secs(5)).await.unwrap_err();
        assert!(error.to_string().contains("barge-no-such-program"));
    }
}
