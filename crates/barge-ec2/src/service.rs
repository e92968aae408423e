//! The service: which operations there are, which of their members are honoured, and how they run in the store.

use crate::network::{Network, TABLES};
use crate::{
    addresses, default_vpc, internet_gateways, launch_templates, nat_gateways, network_acls, network_interfaces,
    regions, request, route_tables, routes, rule_changes, security_group_rules, security_groups, subnets, tags,
    vpc_endpoints, vpcs,
};
use barge_core::ids::SeededIds;
use barge_core::{Ambient, AwsError, Context, Scope};
use barge_store::Store;
#[allow(clippy::wildcard_imports)] // nearly every request and response of the model stands in the table below
use barge_wire::ec2::*;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

/// EC2's network of every account and region, on one store. Implements [`EC2`].
pub struct Ec2Service {
    store: Store,
    ambient: Ambient,
    /// The scopes that are known to have been given their default VPC.
    prepared: RwLock<HashSet<Scope>>,
}

impl Ec2Service {
    /// Opens the service and makes its tables.
    pub fn open(store: Store, ambient: Ambient) -> Result<Self, AwsError> {
        store.migrate("ec2", TABLES)?;
        Ok(Self { store, ambient, prepared: RwLock::default() })
    }

    pub(crate) async fn read<T, F>(&self, cx: &Context, query: F) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: FnOnce(&Network<'_>) -> Result<T, AwsError> + Send + 'static,
    {
        self.prepare(cx).await?;
        let (cx, ids) = (cx.clone(), Arc::clone(&self.ambient.ids));
        self.store.read(move |conn| query(&Network::new(conn, &cx, &*ids))).await
    }

    pub(crate) async fn write<T, F>(&self, cx: &Context, change: F) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: FnOnce(&Network<'_>) -> Result<T, AwsError> + Send + 'static,
    {
        self.prepare(cx).await?;
        let (cx, ids) = (cx.clone(), Arc::clone(&self.ambient.ids));
        self.store.write(move |tx| change(&Network::new(tx, &cx, &*ids))).await
    }

    /// [`Self::write`] whose ids follow from `token`: the same change again makes the same ids.
    pub(crate) async fn write_seeded<T, F>(&self, cx: &Context, token: &str, change: F) -> Result<T, AwsError>
    where
        T: Send + 'static,
        F: FnOnce(&Network<'_>) -> Result<T, AwsError> + Send + 'static,
    {
        self.prepare(cx).await?;
        let (cx, ids) = (cx.clone(), SeededIds::new(token.as_bytes()));
        self.store.write(move |tx| change(&Network::new(tx, &cx, &ids))).await
    }

    /// The context of a question that another service asks.
    pub(crate) fn inside(&self, scope: &Scope) -> Context {
        self.ambient.context(scope.clone(), "ec2.amazonaws.com")
    }

    /// Gives an account's region its default VPC the first time that anything is asked there.
    async fn prepare(&self, cx: &Context) -> Result<(), AwsError> {
        if self.prepared.read().unwrap_or_else(PoisonError::into_inner).contains(&cx.scope) {
            return Ok(());
        }
        let (own, ids) = (cx.clone(), Arc::clone(&self.ambient.ids));
        self.store.write(move |tx| default_vpc::prepare(&Network::new(tx, &own, &*ids))).await?;
        self.prepared.write().unwrap_or_else(PoisonError::into_inner).insert(cx.scope.clone());
        Ok(())
    }
}

/// `how method: Request -> Answer = function, [members that are honoured];`
macro_rules! operations {
    ($($how:ident $method:ident: $request:ty => $answer:ty = $function:path, [$($member:ident)*];)*) => {
        impl EC2 for Ec2Service {
            $(async fn $method(&self, cx: &Context, input: $request) -> Result<$answer, AwsError> {
                request::check(&input, &[$(stringify!($member)),*])?;
                self.$how(cx, move |net| $function(net, input)).await
            })*
        }
    };
}

operations! {
    write create_vpc: CreateVpcRequest => CreateVpcResult = vpcs::create,
        [CidrBlock InstanceTenancy TagSpecifications];
    write create_default_vpc: CreateDefaultVpcRequest => CreateDefaultVpcResult = default_vpc::create, [];
    write delete_vpc: DeleteVpcRequest => () = vpcs::delete, [VpcId];
    read describe_vpcs: DescribeVpcsRequest => DescribeVpcsResult = vpcs::describe_all,
        [VpcIds Filters MaxResults NextToken];
    write modify_vpc_attribute: ModifyVpcAttributeRequest => () = vpcs::modify_attribute,
        [VpcId EnableDnsSupport EnableDnsHostnames EnableNetworkAddressUsageMetrics];
    read describe_vpc_attribute: DescribeVpcAttributeRequest => DescribeVpcAttributeResult = vpcs::describe_attribute,
        [VpcId Attribute];

    write create_subnet: CreateSubnetRequest => CreateSubnetResult = subnets::create,
        [VpcId CidrBlock AvailabilityZone AvailabilityZoneId TagSpecifications];
    write delete_subnet: DeleteSubnetRequest => () = subnets::delete, [SubnetId];
    read describe_subnets: DescribeSubnetsRequest => DescribeSubnetsResult = subnets::describe_all,
        [SubnetIds Filters MaxResults NextToken];
    write modify_subnet_attribute: ModifySubnetAttributeRequest => () = subnets::modify_attribute,
        [SubnetId MapPublicIpOnLaunch PrivateDnsHostnameTypeOnLaunch EnableResourceNameDnsARecordOnLaunch];

    write create_internet_gateway: CreateInternetGatewayRequest => CreateInternetGatewayResult
        = internet_gateways::create, [TagSpecifications];
    write delete_internet_gateway: DeleteInternetGatewayRequest => () = internet_gateways::delete, [InternetGatewayId];
    read describe_internet_gateways: DescribeInternetGatewaysRequest => DescribeInternetGatewaysResult
        = internet_gateways::describe_all, [InternetGatewayIds Filters MaxResults NextToken];
    write attach_internet_gateway: AttachInternetGatewayRequest => () = internet_gateways::attach,
        [InternetGatewayId VpcId];
    write detach_internet_gateway: DetachInternetGatewayRequest => () = internet_gateways::detach,
        [InternetGatewayId VpcId];

    write allocate_address: AllocateAddressRequest => AllocateAddressResult = addresses::allocate,
        [Domain NetworkBorderGroup TagSpecifications];
    write release_address: ReleaseAddressRequest => () = addresses::release,
        [AllocationId PublicIp NetworkBorderGroup];
    read describe_addresses: DescribeAddressesRequest => DescribeAddressesResult = addresses::describe_all,
        [PublicIps AllocationIds Filters];

    write create_nat_gateway: CreateNatGatewayRequest => CreateNatGatewayResult = nat_gateways::create,
        [AvailabilityMode AllocationId ClientToken SubnetId VpcId AvailabilityZoneAddresses TagSpecifications ConnectivityType
         PrivateIpAddress];
    write delete_nat_gateway: DeleteNatGatewayRequest => DeleteNatGatewayResult = nat_gateways::delete, [NatGatewayId];
    read describe_nat_gateways: DescribeNatGatewaysRequest => DescribeNatGatewaysResult = nat_gateways::describe_all,
        [NatGatewayIds Filter MaxResults NextToken];

    write create_route_table: CreateRouteTableRequest => CreateRouteTableResult = route_tables::create,
        [VpcId ClientToken TagSpecifications];
    write delete_route_table: DeleteRouteTableRequest => () = route_tables::delete, [RouteTableId];
    read describe_route_tables: DescribeRouteTablesRequest => DescribeRouteTablesResult = route_tables::describe_all,
        [RouteTableIds Filters MaxResults NextToken];
    write associate_route_table: AssociateRouteTableRequest => AssociateRouteTableResult = route_tables::associate,
        [RouteTableId SubnetId];
    write disassociate_route_table: DisassociateRouteTableRequest => () = route_tables::disassociate, [AssociationId];
    write replace_route_table_association: ReplaceRouteTableAssociationRequest => ReplaceRouteTableAssociationResult
        = route_tables::replace_association, [AssociationId RouteTableId];
    write create_route: CreateRouteRequest => CreateRouteResult = routes::create,
        [RouteTableId DestinationCidrBlock GatewayId NatGatewayId NetworkInterfaceId];
    write replace_route: ReplaceRouteRequest => () = routes::replace,
        [RouteTableId DestinationCidrBlock GatewayId NatGatewayId NetworkInterfaceId];
    write delete_route: DeleteRouteRequest => () = routes::delete, [RouteTableId DestinationCidrBlock];

    write create_security_group: CreateSecurityGroupRequest => CreateSecurityGroupResult = security_groups::create,
        [Description GroupName VpcId TagSpecifications];
    write delete_security_group: DeleteSecurityGroupRequest => DeleteSecurityGroupResult = security_groups::delete,
        [GroupId GroupName];
    read describe_security_groups: DescribeSecurityGroupsRequest => DescribeSecurityGroupsResult
        = security_groups::describe_all, [GroupIds GroupNames Filters MaxResults NextToken];
    read describe_security_group_rules: DescribeSecurityGroupRulesRequest => DescribeSecurityGroupRulesResult
        = security_group_rules::describe_all, [SecurityGroupRuleIds Filters MaxResults NextToken];
    write authorize_security_group_ingress: AuthorizeSecurityGroupIngressRequest => AuthorizeSecurityGroupIngressResult
        = rule_changes::authorize_ingress,
        [GroupId GroupName IpPermissions IpProtocol FromPort ToPort CidrIp TagSpecifications];
    write authorize_security_group_egress: AuthorizeSecurityGroupEgressRequest => AuthorizeSecurityGroupEgressResult
        = rule_changes::authorize_egress, [GroupId IpPermissions IpProtocol FromPort ToPort CidrIp TagSpecifications];
    write revoke_security_group_ingress: RevokeSecurityGroupIngressRequest => RevokeSecurityGroupIngressResult
        = rule_changes::revoke_ingress,
        [GroupId GroupName IpPermissions IpProtocol FromPort ToPort CidrIp SecurityGroupRuleIds];
    write revoke_security_group_egress: RevokeSecurityGroupEgressRequest => RevokeSecurityGroupEgressResult
        = rule_changes::revoke_egress,
        [GroupId IpPermissions IpProtocol FromPort ToPort CidrIp SecurityGroupRuleIds];

    write create_vpc_endpoint: CreateVpcEndpointRequest => CreateVpcEndpointResult = vpc_endpoints::create,
        [VpcEndpointType VpcId ServiceName PolicyDocument RouteTableIds SubnetIds SecurityGroupIds IpAddressType
         DnsOptions ClientToken PrivateDnsEnabled TagSpecifications];
    write modify_vpc_endpoint: ModifyVpcEndpointRequest => ModifyVpcEndpointResult = vpc_endpoints::modify,
        [VpcEndpointId ResetPolicy PolicyDocument AddRouteTableIds RemoveRouteTableIds AddSubnetIds RemoveSubnetIds
         AddSecurityGroupIds RemoveSecurityGroupIds IpAddressType DnsOptions PrivateDnsEnabled];
    write delete_vpc_endpoints: DeleteVpcEndpointsRequest => DeleteVpcEndpointsResult = vpc_endpoints::delete,
        [VpcEndpointIds];
    read describe_vpc_endpoints: DescribeVpcEndpointsRequest => DescribeVpcEndpointsResult
        = vpc_endpoints::describe_all, [VpcEndpointIds Filters MaxResults NextToken];

    read describe_network_acls: DescribeNetworkAclsRequest => DescribeNetworkAclsResult = network_acls::describe_all,
        [NetworkAclIds Filters MaxResults NextToken];
    write create_network_acl: CreateNetworkAclRequest => CreateNetworkAclResult = network_acls::create,
        [VpcId ClientToken TagSpecifications];
    write delete_network_acl: DeleteNetworkAclRequest => () = network_acls::delete, [NetworkAclId];
    write create_network_acl_entry: CreateNetworkAclEntryRequest => () = network_acls::create_entry,
        [NetworkAclId RuleNumber Protocol RuleAction Egress CidrBlock IcmpTypeCode PortRange];
    write replace_network_acl_entry: ReplaceNetworkAclEntryRequest => () = network_acls::replace_entry,
        [NetworkAclId RuleNumber Protocol RuleAction Egress CidrBlock IcmpTypeCode PortRange];
    write delete_network_acl_entry: DeleteNetworkAclEntryRequest => () = network_acls::delete_entry,
        [NetworkAclId RuleNumber Egress];
    write replace_network_acl_association: ReplaceNetworkAclAssociationRequest => ReplaceNetworkAclAssociationResult
        = network_acls::replace_association, [AssociationId NetworkAclId];

    write create_launch_template: CreateLaunchTemplateRequest => CreateLaunchTemplateResult = launch_templates::create,
        [ClientToken LaunchTemplateName VersionDescription LaunchTemplateData TagSpecifications];
    write create_launch_template_version: CreateLaunchTemplateVersionRequest => CreateLaunchTemplateVersionResult
        = launch_templates::create_version,
        [ClientToken LaunchTemplateId LaunchTemplateName SourceVersion VersionDescription LaunchTemplateData];
    read describe_launch_templates: DescribeLaunchTemplatesRequest => DescribeLaunchTemplatesResult
        = launch_templates::describe_all, [LaunchTemplateIds LaunchTemplateNames Filters MaxResults NextToken];
    read describe_launch_template_versions: DescribeLaunchTemplateVersionsRequest
        => DescribeLaunchTemplateVersionsResult = launch_templates::describe_versions,
        [LaunchTemplateId LaunchTemplateName Versions MinVersion MaxVersion MaxResults NextToken];
    write modify_launch_template: ModifyLaunchTemplateRequest => ModifyLaunchTemplateResult = launch_templates::modify,
        [ClientToken LaunchTemplateId LaunchTemplateName DefaultVersion];
    write delete_launch_template: DeleteLaunchTemplateRequest => DeleteLaunchTemplateResult = launch_templates::delete,
        [LaunchTemplateId LaunchTemplateName];
    write delete_launch_template_versions: DeleteLaunchTemplateVersionsRequest => DeleteLaunchTemplateVersionsResult
        = launch_templates::delete_versions, [LaunchTemplateId LaunchTemplateName Versions];

    read describe_network_interfaces: DescribeNetworkInterfacesRequest => DescribeNetworkInterfacesResult
        = network_interfaces::describe_all,
        [NetworkInterfaceIds Filters MaxResults NextToken IncludeManagedResources];
    read describe_availability_zones: DescribeAvailabilityZonesRequest => DescribeAvailabilityZonesResult
        = regions::describe_zones, [ZoneNames ZoneIds AllAvailabilityZones Filters];
    read describe_regions: DescribeRegionsRequest => DescribeRegionsResult = regions::describe_regions,
        [RegionNames AllRegions Filters];

    write create_tags: CreateTagsRequest => () = tags::create, [Resources Tags];
    write delete_tags: DeleteTagsRequest => () = tags::delete, [Resources Tags];
    read describe_tags: DescribeTagsRequest => DescribeTagsResult = tags::describe, [Filters MaxResults NextToken];
}
