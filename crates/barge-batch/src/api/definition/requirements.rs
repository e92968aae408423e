//! How much a job needs: `resourceRequirements`, and the older `vcpus` and `memory` beside them.
//!
//! An override counts for the kind that it is of: an older member does not override a requirement (API Reference,
//! "ContainerOverrides").

use super::fargate;
use crate::api::executing;
use crate::core::{Needs, Platform};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{ResourceRequirement, ResourceType};

/// One source of requirements: a definition or an override.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::api) struct Asked<'a> {
    pub(in crate::api) requirements: Option<&'a Vec<ResourceRequirement>>,
    pub(in crate::api) vcpus: Option<i64>,
    pub(in crate::api) memory: Option<i64>,
}

impl Asked<'_> {
    fn requirement(&self, kind: ResourceType) -> Option<&str> {
        self.requirements?.iter().find(|requirement| requirement.r#type == kind).map(|found| found.value.as_str())
    }

    /// Checks what can be checked of one source alone.
    pub(in crate::api) fn check(&self, platform: Platform) -> Result<(), AwsError> {
        let old = self.vcpus.is_some() || self.memory.is_some();
        if platform == Platform::Fargate && old {
            return Err(client_exception(
                "vcpus and memory are not supported for jobs that run on Fargate resources; use resourceRequirements.",
            ));
        }
        if self.requirement(ResourceType::Gpu).is_some() {
            return Err(client_exception("GPU resource requirements are not available in Barge yet."));
        }
        for kind in [ResourceType::Vcpu, ResourceType::Memory] {
            let count = self.requirements.iter().flat_map(|list| list.iter()).filter(|r| r.r#type == kind).count();
            if count > 1 {
                return Err(client_exception(format!("resourceRequirements has {count} entries of type {kind}.")));
            }
        }
        Ok(())
    }
}

/// What a container of `definition` with `overrides` needs, whatever it runs on.
pub(in crate::api) fn needs(cx: &Context, definition: Asked<'_>, overrides: Asked<'_>) -> Result<Needs, AwsError> {
    let resolve = |kind: ResourceType, old: fn(&Asked<'_>) -> Option<i64>| {
        let new = overrides.requirement(kind).or_else(|| definition.requirement(kind)).map(str::to_owned);
        new.or_else(|| old(&overrides).or_else(|| old(&definition)).map(|n| n.to_string()))
    };
    let vcpu = resolve(ResourceType::Vcpu, |asked| asked.vcpus);
    let memory = resolve(ResourceType::Memory, |asked| asked.memory);
    let vcpu = vcpu.ok_or_else(|| executing(cx, "vCPU is not provided."))?;
    let memory = memory.ok_or_else(|| executing(cx, "Memory is not provided."))?;
    Ok(Needs { vcpu_milli: vcpu_milli(&vcpu)?, memory_mib: mib(&memory)? })
}

/// What containers of one task need together.
pub(in crate::api) fn sum(all: &[Needs]) -> Result<Needs, AwsError> {
    let too_much = || client_exception("The containers of a task need more together than can be counted.");
    let mut sum = Needs { vcpu_milli: 0, memory_mib: 0 };
    for needs in all {
        sum.vcpu_milli = sum.vcpu_milli.checked_add(needs.vcpu_milli).ok_or_else(too_much)?;
        sum.memory_mib = sum.memory_mib.checked_add(needs.memory_mib).ok_or_else(too_much)?;
    }
    Ok(sum)
}

/// Refuses what a platform does not have for one task.
pub(in crate::api) fn check_task(needs: Needs, platform: Platform) -> Result<(), AwsError> {
    match platform {
        Platform::Fargate => fargate::check_sizes(needs),
        Platform::Ec2 if !needs.vcpu_milli.is_multiple_of(1000) => {
            let vcpus = f64::from(needs.vcpu_milli) / 1000.0;
            Err(client_exception(format!("VCPU value {vcpus} must be a whole number on EC2 resources.")))
        }
        Platform::Ec2 => Ok(()),
    }
}

/// The largest number of vCPUs that is taken: far beyond any machine, far within the arithmetic.
const MOST_VCPUS: u32 = 1_000_000;

fn vcpu_milli(text: &str) -> Result<u32, AwsError> {
    let wrong = || client_exception(format!("VCPU value {text:?} is not valid."));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || fraction.len() > 3 || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().ok().filter(|n| *n <= MOST_VCPUS).ok_or_else(wrong)?;
    let thousandths: u32 = format!("{fraction:0<3}").parse().map_err(|_| wrong())?;
    match whole * 1000 + thousandths {
        0 => Err(wrong()),
        milli => Ok(milli),
    }
}

fn mib(text: &str) -> Result<u32, AwsError> {
    let value = text.parse().ok().filter(|mib| *mib >= 4);
    value.ok_or_else(|| client_exception(format!("MEMORY value {text:?} is not valid: at least 4 MiB are needed.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_core::{Ambient, Scope};

    fn list(vcpu: &str, memory: &str) -> Vec<ResourceRequirement> {
        let requirement = |r#type, value: &str| ResourceRequirement { r#type, value: value.to_owned() };
        let all = [requirement(ResourceType::Vcpu, vcpu), requirement(ResourceType::Memory, memory)];
        all.into_iter().filter(|requirement| !requirement.value.is_empty()).collect()
    }

    #[test]
    fn which_source_counts() {
        let cx = Ambient::system("http://localhost").context(Scope::default(), "test");
        let (def, over, none) = (list("2", "1024"), list("4", ""), Vec::new());
        let asked = |requirements, vcpus, memory| Asked { requirements: Some(requirements), vcpus, memory };
        for (definition, overrides, expected) in [
            (asked(&def, None, None), Asked::default(), (2000, 1024)),
            (asked(&def, None, None), asked(&over, None, None), (4000, 1024)),
            (asked(&def, None, None), asked(&none, Some(8), Some(2048)), (2000, 1024)),
            (asked(&none, Some(1), Some(128)), asked(&none, Some(8), None), (8000, 128)),
            (asked(&none, Some(1), Some(128)), asked(&over, None, None), (4000, 128)),
        ] {
            let needs = needs(&cx, definition, overrides).unwrap();
            assert_eq!((needs.vcpu_milli, needs.memory_mib), expected);
        }
        let missing = needs(&cx, Asked::default(), Asked::default()).unwrap_err();
        assert!(missing.message.starts_with("Error executing request, Exception : vCPU is not provided., RequestId: "));
    }

    #[test]
    fn numbers_as_they_may_be_written() {
        for (text, milli) in
            [("0.25", Some(250)), (".25", None), ("1", Some(1000)), ("1.0", Some(1000)), ("16", Some(16_000))]
        {
            assert_eq!(vcpu_milli(text).ok(), milli, "{text}");
        }
        for text in ["", "0", "-1", "1e3", "x", "0.0001", "99999999999", "1.2.3", "+1"] {
            assert!(vcpu_milli(text).is_err(), "{text}");
        }
        for (text, value) in [("4", Some(4)), ("3", None), ("512", Some(512)), ("x", None), ("-1", None)] {
            assert_eq!(mib(text).ok(), value, "{text}");
        }
    }
}
