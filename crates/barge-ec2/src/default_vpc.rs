//! The VPC that every account has in every region from the start: 172.31.0.0/16, a public subnet in each zone, an
//! internet gateway and a route to it (VPC User Guide, "Default VPCs").

use crate::cidr::Cidr;
use crate::describe::show;
use crate::errors;
use crate::internet_gateways;
use crate::network::{Network, db};
use crate::regions;
use crate::route_tables::RouteTableRecord;
use crate::routes::{RouteRecord, Target};
use crate::subnets::{self, Plan};
use crate::vpcs::{self, Origin, VpcRecord};
use barge_core::AwsError;
use barge_core::ids::SeededIds;
use barge_store::rusqlite::params;
use barge_wire::ec2::{CreateDefaultVpcRequest, CreateDefaultVpcResult, Tenancy};

/// Whether the region has been given its default VPC, which may have been deleted since.
pub(crate) fn is_prepared(net: &Network<'_>) -> Result<bool, AwsError> {
    let mut statement = db(net.conn.prepare_cached("SELECT 1 FROM ec2_regions WHERE account = ?1 AND region = ?2"))?;
    db(statement.exists(params![net.scope.account.as_str(), net.region()]))
}

/// Gives the region its default VPC, once for ever.
pub(crate) fn prepare(net: &Network<'_>) -> Result<(), AwsError> {
    if is_prepared(net)? {
        return Ok(());
    }
    // Everyone's default VPC keeps its ids when the data directory is made anew: less to look up again in scripts.
    let ids = SeededIds::new(format!("default VPC\n{}\n{}", net.scope.account, net.region()));
    make(&net.with_ids(&ids))?;
    db(net.conn.execute(
        "INSERT INTO ec2_regions (account, region) VALUES (?1, ?2)",
        params![net.scope.account.as_str(), net.region()],
    ))
    .map(drop)
}

fn make(net: &Network<'_>) -> Result<VpcRecord, AwsError> {
    let vpc = vpcs::make(net, Cidr::parse("172.31.0.0/16")?, Tenancy::Default, Origin::Default, &[])?;
    for (block, zone) in ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"].iter().zip(regions::zones(net.region()))
    {
        let plan = Plan { cidr: Cidr::parse(block)?, zone, default_for_zone: true, tags: Vec::new() };
        subnets::make(net, &vpc, plan)?;
    }
    let mut gateway = internet_gateways::make(net, &[])?;
    gateway.vpc = Some(vpc.id.clone());
    net.put(&gateway)?;
    for mut table in net.select::<RouteTableRecord>(|table| table.vpc == vpc.id)? {
        let target = Target::InternetGateway(gateway.id.clone());
        table.routes = vec![RouteRecord { destination: Cidr::ANYWHERE, target }];
        net.put(&table)?;
    }
    Ok(vpc)
}

/// Makes a new default VPC where the old one was deleted.
pub(crate) fn create(net: &Network<'_>, _: CreateDefaultVpcRequest) -> Result<CreateDefaultVpcResult, AwsError> {
    if vpcs::default(net)?.is_some() {
        return Err(errors::refused(
            "DefaultVpcAlreadyExists",
            "A Default VPC already exists for this account in this region.",
        ));
    }
    let vpc = make(net)?;
    Ok(CreateDefaultVpcResult { vpc: Some(show(net, &vpc)?) })
}
