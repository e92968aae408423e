//! What only Fargate has, or has not: sizes, platform versions, networks (Batch User Guide, "Job definition parameters").

use crate::api::foreign;
use crate::core::{Needs, Platform};
use crate::prices::fargate_size;
use barge_core::AwsError;
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{NetworkConfiguration, RuntimePlatform};
/// Refuses what Fargate does not have.
pub(super) fn check_sizes(needs: Needs) -> Result<(), AwsError> {
    if fargate_size(needs) == Some(needs) {
        return Ok(());
    }
    let Needs { vcpu_milli, memory_mib } = needs;
    let vcpu = f64::from(vcpu_milli) / 1000.0;
    Err(client_exception(format!("Fargate resource requirements ({vcpu:.2} vCPU, {memory_mib} MiB) not valid.")))
}

/// Checks the platform version, which EC2 resources don't have.
pub(super) fn check_version(member: &str, version: Option<&str>, platform: Platform) -> Result<(), AwsError> {
    match version {
        Some(_) if platform == Platform::Ec2 => Err(foreign(member, platform)),
        Some(version) if !["LATEST", "1.4.0"].contains(&version) => {
            Err(client_exception(format!("Fargate platform version {version:?} is not available in Barge.")))
        }
        _ => Ok(()),
    }
}

/// Checks the network configuration, which jobs on EC2 resources must not have. Containers share the machine's network: they
/// reach what it reaches, whichever value is given.
pub(super) fn check_network(
    at: &str,
    network: Option<&NetworkConfiguration>,
    platform: Platform,
) -> Result<(), AwsError> {
    match network {
        Some(_) if platform == Platform::Ec2 => Err(foreign(&format!("{at}.networkConfiguration"), platform)),
        _ => Ok(()),
    }
}

/// Checks that this machine is what the runtime platform asks for.
pub(super) fn check_runtime(platform: Option<&RuntimePlatform>) -> Result<(), AwsError> {
    let Some(RuntimePlatform { operating_system_family, cpu_architecture }) = platform else { return Ok(()) };
    let here = if cfg!(target_arch = "aarch64") { "ARM64" } else { "X86_64" };
    let family = operating_system_family.as_deref().unwrap_or("LINUX");
    let architecture = cpu_architecture.as_deref().unwrap_or(here);
    if family != "LINUX" || architecture != here {
        return Err(client_exception(format!(
            "runtimePlatform {family} {architecture} is not available: this Barge runs on LINUX {here}."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_in_the_guide() {
        for (vcpu_milli, memory_mib, legal) in [
            (250, 512, true),
            (250, 1024, true),
            (250, 1536, false),
            (250, 2048, true),
            (250, 4096, false),
            (500, 512, false),
            (500, 4096, true),
            (1000, 2048, true),
            (1000, 4000, false),
            (2000, 16_384, true),
            (4000, 30_720, true),
            (4000, 31_744, false),
            (8000, 20_480, true),
            (8000, 17_408, false),
            (16_000, 122_880, true),
            (16_000, 32_768 + 4096, false),
            (3000, 8192, false),
            (0, 512, false),
        ] {
            assert_eq!(check_sizes(Needs { vcpu_milli, memory_mib }).is_ok(), legal, "{vcpu_milli} {memory_mib}");
        }
        let error = check_sizes(Needs { vcpu_milli: 1000, memory_mib: 4000 }).unwrap_err();
        assert_eq!(error.message, "Fargate resource requirements (1.00 vCPU, 4000 MiB) not valid.");
    }
}
