//! Code that brings its own executable (Lambda Developer Guide, "Building a custom runtime for AWS Lambda").

use super::{Launch, OPT, RuntimeError, TASK_ROOT};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The function's own `bootstrap`, or one of its layers'.
pub(super) fn launch(task: &Path, opt: Option<&Path>) -> Result<Launch, RuntimeError> {
    let invalid = |message: String| RuntimeError::Code { kind: "Runtime.InvalidEntrypoint", message };
    let places = [(TASK_ROOT, Some(task)), (OPT, opt)];
    for (root, dir) in places.into_iter().filter_map(|(root, dir)| Some((root, dir?))) {
        let Ok(file) = std::fs::metadata(dir.join("bootstrap")) else { continue };
        if !file.is_file() || file.permissions().mode() & 0o111 == 0 {
            return Err(invalid(format!("fork/exec {root}/bootstrap: permission denied")));
        }
        return Ok(Launch {
            command: vec![format!("{root}/bootstrap")],
            binds: Vec::new(),
            env: Vec::new(),
            version: "provided, the function's own bootstrap".to_owned(),
        });
    }
    Err(invalid(format!("Couldn't find valid bootstrap(s): [{TASK_ROOT}/bootstrap {OPT}/bootstrap]")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_bootstrap_must_be_there_and_executable() {
        let task = tempfile::tempdir().unwrap();
        let at = task.path().join("bootstrap");
        assert!(launch(task.path(), None).unwrap_err().to_string().contains("Couldn't find valid bootstrap"));
        fs::write(&at, "#!/bin/sh").unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(launch(task.path(), None).unwrap_err().to_string().contains("permission denied"));
        fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(launch(task.path(), None).unwrap().command, ["/var/task/bootstrap"]);
    }
}
