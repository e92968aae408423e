//! A task's volumes: scratch directories, and paths of the host below what the operator allows.
//!
//! A host path is looked at by its real name, every link followed, so that none leads out of what is allowed; where it
//! does not exist it is made, as Docker does (ECS Developer Guide, "Bind mounts").

use crate::runner::{Place, Volume};
use barge_wire::batch as wire;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The task's volumes that can be, and in AWS's words why the first of the others can't.
pub(super) fn volumes(said: &[wire::Volume], allowed: &[PathBuf]) -> (Vec<Volume>, Option<String>) {
    let mut volumes = Vec::with_capacity(said.len());
    let mut obstacle = None;
    for volume in said {
        match one(volume, allowed) {
            Ok(volume) => volumes.push(volume),
            Err(why) => obstacle = obstacle.or(Some(why)),
        }
    }
    (volumes, obstacle)
}

fn one(said: &wire::Volume, allowed: &[PathBuf]) -> Result<Volume, String> {
    let name = said.name.clone().unwrap_or_default();
    let refused = |why: String| format!("CannotCreateContainerError: volume {name}: {why}");
    if said.efs_volume_configuration.is_some() || said.s3files_volume_configuration.is_some() {
        return Err(refused("network file systems are not available in Barge".to_owned()));
    }
    let source = said.host.as_ref().and_then(|host| host.source_path.as_deref()).filter(|path| !path.is_empty());
    let place = match source {
        None => Place::Scratch,
        Some(path) => Place::Host(host_path(Path::new(path), allowed).map_err(refused)?),
    };
    Ok(Volume { name, place })
}

fn host_path(path: &Path, allowed: &[PathBuf]) -> Result<PathBuf, String> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(format!("host path {shown} is not absolute"));
    }
    let (real, missing) = real_path(path).map_err(|error| format!("host path {shown}: {error}"))?;
    let inside = allowed.iter().filter_map(|prefix| prefix.canonicalize().ok()).any(|prefix| real.starts_with(prefix));
    if !inside {
        return Err(format!(
            "host path {shown} is not below a folder that jobs may use. Start Barge with --allow-host-path FOLDER."
        ));
    }
    if !missing.as_os_str().is_empty() {
        fs::create_dir_all(real.join(&missing)).map_err(|error| format!("host path {shown}: {error}"))?;
    }
    Ok(real.join(missing))
}

/// The real name of as much of a path as exists, and what of it does not.
fn real_path(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let mut missing: Vec<OsString> = Vec::new();
    let mut at = path;
    loop {
        // A link that leads nowhere exists: what is behind it must not be made.
        match at.canonicalize() {
            Ok(real) => return Ok((real, missing.iter().rev().collect())),
            Err(error) if error.kind() != io::ErrorKind::NotFound || at.symlink_metadata().is_ok() => {
                return Err(error);
            }
            Err(error) => {
                let Some(Component::Normal(name)) = at.components().next_back() else { return Err(error) };
                missing.push(name.to_owned());
                at = at.parent().ok_or(error)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn host(path: &Path) -> wire::Volume {
        let host = Some(wire::Host { source_path: Some(path.display().to_string()) });
        wire::Volume { name: Some("v".to_owned()), host, ..wire::Volume::default() }
    }

    #[test]
    fn a_volume_without_a_path_is_scratch() {
        let plain = wire::Volume { name: Some("v".to_owned()), ..wire::Volume::default() };
        let empty = wire::Volume { host: Some(wire::Host::default()), ..plain.clone() };
        let expected = Volume { name: "v".to_owned(), place: Place::Scratch };
        assert_eq!(volumes(&[plain, empty], &[]), (vec![expected.clone(), expected], None));
    }

    #[test]
    fn host_paths_stay_below_what_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (inside, outside) = (root.join("in"), root.join("out"));
        fs::create_dir_all(inside.join("a")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::create_dir_all(root.join("inner")).unwrap();
        symlink(&outside, inside.join("leave")).unwrap();
        symlink(inside.join("a"), inside.join("stay")).unwrap();
        symlink(root.join("nowhere"), inside.join("dangling")).unwrap();
        let allowed = [inside.clone()];
        let place = |path: &Path| one(&host(path), &allowed).map(|volume| volume.place);
        for (path, real) in [
            (inside.clone(), inside.clone()),
            (inside.join("a"), inside.join("a")),
            (inside.join("stay"), inside.join("a")),
            (inside.join("a/../a/."), inside.join("a")),
            (inside.join("new/deep"), inside.join("new/deep")),
        ] {
            assert_eq!(place(&path), Ok(Place::Host(real.clone())), "{}", path.display());
            assert!(real.is_dir());
        }
        for path in [
            root.clone(),
            outside.clone(),
            root.join("inner"),
            inside.join(".."),
            inside.join("../out"),
            inside.join("leave"),
            inside.join("leave/new"),
            inside.join("dangling"),
            inside.join("dangling/x"),
            inside.join("none/../../out"),
            PathBuf::from("in/a"),
        ] {
            assert!(place(&path).is_err(), "{}", path.display());
        }
        assert!(!outside.join("new").exists() && !root.join("nowhere").exists());
        let error = one(&host(&inside), &[]).unwrap_err();
        assert!(
            error.starts_with("CannotCreateContainerError: volume v: ") && error.contains("--allow-host-path"),
            "{error}"
        );
    }

    #[test]
    fn network_file_systems_are_refused() {
        let efs = Some(wire::EFSVolumeConfiguration { file_system_id: "fs-1".to_owned(), ..Default::default() });
        let volume = wire::Volume { name: Some("v".to_owned()), efs_volume_configuration: efs, ..Default::default() };
        let scratch = wire::Volume { name: Some("s".to_owned()), ..wire::Volume::default() };
        let (volumes, obstacle) = volumes(&[volume, scratch], &[]);
        assert!(obstacle.is_some_and(|why| why.contains("network file systems")));
        assert_eq!(volumes.len(), 1, "what can be stays, to be removed with the task");
    }
}
