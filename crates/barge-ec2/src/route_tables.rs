//! Route tables and their associations with subnets. A VPC's main table serves the subnets that have no other.

use crate::describe::{Described, describe, question, show};
use crate::filters::{Field, text, truth};
use crate::kind::Kind;
use crate::nat_gateways::{client_seed, mismatch};
use crate::network::{Network, Record};
use crate::routes::{self, RouteRecord};
use crate::subnets::SubnetRecord;
use crate::vpc_endpoints::{self, EndpointRecord};
use crate::vpcs::VpcRecord;
use crate::{errors, tags};
use barge_core::AwsError;
use barge_wire::ec2::{
    AssociateRouteTableRequest, AssociateRouteTableResult, CreateRouteTableRequest, CreateRouteTableResult,
    DeleteRouteTableRequest, DescribeRouteTablesRequest, DescribeRouteTablesResult, DisassociateRouteTableRequest,
    ReplaceRouteTableAssociationRequest, ReplaceRouteTableAssociationResult, Route, RouteTable, RouteTableAssociation,
    RouteTableAssociationState, RouteTableAssociationStateCode, Tag,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RouteTableRecord {
    pub(crate) id: String,
    pub(crate) vpc: String,
    /// The id of the association that makes this the VPC's main table, where it is.
    pub(crate) main_association: Option<String>,
    pub(crate) associations: Vec<SubnetAssociation>,
    /// Besides the local route, which every table has.
    pub(crate) routes: Vec<RouteRecord>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubnetAssociation {
    pub(crate) id: String,
    pub(crate) subnet: String,
}

impl Record for RouteTableRecord {
    const KIND: Kind = Kind::RouteTable;

    fn id(&self) -> &str {
        &self.id
    }
}

impl RouteTableRecord {
    /// The table that comes with a VPC.
    pub(crate) fn main_of(net: &Network<'_>, vpc: &str) -> Self {
        Self {
            id: net.mint(Kind::RouteTable),
            vpc: vpc.to_owned(),
            main_association: Some(net.mint_with("rtbassoc")),
            associations: Vec::new(),
            routes: Vec::new(),
        }
    }

    fn show_associations(&self) -> Vec<RouteTableAssociation> {
        let shown = |id: &String, subnet: Option<&String>| RouteTableAssociation {
            main: Some(subnet.is_none()),
            route_table_association_id: Some(id.clone()),
            route_table_id: Some(self.id.clone()),
            subnet_id: subnet.cloned(),
            association_state: Some(associated()),
            ..RouteTableAssociation::default()
        };
        let main = self.main_association.iter().map(|id| shown(id, None));
        main.chain(self.associations.iter().map(|entry| shown(&entry.id, Some(&entry.subnet)))).collect()
    }
}

fn associated() -> RouteTableAssociationState {
    RouteTableAssociationState { state: Some(RouteTableAssociationStateCode::Associated), status_message: None }
}

impl Described for RouteTableRecord {
    type Shown = RouteTable;

    const FILTERS: &'static [Field<RouteTable>] = &[
        ("association.main", |table| {
            table.associations.iter().flatten().flat_map(|association| truth(association.main)).collect()
        }),
        ("association.route-table-association-id", |table| {
            associations(table, |association| association.route_table_association_id.clone())
        }),
        ("association.route-table-id", |table| associations(table, |association| association.route_table_id.clone())),
        ("association.subnet-id", |table| associations(table, |association| association.subnet_id.clone())),
        ("owner-id", |table| text(table.owner_id.as_ref())),
        ("route-table-id", |table| text(table.route_table_id.as_ref())),
        ("route.destination-cidr-block", |table| shown_routes(table, |route| route.destination_cidr_block.clone())),
        ("route.destination-prefix-list-id", |table| {
            shown_routes(table, |route| route.destination_prefix_list_id.clone())
        }),
        ("route.gateway-id", |table| shown_routes(table, |route| route.gateway_id.clone())),
        ("route.nat-gateway-id", |table| shown_routes(table, |route| route.nat_gateway_id.clone())),
        ("route.origin", |table| shown_routes(table, |route| route.origin.map(|origin| origin.to_string()))),
        ("route.state", |table| shown_routes(table, |route| route.state.map(|state| state.to_string()))),
        ("vpc-id", |table| text(table.vpc_id.as_ref())),
    ];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<RouteTable, AwsError> {
        Ok(RouteTable {
            route_table_id: Some(self.id.clone()),
            vpc_id: Some(self.vpc.clone()),
            owner_id: Some(net.account()),
            associations: Some(self.show_associations()),
            propagating_vgws: Some(Vec::new()),
            routes: Some(routes::show_all(net, self)?),
            tags: Some(tags),
        })
    }

    fn tags(shown: &RouteTable) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

fn associations(table: &RouteTable, of: fn(&RouteTableAssociation) -> Option<String>) -> Vec<String> {
    table.associations.iter().flatten().filter_map(of).collect()
}

fn shown_routes(table: &RouteTable, of: fn(&Route) -> Option<String>) -> Vec<String> {
    table.routes.iter().flatten().filter_map(of).collect()
}

/// Makes a table, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(net: &Network<'_>, vpc: &str, tags: &[Tag]) -> Result<RouteTableRecord, AwsError> {
    let id = net.mint(Kind::RouteTable);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    let table = RouteTableRecord {
        vpc: net.get::<VpcRecord>(vpc)?.id,
        main_association: None,
        associations: Vec::new(),
        routes: Vec::new(),
        id,
    };
    net.put(&table)?;
    tags::put(net, &table.id, tags)?;
    Ok(table)
}

pub(crate) fn create(net: &Network<'_>, input: CreateRouteTableRequest) -> Result<CreateRouteTableResult, AwsError> {
    let tags = tags::specified(input.tag_specifications, Kind::RouteTable)?;
    let table = match &input.client_token {
        Some(token) => {
            let ids = client_seed(net, "CreateRouteTable", token);
            make(&net.with_ids(&ids), &input.vpc_id, &tags)?
        }
        None => make(net, &input.vpc_id, &tags)?,
    };
    if table.vpc != input.vpc_id {
        return Err(mismatch());
    }
    Ok(CreateRouteTableResult { route_table: Some(show(net, &table)?), client_token: input.client_token })
}

pub(crate) fn delete(net: &Network<'_>, input: DeleteRouteTableRequest) -> Result<(), AwsError> {
    let table = net.get::<RouteTableRecord>(&input.route_table_id)?;
    if table.main_association.is_some() || !table.associations.is_empty() {
        return Err(errors::in_use(&format!("routeTable '{}'", table.id)));
    }
    for endpoint in net.select::<EndpointRecord>(|endpoint| endpoint.route_tables.contains(&table.id))? {
        vpc_endpoints::forget_table(net, endpoint, &table.id)?;
    }
    net.remove(&table.id)
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeRouteTablesRequest,
) -> Result<DescribeRouteTablesResult, AwsError> {
    let (tables, next_token) = describe::<RouteTableRecord>(net, question!(input, route_table_ids))?;
    Ok(DescribeRouteTablesResult { route_tables: Some(tables), next_token })
}

pub(crate) fn associate(
    net: &Network<'_>,
    input: AssociateRouteTableRequest,
) -> Result<AssociateRouteTableResult, AwsError> {
    let subnet = input.subnet_id.ok_or_else(|| errors::missing_parameter("SubnetId"))?;
    let id = make_association(net, &input.route_table_id, &subnet)?;
    Ok(AssociateRouteTableResult { association_id: Some(id), association_state: Some(associated()) })
}

/// Associates a subnet with a table and gives the association's id; one that an earlier try with the same ids made is
/// given again.
pub(crate) fn make_association(net: &Network<'_>, table: &str, subnet: &str) -> Result<String, AwsError> {
    let id = net.mint_with("rtbassoc");
    let mut table = net.get::<RouteTableRecord>(table)?;
    let subnet = net.get::<SubnetRecord>(subnet)?;
    if subnet.vpc != table.vpc {
        return Err(errors::invalid_value(format!(
            "Route table {} and subnet {} belong to different networks",
            table.id, subnet.id
        )));
    }
    let association = SubnetAssociation { id: id.clone(), subnet: subnet.id.clone() };
    if table.associations.contains(&association) {
        return Ok(id);
    }
    for other in net.select::<RouteTableRecord>(|other| other.vpc == table.vpc)? {
        // Associating a subnet with the table that it is associated with gives that association again.
        if let Some(existing) = other.associations.iter().find(|existing| existing.subnet == subnet.id) {
            if other.id == table.id {
                return Ok(existing.id.clone());
            }
            return Err(errors::refused(
                "Resource.AlreadyAssociated",
                format!(
                    "the specified association for route table {} conflicts with an existing association",
                    table.id
                ),
            ));
        }
    }
    table.associations.push(association);
    net.put(&table)?;
    Ok(id)
}

/// Where an association is.
pub(crate) enum Found {
    Main(RouteTableRecord),
    Subnet(RouteTableRecord, SubnetAssociation),
}

pub(crate) fn find_association(net: &Network<'_>, id: &str) -> Result<Option<Found>, AwsError> {
    for table in net.list::<RouteTableRecord>()? {
        if table.main_association.as_deref() == Some(id) {
            return Ok(Some(Found::Main(table)));
        }
        if let Some(association) = table.associations.iter().find(|association| association.id == id).cloned() {
            return Ok(Some(Found::Subnet(table, association)));
        }
    }
    Ok(None)
}

fn get_association(net: &Network<'_>, id: &str) -> Result<Found, AwsError> {
    find_association(net, id)?.ok_or_else(|| {
        errors::refused("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
    })
}

pub(crate) fn disassociate(net: &Network<'_>, input: DisassociateRouteTableRequest) -> Result<(), AwsError> {
    match get_association(net, &input.association_id)? {
        Found::Main(_) => Err(errors::invalid_value(format!(
            "cannot disassociate the main route table association {}",
            input.association_id
        ))),
        Found::Subnet(mut table, gone) => {
            table.associations.retain(|association| *association != gone);
            net.put(&table)
        }
    }
}

pub(crate) fn replace_association(
    net: &Network<'_>,
    input: ReplaceRouteTableAssociationRequest,
) -> Result<ReplaceRouteTableAssociationResult, AwsError> {
    let (mut from, subnet) = match get_association(net, &input.association_id)? {
        Found::Main(table) => (table, None),
        Found::Subnet(table, association) => (table, Some(association.subnet)),
    };
    let target = net.get::<RouteTableRecord>(&input.route_table_id)?;
    if target.vpc != from.vpc {
        return Err(errors::invalid_value(format!(
            "Route table {} and network {} belong to different networks",
            target.id, from.vpc
        )));
    }
    let id = net.mint_with("rtbassoc");
    from.main_association = from.main_association.filter(|own| *own != input.association_id);
    from.associations.retain(|association| association.id != input.association_id);
    net.put(&from)?;
    // Read again: it may be the table that was just changed.
    let mut target = net.get::<RouteTableRecord>(&target.id)?;
    match subnet {
        None => target.main_association = Some(id.clone()),
        Some(subnet) => target.associations.push(SubnetAssociation { id: id.clone(), subnet }),
    }
    net.put(&target)?;
    Ok(ReplaceRouteTableAssociationResult { new_association_id: Some(id), association_state: Some(associated()) })
}
