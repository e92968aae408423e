//! What the structures within a table's properties hold (CloudFormation Template Reference, "AWS::DynamoDB::Table" and the
//! pages of its property types).

use barge_core::resource::PropertyType::{Boolean, Integer, List, Map, String as Text};
use barge_core::resource::{Structure, property};

pub(super) const KEY: &Structure =
    &Structure(&[property("AttributeName", Text).required(), property("KeyType", Text).required()]);

pub(super) const ATTRIBUTE: &Structure =
    &Structure(&[property("AttributeName", Text).required(), property("AttributeType", Text).required()]);

pub(super) const PROVISIONED: &Structure = &Structure(&[
    property("ReadCapacityUnits", Integer).required(),
    property("WriteCapacityUnits", Integer).required(),
]);

pub(super) const ON_DEMAND: &Structure =
    &Structure(&[property("MaxReadRequestUnits", Integer), property("MaxWriteRequestUnits", Integer)]);

const PROJECTION: &Structure = &Structure(&[property("NonKeyAttributes", List), property("ProjectionType", Text)]);

pub(super) const GLOBAL_INDEX: &Structure = &Structure(&[
    property("IndexName", Text).required(),
    property("KeySchema", List).of(KEY).required(),
    property("OnDemandThroughput", Map).of(ON_DEMAND),
    property("Projection", Map).of(PROJECTION).required(),
    property("ProvisionedThroughput", Map).of(PROVISIONED),
]);

pub(super) const LOCAL_INDEX: &Structure = &Structure(&[
    property("IndexName", Text).required(),
    property("KeySchema", List).of(KEY).required(),
    property("Projection", Map).of(PROJECTION).required(),
]);

pub(super) const STREAM: &Structure = &Structure(&[property("StreamViewType", Text).required()]);

pub(super) const ENCRYPTION: &Structure = &Structure(&[
    property("KMSMasterKeyId", Text),
    property("SSEEnabled", Boolean).required(),
    property("SSEType", Text),
]);

pub(super) const TIME_TO_LIVE: &Structure =
    &Structure(&[property("AttributeName", Text), property("Enabled", Boolean).required()]);
