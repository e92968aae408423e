//! What all requests have in common: members that are honoured, and dry runs.

use crate::errors;
use barge_core::{AwsError, Document};
use barge_wire::{Kind, Typed};

/// Lets a request through whose members are all among `honoured`; a member that asks for anything else is refused by
/// name. A dry run ends here: permissions are all that EC2 looks at before it.
pub(crate) fn check<T: Typed + Clone>(input: &T, honoured: &[&str]) -> Result<(), AwsError> {
    let Document::Map(members) = input.clone().into_document() else { return Ok(()) };
    debug_assert!(matches!(&T::SHAPE.kind, Kind::Structure(shape)
        if honoured.iter().all(|name| shape.iter().any(|member| member.name == *name))));
    let operation = T::SHAPE.name.strip_suffix("Request").unwrap_or(T::SHAPE.name);
    for (name, value) in &members {
        if name != "DryRun" && asks(value) && !honoured.contains(&name.as_str()) {
            return Err(AwsError::not_implemented("Amazon EC2", &format!("the parameter {name} of {operation}")));
        }
    }
    if members.get("DryRun") == Some(&Document::Bool(true)) {
        return Err(errors::dry_run());
    }
    Ok(())
}

/// Whether a value asks for anything: `false` and empty lists are what happens anyway.
fn asks(value: &Document) -> bool {
    match value {
        Document::Null | Document::Bool(false) => false,
        Document::List(entries) => !entries.is_empty(),
        Document::Map(members) => members.values().any(asks),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barge_wire::ec2::CreateVpcRequest;

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        let quiet = CreateVpcRequest { amazon_provided_ipv6_cidr_block: Some(false), ..Default::default() };
        assert_eq!(check(&quiet, &["CidrBlock"]), Ok(()));
        let loud = CreateVpcRequest { amazon_provided_ipv6_cidr_block: Some(true), ..Default::default() };
        let error = check(&loud, &["CidrBlock"]).unwrap_err();
        assert!(error.is("NotImplemented"), "{error}");
        assert!(error.message.contains("AmazonProvidedIpv6CidrBlock of CreateVpc"), "{error}");
    }

    #[test]
    fn a_dry_run_ends_before_anything_is_done() {
        let dry = CreateVpcRequest { dry_run: Some(true), ..Default::default() };
        let error = check(&dry, &[]).unwrap_err();
        assert_eq!((error.code.as_ref(), error.status), ("DryRunOperation", 412));
    }
}
