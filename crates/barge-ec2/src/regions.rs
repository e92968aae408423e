//! Regions and their availability zones: three in each.

use crate::errors;
use crate::filters::{self, Field, text};
use crate::network::Network;
use barge_core::AwsError;
use barge_wire::ec2::{
    AvailabilityZone, AvailabilityZoneOptInStatus, AvailabilityZoneState, DescribeAvailabilityZonesRequest,
    DescribeAvailabilityZonesResult, DescribeRegionsRequest, DescribeRegionsResult, Region,
};

/// AWS's regions, and whether an account must opt in to them (Account Management Reference Guide, "Enable or disable AWS
/// Regions in your account").
const REGIONS: &[(&str, OptIn)] = &[
    ("af-south-1", OptIn::Required),
    ("ap-east-1", OptIn::Required),
    ("ap-northeast-1", OptIn::NotRequired),
    ("ap-northeast-2", OptIn::NotRequired),
    ("ap-northeast-3", OptIn::NotRequired),
    ("ap-south-1", OptIn::NotRequired),
    ("ap-south-2", OptIn::Required),
    ("ap-southeast-1", OptIn::NotRequired),
    ("ap-southeast-2", OptIn::NotRequired),
    ("ap-southeast-3", OptIn::Required),
    ("ap-southeast-4", OptIn::Required),
    ("ca-central-1", OptIn::NotRequired),
    ("ca-west-1", OptIn::Required),
    ("eu-central-1", OptIn::NotRequired),
    ("eu-central-2", OptIn::Required),
    ("eu-north-1", OptIn::NotRequired),
    ("eu-south-1", OptIn::Required),
    ("eu-south-2", OptIn::Required),
    ("eu-west-1", OptIn::NotRequired),
    ("eu-west-2", OptIn::NotRequired),
    ("eu-west-3", OptIn::NotRequired),
    ("il-central-1", OptIn::Required),
    ("me-central-1", OptIn::Required),
    ("me-south-1", OptIn::Required),
    ("sa-east-1", OptIn::NotRequired),
    ("us-east-1", OptIn::NotRequired),
    ("us-east-2", OptIn::NotRequired),
    ("us-west-1", OptIn::NotRequired),
    ("us-west-2", OptIn::NotRequired),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OptIn {
    NotRequired,
    Required,
}

/// The zones of a region, by name.
pub(crate) fn zones(region: &str) -> [String; 3] {
    ["a", "b", "c"].map(|letter| format!("{region}{letter}"))
}

/// The id of a zone, e.g. `use1-az1` of `us-east-1a` (EC2 User Guide, "AZ IDs"). Here a letter stands for the same zone
/// in every account.
pub(crate) fn zone_id(zone: &str) -> String {
    let letter = zone.bytes().last().unwrap_or(b'a');
    let region = zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let mut short = String::new();
    for (at, part) in region.split('-').enumerate() {
        match (at, direction(part)) {
            (0, _) => short.push_str(part),
            (_, Some(direction)) => short.push_str(direction),
            (_, None) if part.bytes().all(|b| b.is_ascii_digit()) => short.push_str(part),
            (_, None) => short.extend(part.chars().next()),
        }
    }
    format!("{short}-az{}", letter.saturating_sub(b'a') + 1)
}

fn direction(part: &str) -> Option<&'static str> {
    Some(match part {
        "northeast" => "ne",
        "northwest" => "nw",
        "southeast" => "se",
        "southwest" => "sw",
        "central" => "c",
        "east" => "e",
        "north" => "n",
        "south" => "s",
        "west" => "w",
        _ => return None,
    })
}

const ZONE_FILTERS: &[Field<AvailabilityZone>] = &[
    ("group-name", |zone| text(zone.group_name.as_ref())),
    ("opt-in-status", |zone| zone.opt_in_status.map(|status| status.to_string()).into_iter().collect()),
    ("region-name", |zone| text(zone.region_name.as_ref())),
    ("state", |zone| zone.state.map(|state| state.to_string()).into_iter().collect()),
    ("zone-id", |zone| text(zone.zone_id.as_ref())),
    ("zone-name", |zone| text(zone.zone_name.as_ref())),
    ("zone-type", |zone| text(zone.zone_type.as_ref())),
];

