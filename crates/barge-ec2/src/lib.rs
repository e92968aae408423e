//! EC2's network: VPCs and what is in them, as records with ids, rules and dependencies. No packet flows here.
//!
//! Each operation is a function from a `network::Network` (one account's region inside one transaction) and a request
//! to an answer; `service` lists them and runs them in the store. All records share one mechanism: a kind, an id and a
//! body in `network`, filters and pages in `describe`, tags in `tags`.

// Every operation takes its request by value, so that `service` can list them alike.
#![allow(clippy::needless_pass_by_value)]

mod addresses;
mod cidr;
mod default_vpc;
mod describe;
mod directory;
mod endpoint_dns;
mod errors;
mod filters;
mod internet_gateways;
mod kind;
mod launch_templates;
mod nat_gateways;
mod network;
mod network_acls;
mod network_interfaces;
mod policy;
mod regional_nat;
mod regions;
mod request;
mod resources;
mod route_tables;
mod routes;
mod rule_changes;
mod security_group_rules;
mod security_groups;
mod service;
#[cfg(test)]
#[allow(clippy::wildcard_imports, clippy::default_trait_access)] // many requests, most members left out
mod stories;
mod subnets;
mod tags;
#[cfg(test)]
mod testing;
mod vpc_endpoints;
mod vpcs;

pub use resources::resources;
pub use service::Ec2Service;
