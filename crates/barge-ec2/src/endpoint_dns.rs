//! The DNS options of VPC endpoints (EC2 API Reference, "DnsOptionsSpecification"). Names of endpoints are records as all is here;
//! nothing resolves them.

use barge_core::AwsError;
use barge_wire::ec2::{DnsOptions, DnsOptionsSpecification, DnsRecordIpType, VpcEndpointType};
use serde::{Deserialize, Serialize};

/// What was said of an endpoint's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DnsChoice {
    record_type: Option<DnsRecordIpType>,
    /// Whether private names are for resolver endpoints only, so that the VPC's own traffic takes the gateway endpoint.
    inbound_only: Option<bool>,
}

impl DnsChoice {
    /// This choice with what a request says.
    pub(crate) fn changed(self, given: Option<&DnsOptionsSpecification>) -> Result<Self, AwsError> {
        let Some(given) = given else { return Ok(self) };
        let absent = |what: &str| Err(AwsError::not_implemented("Amazon EC2", &format!("{what} of VPC endpoints")));
        match given.dns_record_ip_type {
            Some(kind @ (DnsRecordIpType::Dualstack | DnsRecordIpType::Ipv6)) => {
                return absent(&format!("DnsRecordIpType {kind}"));
            }
            None | Some(DnsRecordIpType::Ipv4 | DnsRecordIpType::ServiceDefined) => {}
        }
        if given.private_dns_preference.is_some() {
            return absent("PrivateDnsPreference");
        }
        if given.private_dns_specified_domains.as_ref().is_some_and(|domains| !domains.is_empty()) {
            return absent("PrivateDnsSpecifiedDomains");
        }
        Ok(Self {
            record_type: given.dns_record_ip_type.or(self.record_type),
            inbound_only: given.private_dns_only_for_inbound_resolver_endpoint.or(self.inbound_only),
        })
    }

    /// The options of an endpoint of a type.
    pub(crate) fn shown(self, endpoint_type: VpcEndpointType) -> DnsOptions {
        let usual = match endpoint_type {
            VpcEndpointType::Interface => DnsRecordIpType::Ipv4,
            _ => DnsRecordIpType::ServiceDefined,
        };
        DnsOptions {
            dns_record_ip_type: Some(self.record_type.unwrap_or(usual)),
            private_dns_only_for_inbound_resolver_endpoint: self.inbound_only,
            ..DnsOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stays_until_it_is_said_otherwise() {
        let inbound = DnsOptionsSpecification {
            private_dns_only_for_inbound_resolver_endpoint: Some(true),
            ..DnsOptionsSpecification::default()
        };
        let service = DnsOptionsSpecification {
            dns_record_ip_type: Some(DnsRecordIpType::ServiceDefined),
            ..DnsOptionsSpecification::default()
        };
        let choice = DnsChoice::default().changed(Some(&inbound)).unwrap();
        let shown = choice.shown(VpcEndpointType::Interface);
        assert_eq!(shown.dns_record_ip_type, Some(DnsRecordIpType::Ipv4));
        let shown = choice.changed(Some(&service)).unwrap().changed(None).unwrap().shown(VpcEndpointType::Interface);
        assert_eq!(shown.dns_record_ip_type, Some(DnsRecordIpType::ServiceDefined));
        assert_eq!(shown.private_dns_only_for_inbound_resolver_endpoint, Some(true));
    }

    #[test]
    fn what_is_not_kept_is_refused_by_name() {
        let ipv6 = DnsOptionsSpecification { dns_record_ip_type: Some(DnsRecordIpType::Ipv6), ..Default::default() };
        let domains = DnsOptionsSpecification {
            private_dns_specified_domains: Some(vec!["x".to_owned()]),
            ..DnsOptionsSpecification::default()
        };
        for (given, word) in [(ipv6, "DnsRecordIpType ipv6"), (domains, "PrivateDnsSpecifiedDomains")] {
            assert!(DnsChoice::default().changed(Some(&given)).unwrap_err().message.contains(word), "{word}");
        }
    }
}
