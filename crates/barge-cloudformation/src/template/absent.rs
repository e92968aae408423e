//! AWS's resource types that people write most and that have no provider: why, and what to use instead. Where a service
//! brings a provider for one after all, the provider counts.

/// Why there is no such type, as the end of a sentence that begins with its name.
pub(super) fn reason(type_name: &str) -> Option<&'static str> {
    REASONS
        .iter()
        .find(|(stem, _)| type_name == *stem || stem.ends_with("::") && type_name.starts_with(stem))
        .map(|(_, reason)| *reason)
}

const REASONS: &[(&str, &str)] = &[
    (
        "AWS::Lambda::EventSourceMapping",
        "functions are called by S3 notifications and invocations; queues and streams are not there to poll",
    ),
    ("AWS::Lambda::Url", "functions are reached through Invoke only"),
    (
        "AWS::SecretsManager::",
        "nothing here encrypts secrets; pass them as NoEcho parameters, or keep what is no secret in AWS::SSM::Parameter",
    ),
    ("AWS::KMS::", "nothing here encrypts"),
    ("AWS::EC2::Instance", "there are no instances; jobs run in containers of AWS::Batch"),
    ("AWS::AutoScaling::", "there are no instances; jobs run in containers of AWS::Batch"),
    ("AWS::ECS::", "containers run as jobs of AWS::Batch"),
    ("AWS::EKS::", "containers run as jobs of AWS::Batch"),
    ("AWS::SNS::", "there are no topics; S3 can notify AWS::Lambda::Function"),
    ("AWS::SQS::", "there are no queues; S3 can notify AWS::Lambda::Function"),
    ("AWS::CloudWatch::", "there are no metrics; logs are in AWS::Logs::LogGroup"),
    ("AWS::ApiGateway::", "functions are reached through Invoke only"),
    ("AWS::ApiGatewayV2::", "functions are reached through Invoke only"),
    ("AWS::RDS::", "the only database is AWS::DynamoDB::Table"),
    ("AWS::Serverless::", "the template must declare Transform: AWS::Serverless-2016-10-31"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_or_its_service_has_a_reason() {
        assert!(reason("AWS::SecretsManager::Secret").unwrap().contains("AWS::SSM::Parameter"));
        assert!(reason("AWS::Lambda::EventSourceMapping").is_some());
        assert_eq!(reason("AWS::EC2::InstanceConnectEndpoint"), None);
        assert_eq!(reason("AWS::S3::Bucket"), None);
    }
}
