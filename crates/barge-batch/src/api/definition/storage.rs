//! Volumes, where containers mount them, and ephemeral storage.
//!
//! Host paths are checked for form alone: which of them containers may see is the operator's word, and is looked at when the
//! container starts.

use crate::api::{absent, foreign, refuse};
use crate::core::Platform;
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{EphemeralStorage, Host, MountPoint, Volume};
use std::collections::BTreeSet;

/// GiB of ephemeral storage that Fargate has (API Reference, "EphemeralStorage").
const EPHEMERAL: std::ops::RangeInclusive<i64> = 21..=200;

/// Checks a task's volumes.
pub(super) fn check_volumes(at: &str, volumes: Option<&Vec<Volume>>, platform: Platform) -> Result<(), AwsError> {
    let mut names = BTreeSet::new();
    for Volume { host, name, efs_volume_configuration, s3files_volume_configuration } in volumes.into_iter().flatten() {
        refuse(&[
            (&format!("{at}.volumes.efsVolumeConfiguration"), efs_volume_configuration.is_some()),
            (&format!("{at}.volumes.s3filesVolumeConfiguration"), s3files_volume_configuration.is_some()),
        ])?;
        let name = name.as_deref().unwrap_or_default();
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 255 || !name.bytes().all(legal) {
            return Err(client_exception(format!("Volume name {name:?} is not valid.")));
        }
        if !names.insert(name) {
            return Err(client_exception(format!("Volume {name} is defined twice.")));
        }
        if let Some(Host { source_path: Some(path) }) = host {
            if platform == Platform::Fargate {
                return Err(foreign(&format!("{at}.volumes.host.sourcePath"), platform));
            }
            check_path("host.sourcePath", path)?;
        }
    }
    Ok(())
}

/// Checks a container's mount points against its task's volumes.
pub(super) fn check_mounts(
    at: &str,
    mounts: Option<&Vec<MountPoint>>,
    volumes: Option<&Vec<Volume>>,
) -> Result<(), AwsError> {
    let mut paths = BTreeSet::new();
    for MountPoint { container_path, read_only: _, source_volume } in mounts.into_iter().flatten() {
        let path = container_path.as_deref().unwrap_or_default();
        check_path("mountPoints.containerPath", path)?;
        if !paths.insert(path) {
            return Err(client_exception(format!("{at}.mountPoints name the container path {path} twice.")));
        }
        let wanted = source_volume.as_deref().unwrap_or_default();
        absent("mountPoints.sourceVolume", wanted.is_empty())?;
        if !volumes.into_iter().flatten().any(|volume| volume.name.as_deref() == Some(wanted)) {
            return Err(client_exception(format!("Unknown volume '{wanted}'.")));
        }
    }
    Ok(())
}

/// Checks that a path in a container, or of the host, can be one.
pub(super) fn check_path(member: &str, path: &str) -> Result<(), AwsError> {
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(());
    }
    Err(client_exception(format!("{member} {path:?} is not an absolute path.")))
}

/// Checks ephemeral storage, which is Fargate's.
pub(super) fn check_ephemeral(
    at: &str,
    storage: Option<&EphemeralStorage>,
    platform: Platform,
) -> Result<(), AwsError> {
    match storage {
        Some(_) if platform == Platform::Ec2 => Err(foreign(&format!("{at}.ephemeralStorage"), platform)),
        Some(EphemeralStorage { size_in_gi_b }) if !EPHEMERAL.contains(size_in_gi_b) => {
            Err(client_exception(format!("ephemeralStorage.sizeInGiB must be between 21 and 200, not {size_in_gi_b}.")))
        }
        _ => Ok(()),
    }
}
