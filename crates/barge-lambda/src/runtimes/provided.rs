//! Code that brings its own executable (Lambda Developer Guide, "Building a custom runtime for AWS Lambda").

use super::{Launch, RuntimeError, TASK_ROOT};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

pub(super) fn launch(task: &Path) -> Result<Launch, RuntimeError> {
    let invalid = |message: String| RuntimeError::Code { kind: "Runtime.InvalidEntrypoint", message };
    match std::fs::metadata(task.join("bootstrap")) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => Ok(Launch {
            command: vec![format!("{TASK_ROOT}/bootstrap")],
            binds: Vec::new(),
            env: Vec::new(),
            version: "provided, the function's own bootstrap".to_owned(),
        }),
        Ok(_) => Err(invalid(format!("fork/exec {TASK_ROOT}/bootstrap: permission denied"))),
        Err(_) => Err(invalid(format!("Couldn't find valid bootstrap(s): [{TASK_ROOT}/bootstrap /opt/bootstrap]"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_bootstrap_must_be_there_and_executable() {
        let task = tempfile::tempdir().unwrap();
        let at = task.path().join("bootstrap");
        assert!(launch(task.path()).unwrap_err().to_string().contains("Couldn't find valid bootstrap"));
        fs::write(&at, "#!/bin/sh").unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(launch(task.path()).unwrap_err().to_string().contains("permission denied"));
        fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(launch(task.path()).unwrap().command, ["/var/task/bootstrap"]);
    }
}