pub(crate) fn describe_zones(
    net: &Network<'_>,
    input: DescribeAvailabilityZonesRequest,
) -> Result<DescribeAvailabilityZonesResult, AwsError> {
    let mut shown: Vec<_> =
        zones(net.region()).into_iter().map(|name| (name.clone(), zone(net.region(), name))).collect();
    for name in input.zone_names.iter().flatten() {
        if !shown.iter().any(|(own, _)| own == name) {
            return Err(errors::invalid_value(format!("Invalid availability zone: [{name}]")));
        }
    }
    for id in input.zone_ids.iter().flatten() {
        if !shown.iter().any(|(own, _)| zone_id(own) == *id) {
            return Err(errors::invalid_value(format!("Invalid availability zone-id: [{id}]")));
        }
    }
    let named = |wanted: Option<&Vec<String>>, value: &str| {
        wanted.filter(|wanted| !wanted.is_empty()).is_none_or(|wanted| wanted.iter().any(|name| name == value))
    };
    shown.retain(|(name, _)| named(input.zone_names.as_ref(), name) && named(input.zone_ids.as_ref(), &zone_id(name)));
    filters::apply(&mut shown, &input.filters.unwrap_or_default(), ZONE_FILTERS, |_| &[])?;
    Ok(DescribeAvailabilityZonesResult { availability_zones: Some(shown.into_iter().map(|(_, zone)| zone).collect()) })
}

fn zone(region: &str, name: String) -> AvailabilityZone {
    AvailabilityZone {
        opt_in_status: Some(AvailabilityZoneOptInStatus::OptInNotRequired),
        messages: Some(Vec::new()),
        region_name: Some(region.to_owned()),
        zone_id: Some(zone_id(&name)),
        zone_name: Some(name),
        group_name: Some(region.to_owned()),
        network_border_group: Some(region.to_owned()),
        zone_type: Some("availability-zone".to_owned()),
        state: Some(AvailabilityZoneState::Available),
        ..AvailabilityZone::default()
    }
}

const REGION_FILTERS: &[Field<Region>] = &[
    ("endpoint", |region| text(region.endpoint.as_ref())),
    ("opt-in-status", |region| text(region.opt_in_status.as_ref())),
    ("region-name", |region| text(region.region_name.as_ref())),
];

/// The regions that need no opting in, or all; the region that is asked is always among them.
pub(crate) fn describe_regions(
    net: &Network<'_>,
    input: DescribeRegionsRequest,
) -> Result<DescribeRegionsResult, AwsError> {
    let names = input.region_names.unwrap_or_default();
    let all = input.all_regions == Some(true);
    let mut shown = Vec::new();
    for (name, opt_in) in known(net.region()) {
        let enabled = opt_in == OptIn::NotRequired || name == net.region();
        if (enabled || all) && (names.is_empty() || names.iter().any(|wanted| wanted == name)) {
            shown.push((name.to_owned(), region(name, opt_in, enabled)));
        }
    }
    for name in &names {
        if !shown.iter().any(|(own, _)| own == name) {
            return Err(errors::invalid_value(format!("Invalid region provided: {name}")));
        }
    }
    filters::apply(&mut shown, &input.filters.unwrap_or_default(), REGION_FILTERS, |_| &[])?;
    Ok(DescribeRegionsResult { regions: Some(shown.into_iter().map(|(_, region)| region).collect()) })
}

fn known(asked: &str) -> Vec<(&str, OptIn)> {
    let mut known: Vec<(&str, OptIn)> = REGIONS.to_vec();
    if !known.iter().any(|(name, _)| *name == asked) {
        known.push((asked, OptIn::NotRequired));
    }
    known
}

fn region(name: &str, opt_in: OptIn, enabled: bool) -> Region {
    let status = match (opt_in, enabled) {
        (OptIn::NotRequired, _) => "opt-in-not-required",
        (OptIn::Required, true) => "opted-in",
        (OptIn::Required, false) => "not-opted-in",
    };
    Region {
        opt_in_status: Some(status.to_owned()),
        region_name: Some(name.to_owned()),
        endpoint: Some(format!("ec2.{name}.amazonaws.com")),
        ..Region::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_ids_as_aws_forms_them() {
        for (zone, id) in [
            ("us-east-1a", "use1-az1"),
            ("us-west-2c", "usw2-az3"),
            ("ap-northeast-1b", "apne1-az2"),
            ("eu-central-1a", "euc1-az1"),
            ("us-gov-west-1a", "usgw1-az1"),
        ] {
            assert_eq!(zone_id(zone), id);
        }
    }
}
