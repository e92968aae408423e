//! AWS's wire protocols, and the typed shapes of each service as its published API model gives them.
//!
//! `models/NAME.json` says what a request may hold, `models/NAME.ops` which operations exist in Barge. From these the
//! build script makes, for each service, shape tables (data), Rust types, a trait with one method per operation and
//! constructors for its errors. The code here decodes a request by the tables, checks it, calls the trait and encodes
//! the answer. What an operation means is not known here.

mod coerce;
mod operation;
mod protocol;
mod service;
mod shape;
mod typed;
mod validate;

pub use coerce::{from_properties, to_properties};
pub use operation::{Location, Operation};
pub use protocol::Protocol;
pub use service::{Description, Service};
pub use shape::{Kind, Member, Shape, Text};
pub use typed::{Typed, Value};

#[doc(hidden)]
pub mod generated {
    //! What the generated code calls.
    pub use crate::service::{Dispatch, Dispatcher, run};
    pub use crate::typed::take;
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])*
        #[allow(missing_docs, clippy::pedantic, unused)] // generated: AWS's API reference documents these
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", $file));
        })*
    };
}

services! {
    /// AWS Batch.
    batch = "batch.rs";
    /// AWS CloudFormation.
    cloudformation = "cloudformation.rs";
    /// Amazon EC2.
    ec2 = "ec2.rs";
    /// Amazon ECR.
    ecr = "ecr.rs";
    /// AWS IAM.
    iam = "iam.rs";
    /// AWS Lambda.
    lambda = "lambda.rs";
    /// Amazon CloudWatch Logs.
    logs = "logs.rs";
    /// AWS Systems Manager (Parameter Store).
    ssm = "ssm.rs";
    /// AWS STS.
    sts = "sts.rs";
}
