//! How an operation is carried out: `DeploymentConfig`, and the older `DisableRollback` beside it (API reference,
//! DeploymentConfig; User Guide, "Deploy AWS CloudFormation stacks faster with express mode").

use super::invalid;
use crate::engine::{Deployment, DeploymentMode};
use barge_core::AwsError;
use barge_wire::cloudformation::{DeploymentConfig, DeploymentConfigMode};

/// What a request says; `disable_rollback` is its older member.
pub(super) fn read(config: Option<DeploymentConfig>, disable_rollback: Option<bool>) -> Result<Deployment, AwsError> {
    let config = config.unwrap_or_default();
    let rollback_disabled = match (config.disable_rollback, disable_rollback) {
        (Some(one), Some(other)) if one != other => {
            return Err(invalid("DisableRollback and DeploymentConfig.DisableRollback contradict each other"));
        }
        (one, other) => one.or(other),
    };
    let mode = match config.mode {
        None | Some(DeploymentConfigMode::Standard) => DeploymentMode::Standard,
        Some(DeploymentConfigMode::Express) => DeploymentMode::Express,
    };
    Ok(Deployment { mode, rollback_disabled })
}

/// As answers show it; nothing where nothing was said.
pub(super) fn shown(deployment: Deployment) -> Option<DeploymentConfig> {
    (deployment != Deployment::default()).then_some(DeploymentConfig {
        mode: Some(match deployment.mode {
            DeploymentMode::Standard => DeploymentConfigMode::Standard,
            DeploymentMode::Express => DeploymentConfigMode::Express,
        }),
        disable_rollback: deployment.rollback_disabled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::OnFailure;

    #[test]
    fn express_mode_does_not_roll_back_unless_asked() {
        let express = Some(DeploymentConfigMode::Express);
        for (mode, disable, older, expected) in [
            (None, None, None, OnFailure::Rollback),
            (None, None, Some(true), OnFailure::DoNothing),
            (None, Some(true), None, OnFailure::DoNothing),
            (express, None, None, OnFailure::DoNothing),
            (express, Some(false), None, OnFailure::Rollback),
            (express, None, Some(false), OnFailure::Rollback),
        ] {
            let config = DeploymentConfig { mode, disable_rollback: disable };
            assert_eq!(read(Some(config), older).unwrap().on_failure(), expected, "{mode:?} {disable:?} {older:?}");
        }
        let config = DeploymentConfig { mode: None, disable_rollback: Some(true) };
        assert!(read(Some(config), Some(false)).is_err());
    }

    #[test]
    fn what_was_said_is_shown() {
        assert_eq!(shown(Deployment::default()), None);
        let config = DeploymentConfig { mode: Some(DeploymentConfigMode::Express), disable_rollback: Some(false) };
        assert_eq!(shown(read(Some(config.clone()), None).unwrap()), Some(config));
    }
}
