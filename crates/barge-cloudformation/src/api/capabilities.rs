//! What a client must acknowledge before a template is carried out (API reference, CreateStack, "Capabilities").

use crate::template::Template;
use barge_core::AwsError;
use barge_wire::cloudformation::{Capability, error};

/// The IAM types that need acknowledgement, each with the property that names the resource.
const IAM: &[(&str, Option<&str>)] = &[
    ("AWS::IAM::AccessKey", None),
    ("AWS::IAM::Group", Some("GroupName")),
    ("AWS::IAM::InstanceProfile", Some("InstanceProfileName")),
    ("AWS::IAM::ManagedPolicy", Some("ManagedPolicyName")),
    ("AWS::IAM::Policy", None),
    ("AWS::IAM::Role", Some("RoleName")),
    ("AWS::IAM::User", Some("UserName")),
    ("AWS::IAM::UserToGroupAddition", None),
];

/// What a template needs acknowledged.
pub(super) struct Needed {
    pub(super) capability: Capability,
    /// The types that need it.
    pub(super) types: Vec<String>,
}

impl Needed {
    /// `None` where the template needs nothing acknowledged.
    pub(super) fn by(template: &Template) -> Option<Self> {
        let mut types = Vec::new();
        let mut capability = Capability::CapabilityIam;
        for resource in template.resources.values() {
            let Some((_, name)) = IAM.iter().find(|(type_name, _)| *type_name == resource.type_name) else {
                continue;
            };
            if name.is_some_and(|name| resource.properties.contains_key(name)) {
                capability = Capability::CapabilityNamedIam;
            }
            if !types.contains(&resource.type_name) {
                types.push(resource.type_name.clone());
            }
        }
        (!types.is_empty()).then_some(Self { capability, types })
    }

    pub(super) fn reason(&self) -> String {
        format!("The following resource(s) require capabilities: [{}]", self.types.join(", "))
    }
}

/// Whether the operation carries out a template's transforms at once, unseen: a change set shows what comes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transforms {
    Unseen,
    Shown,
}

/// `InsufficientCapabilitiesException` where `given` lacks what the template needs.
pub(crate) fn check(template: &Template, given: &[Capability], transforms: Transforms) -> Result<(), AwsError> {
    let mut lacking = Vec::new();
    if let Some(needed) = Needed::by(template)
        && !given.contains(&Capability::CapabilityNamedIam)
        && !given.contains(&needed.capability)
    {
        lacking.push(needed.capability.as_str());
    }
    let expand = Capability::CapabilityAutoExpand;
    if transforms == Transforms::Unseen && !template.transforms.is_empty() && !given.contains(&expand) {
        lacking.push(expand.as_str());
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(error::insufficient_capabilities_exception(format!("Requires capabilities : [{}]", lacking.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_need_acknowledgement_and_named_ones_more() {
        use Capability::{CapabilityIam as Iam, CapabilityNamedIam as Named};
        let template = |text: &str| Template::parse(text).unwrap();
        let plain = template("Resources: {B: {Type: 'AWS::S3::Bucket'}}");
        let role = template("Resources: {R: {Type: 'AWS::IAM::Role'}}");
        let named = template("Resources: {R: {Type: 'AWS::IAM::Role', Properties: {RoleName: r}}}");
        assert!(check(&plain, &[], Transforms::Unseen).is_ok());
        for (template, given, message) in [
            (&role, &[][..], Some("Requires capabilities : [CAPABILITY_IAM]")),
            (&role, &[Iam], None),
            (&role, &[Named], None),
            (&named, &[Iam], Some("Requires capabilities : [CAPABILITY_NAMED_IAM]")),
            (&named, &[Iam, Named], None),
        ] {
            assert_eq!(check(template, given, Transforms::Unseen).err().map(|error| error.message).as_deref(), message);
        }
    }

    #[test]
    fn transforms_that_nobody_sees_need_acknowledgement() {
        let mut template = Template::parse("Resources: {B: {Type: 'AWS::S3::Bucket'}}").unwrap();
        template.transforms = vec!["AWS::LanguageExtensions".to_owned()];
        let unseen = check(&template, &[], Transforms::Unseen).unwrap_err();
        assert_eq!(unseen.message, "Requires capabilities : [CAPABILITY_AUTO_EXPAND]");
        assert!(check(&template, &[Capability::CapabilityAutoExpand], Transforms::Unseen).is_ok());
        assert!(check(&template, &[], Transforms::Shown).is_ok());
    }
}
