//! Job definitions on EC2 resources, of several containers, and of several nodes: what is taken, and in which words the rest is refused.

use crate::fixture::{World, input, message};
use barge_wire::batch::{
    Batch, DeregisterJobDefinitionRequest, DescribeJobDefinitionsRequest, RegisterJobDefinitionRequest,
};

/// Registers a definition with these members besides its name; gives `accepted` or the error.
async fn register(world: &World, members: &str) -> String {
    let request: RegisterJobDefinitionRequest = input(&format!(r#"{{"jobDefinitionName": "d", {members}}}"#));
    message(world.batch.register_job_definition(&world.cx, request).await)
}

#[tokio::test]
async fn on_ec2_resources() {
    let world = World::empty().await;
    for (member, expected) in [
        (r#""ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}]"#, "accepted"),
        (r#""ulimits": [{"name": "nofile", "softLimit": 2, "hardLimit": 1}]"#, "ulimit soft limit must be less than"),
        (r#""ulimits": [{"name": "x", "softLimit": 1, "hardLimit": 1}]"#, "invalid ulimit type: x."),
        (
            r#""linuxParameters": {"initProcessEnabled": true, "sharedMemorySize": 64, "maxSwap": 0, "swappiness": 60,
               "tmpfs": [{"containerPath": "/t", "size": 16, "mountOptions": ["noexec", "mode=1777"]}]}"#,
            "accepted",
        ),
        (
            r#""linuxParameters": {"maxSwap": 64}"#,
            "containerProperties.linuxParameters.maxSwap of more than 0 is not available",
        ),
        (r#""linuxParameters": {"swappiness": 101}"#, "linuxParameters.swappiness must be between 0 and 100."),
        (r#""linuxParameters": {"sharedMemorySize": 0}"#, "linuxParameters.sharedMemorySize must be at least 1."),
        (
            r#""linuxParameters": {"tmpfs": [{"containerPath": "t", "size": 1}]}"#,
            "tmpfs.containerPath \"t\" is not an absolute",
        ),
        (
            r#""linuxParameters": {"tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": ["mpol"]}]}"#,
            "tmpfs.mountOptions mpol is not available in Barge yet.",
        ),
        (
            r#""linuxParameters": {"devices": [{"hostPath": "/dev/null"}]}"#,
            "containerProperties.linuxParameters.devices is not available in Barge yet.",
        ),
        (r#""privileged": true"#, "containerProperties.privileged is not available in Barge yet."),
        (
            r#""volumes": [{"name": "v", "host": {"sourcePath": "/data"}}, {"name": "w"}],
               "mountPoints": [{"sourceVolume": "v", "containerPath": "/v", "readOnly": true}, {"sourceVolume": "w", "containerPath": "/w"}]"#,
            "accepted",
        ),
        (r#""volumes": [{"name": "v"}, {"name": "v"}]"#, "Volume v is defined twice."),
        (
            r#""volumes": [{"name": "v", "host": {"sourcePath": "data"}}]"#,
            "host.sourcePath \"data\" is not an absolute path.",
        ),
        (
            r#""volumes": [{"name": "v"}], "mountPoints": [{"sourceVolume": "v", "containerPath": "/x"}, {"sourceVolume": "v", "containerPath": "/x"}]"#,
            "containerProperties.mountPoints name the container path /x twice.",
        ),
        (
            r#""secrets": [{"name": "a", "valueFrom": "b"}]"#,
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
        ),
        (
            r#""networkConfiguration": {"assignPublicIp": "DISABLED"}"#,
            "containerProperties.networkConfiguration is not supported for jobs that run on EC2 resources.",
        ),
        (
            r#""fargatePlatformConfiguration": {"platformVersion": "LATEST"}"#,
            "containerProperties.fargatePlatformConfiguration is not supported for jobs that run on EC2 resources.",
        ),
        (
            r#""ephemeralStorage": {"sizeInGiB": 30}"#,
            "containerProperties.ephemeralStorage is not supported for jobs that run on EC2 resources.",
        ),
        (r#""runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}"#, "runtimePlatform WINDOWS"),
        (r#""vcpus": 1, "memory": 2"#, "MEMORY value \"2\" is not valid"),
    ] {
        let sizes = if member.contains("vcpus") { "" } else { r#""vcpus": 1, "memory": 128, "# };
        let members = format!(r#""type": "container", "containerProperties": {{"image": "i", {sizes}{member}}}"#);
        let answer = register(&world, &members).await;
        assert!(answer.starts_with(expected), "{member}: {answer}");
    }
}

const CONTAINER: &str =
    r#""image": "i", "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]"#;

#[tokio::test]
async fn of_several_containers() {
    let world = World::empty().await;
    for (task, expected) in [
        (
            format!(
                r#"{{"containers": [{{"name": "main", {CONTAINER}, "dependsOn": [{{"containerName": "init", "condition": "SUCCESS"}}]}},
                    {{"name": "init", {CONTAINER}, "essential": false, "stopTimeout": 10}}]}}"#
            ),
            "accepted",
        ),
        (format!(r#"{{"containers": [{{{CONTAINER}}}]}}"#), "accepted"),
        (r#"{"containers": []}"#.to_owned(), "A task must have between 1 and 10 containers."),
        (
            format!(r#"{{"containers": [{{{CONTAINER}}}, {{{CONTAINER}}}]}}"#),
            "The name of each of a task's containers must",
        ),
        (
            format!(r#"{{"containers": [{{"name": "a", {CONTAINER}, "startTimeout": 5}}]}}"#),
            "ecsProperties.taskProperties.containers[0].startTimeout is not available in Barge yet.",
        ),
        (format!(r#"{{"containers": [{{"name": "a", {CONTAINER}, "stopTimeout": 121}}]}}"#), "stopTimeout must be"),
        (
            format!(
                r#"{{"containers": [{{"name": "a", {CONTAINER}, "firelensConfiguration": {{"type": "fluentd"}}}}]}}"#
            ),
            "ecsProperties.taskProperties.containers[0].firelensConfiguration is not available",
        ),
        (
            format!(r#"{{"containers": [{{{CONTAINER}}}], "pidMode": "task"}}"#),
            "ecsProperties.taskProperties.pidMode is",
        ),
        (format!(r#"{{"containers": [{{{CONTAINER}}}], "ipcMode": "none"}}"#), "accepted"),
        (
            r#"{"containers": [{"name": "a", "image": "i"}]}"#.to_owned(),
            "Error executing request, Exception : vCPU is not provided., RequestId: ",
        ),
    ] {
        let members = format!(r#""type": "container", "ecsProperties": {{"taskProperties": [{task}]}}"#);
        let answer = register(&world, &members).await;
        assert!(answer.starts_with(expected), "{task}: {answer}");
    }
    let two = format!(
        r#""type": "container", "ecsProperties": {{"taskProperties": [{{"containers": [{{{CONTAINER}}}]}}, {{"containers": [{{{CONTAINER}}}]}}]}}"#
    );
    assert_eq!(register(&world, &two).await, "ecsProperties.taskProperties must have exactly 1 element, not 2.");
}

#[tokio::test]
async fn on_fargate_the_containers_of_a_task_have_one_of_its_sizes_together() {
    let world = World::empty().await;
    let task = |memory: &str| {
        let container = |name: &str| {
            format!(
                r#"{{"name": "{name}", "image": "i", "resourceRequirements": [{{"type": "VCPU", "value": "0.25"}}, {{"type": "MEMORY", "value": "{memory}"}}]}}"#
            )
        };
        format!(
            r#""type": "container", "platformCapabilities": ["FARGATE"], "ecsProperties": {{"taskProperties": [{{
                "executionRoleArn": "arn:aws:iam::000000000000:role/e", "containers": [{}, {}]}}]}}"#,
            container("a"),
            container("b")
        )
    };
    assert_eq!(register(&world, &task("512")).await, "accepted");
    assert_eq!(register(&world, &task("300")).await, "Fargate resource requirements (0.50 vCPU, 600 MiB) not valid.");
}

#[tokio::test]
async fn of_several_nodes() {
    let world = World::empty().await;
    let range = |target: &str| {
        format!(r#"{{"targetNodes": "{target}", "container": {{"image": "i", "vcpus": 1, "memory": 128}}}}"#)
    };
    for (nodes, ranges, expected) in [
        (4, vec![range("0:3")], "accepted"),
        (4, vec![range("0"), range("1:")], "accepted"),
        (4, vec![range("0:"), range("1:2")], "accepted"),
        (4, vec![range("0:1")], "Node ranges must account for all nodes: none names node 2."),
        (4, vec![range("0:4")], "targetNodes \"0:4\" is no range of the nodes 0 to 3."),
        (4, vec![r#"{"targetNodes": "0:"}"#.to_owned()], "nodeProperties.nodeRangeProperties[0] must have either"),
        (
            4,
            vec![range("0:").replace('{', r#"{"instanceTypes": ["c5.large"], "#).replacen(
                r#""container": {"instanceTypes": ["c5.large"], "#,
                r#""container": {"#,
                1,
            )],
            "nodeProperties.nodeRangeProperties[0].instanceTypes is not available",
        ),
    ] {
        let ranges = ranges.join(",");
        let members = format!(
            r#""type": "multinode", "nodeProperties": {{"numNodes": {nodes}, "mainNode": 0, "nodeRangeProperties": [{ranges}]}}"#
        );
        let answer = register(&world, &members).await;
        assert!(answer.starts_with(expected), "{ranges}: {answer}");
    }
    let fargate = format!(
        r#""type": "multinode", "platformCapabilities": ["FARGATE"], "nodeProperties": {{"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{}]}}"#,
        range("0:")
    );
    assert_eq!(register(&world, &fargate).await, "Multi-node parallel jobs are not supported on Fargate resources.");
}

#[tokio::test]
async fn what_goes_together_and_what_does_not() {
    let world = World::empty().await;
    let container = r#""containerProperties": {"image": "i", "vcpus": 1, "memory": 128}"#;
    for (members, expected) in [
        (r#""type": "container""#.to_owned(), "containerProperties is not provided."),
        (r#""type": "multinode""#.to_owned(), "nodeProperties is not provided."),
        (format!(r#""type": "multinode", {container}"#), "Job definitions of type multinode take nodeProperties"),
        (
            format!(r#""type": "container", {container}, "ecsProperties": {{"taskProperties": []}}"#),
            "Only one of containerProperties and ecsProperties can be provided.",
        ),
        (format!(r#""type": "container", {container}, "eksProperties": {{}}"#), "eksProperties is not available"),
        (
            format!(r#""type": "container", {container}, "schedulingPriority": 10000"#),
            "schedulingPriority must be between",
        ),
        (
            format!(r#""type": "container", {container}, "platformCapabilities": ["EC2", "FARGATE"]"#),
            "Only one platform",
        ),
        (
            format!(
                r#""type": "container", {container}, "retryStrategy": {{"evaluateOnExit": [{{"action": "RETRY"}}]}}"#
            ),
            "retryStrategy.attempts must be provided with evaluateOnExit.",
        ),
        (
            format!(
                r#""type": "container", {container}, "retryStrategy": {{"attempts": 3, "evaluateOnExit": [{{"action": "RETRY", "onStatusReason": "Host EC2*"}}, {{"action": "EXIT", "onReason": "*"}}]}}"#
            ),
            "accepted",
        ),
        (
            format!(
                r#""type": "container", {container}, "consumableResourceProperties": {{"consumableResourceList": [{{"consumableResource": "l", "quantity": 0}}]}}"#
            ),
            "The quantity of consumable resource l must be at least 1.",
        ),
    ] {
        let answer = register(&world, &members).await;
        assert!(answer.starts_with(expected), "{members}: {answer}");
    }
}

#[tokio::test]
async fn pages_join_and_inactive_ones_stay_to_be_seen() {
    let world = World::empty().await;
    let (batch, cx) = (&world.batch, &world.cx);
    let members = r#""type": "container", "containerProperties": {"image": "i", "vcpus": 1, "memory": 128}"#;
    for _ in 0..5 {
        register(&world, members).await;
    }
    let gone = DeregisterJobDefinitionRequest { job_definition: "d:2".to_owned() };
    batch.deregister_job_definition(cx, gone.clone()).await.unwrap();
    batch.deregister_job_definition(cx, gone).await.unwrap();
    let page = async |more: &str| {
        let request: DescribeJobDefinitionsRequest = input(&format!("{{{more}}}"));
        let answer = batch.describe_job_definitions(cx, request).await.unwrap();
        let revisions: Vec<i64> = answer.job_definitions.unwrap().iter().map(|found| found.revision).collect();
        (revisions, answer.next_token)
    };
    let (first, next) = page(r#""maxResults": 2, "status": "ACTIVE""#).await;
    let (second, end) =
        page(&format!(r#""maxResults": 2, "status": "ACTIVE", "nextToken": "{}""#, next.unwrap())).await;
    assert_eq!((first, second, end), (vec![1, 3], vec![4, 5], None));
    assert_eq!(page(r#""status": "INACTIVE""#).await.0, [2]);
    assert_eq!(page(r#""jobDefinitions": ["d:2", "d", "none"]"#).await.0, [2, 5]);
}
