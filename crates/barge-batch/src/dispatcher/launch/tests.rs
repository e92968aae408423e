use super::*;
use crate::core::{AttemptId, JobId, Kind, Platform, Shape};
use crate::runner::{LogGroup, Place};
use barge_core::Scope;
use barge_wire::batch as wire;
use std::sync::Arc;

fn pair(name: &str, value: &str) -> wire::KeyValuePair {
    wire::KeyValuePair { name: Some(name.to_owned()), value: Some(value.to_owned()) }
}

fn detail() -> JobDetail {
    JobDetail {
        job_queue: "arn:aws:batch:eu-west-1:123456789012:job-queue/q".to_owned(),
        job_definition: "arn:aws:batch:eu-west-1:123456789012:job-definition/loader:3".to_owned(),
        container: Some(wire::ContainerDetail {
            image: Some("loader".to_owned()),
            job_role_arn: Some("arn:aws:iam::123456789012:role/r".to_owned()),
            environment: Some(vec![pair("A", "1"), pair("AWS_REGION", "us-west-2")]),
            ..Default::default()
        }),
        ..JobDetail::default()
    }
}

fn launchpad() -> Launchpad {
    Launchpad { endpoint: "http://127.0.0.1:4566/".to_owned(), secret: vec![7; 32], operator: Operator::default() }
}

fn terms(kind: Kind, tasks: &[(u32, u32)]) -> Terms {
    terms_on(Platform::Ec2, kind, tasks)
}

fn terms_on(platform: Platform, kind: Kind, tasks: &[(u32, u32)]) -> Terms {
    let tasks = tasks.iter().map(|(vcpu_milli, memory_mib)| Needs { vcpu_milli: *vcpu_milli, memory_mib: *memory_mib });
    let shape = Shape { platform, tasks: tasks.collect(), consumables: Vec::new() };
    Terms { kind, shape: Arc::new(shape), ..Terms::default() }
}

fn attempt() -> AttemptId {
    AttemptId { job: JobId::new(5), number: 2 }
}

fn launch(detail: &JobDetail, terms: &Terms, task: TaskId) -> Result<TaskSpec, String> {
    let environment = EnvironmentId::new("arn:aws:batch:eu-west-1:123456789012:compute-environment/ce");
    task_spec(&launchpad(), detail, terms, task, &environment, None)
}

fn single(detail: &JobDetail) -> ContainerSpec {
    let mut spec = launch(detail, &terms(Kind::Single, &[(250, 512)]), attempt().task(0)).unwrap();
    assert_eq!(spec.containers.len(), 1);
    spec.containers.remove(0)
}

fn value<'a>(container: &'a ContainerSpec, name: &str) -> Option<&'a str> {
    container.env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_environment_tells_where_and_who() {
    let container = single(&detail());
    for (name, expected) in [
        ("AWS_BATCH_JOB_ID", "00000000-0000-0000-0000-000000000005"),
        ("AWS_BATCH_JOB_ATTEMPT", "2"),
        ("AWS_BATCH_JQ_NAME", "q"),
        ("AWS_BATCH_CE_NAME", "ce"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_REGION", "us-west-2"),
        ("A", "1"),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://127.0.0.1:4566/_barge/credentials/00000000-0000-0000-0000-000000000005-2",
        ),
    ] {
        assert_eq!(value(&container, name), Some(expected), "{name}");
    }
    assert_eq!(value(&container, "AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::len), Some(64));
    assert_eq!((container.vcpu, container.memory_mib), (Some(0.25), Some(512)));
    for name in ["AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_NODE_INDEX"] {
        assert_eq!(value(&container, name), None);
    }
}

#[test]
fn a_job_without_a_role_has_its_instances_where_it_has_an_instance() {
    let mut detail = detail();
    detail.container.as_mut().unwrap().job_role_arn = None;
    for (platform, asks) in [(Platform::Fargate, false), (Platform::Ec2, true)] {
        let spec = launch(&detail, &terms_on(platform, Kind::Single, &[(250, 512)]), attempt().task(0)).unwrap();
        let told = spec.containers[0].env.iter().any(|(name, _)| name == "AWS_CONTAINER_CREDENTIALS_FULL_URI");
        assert_eq!(told, asks, "{platform:?}");
    }
    assert_eq!(task_role(&detail, attempt().task(0)), None);
}

#[test]
fn children_of_arrays_know_their_place() {
    let task = AttemptId { job: JobId::new(5).child(17), number: 1 }.task(0);
    let spec = launch(&detail(), &terms(Kind::Array { size: 20 }, &[(250, 512)]), task).unwrap();
    for (name, expected) in [
        ("AWS_BATCH_JOB_ID", "00000000-0000-0000-0000-000000000005:17"),
        ("AWS_BATCH_JOB_ARRAY_INDEX", "17"),
        ("AWS_BATCH_JOB_ARRAY_SIZE", "20"),
    ] {
        assert_eq!(value(&spec.containers[0], name), Some(expected), "{name}");
    }
}

#[test]
fn lines_go_where_the_definition_says() {
    let mut detail = detail();
    let plain = single(&detail);
    assert_eq!((plain.log.group.as_str(), plain.log_group), ("/aws/batch/job", LogGroup::Create));
    let id = task_id(attempt().task(0));
    assert_eq!(plain.log.stream, format!("loader/default/{id}"));
    let options = [("awslogs-group", "/g"), ("awslogs-stream-prefix", "p"), ("awslogs-region", "eu-north-1")];
    let mut configuration = wire::LogConfiguration {
        options: Some(options.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        ..Default::default()
    };
    configuration.log_driver = LogDriver::Awslogs;
    detail.container.as_mut().unwrap().log_configuration = Some(configuration.clone());
    let named = single(&detail);
    assert_eq!((named.log.group.as_str(), named.log_group), ("/g", LogGroup::MustExist));
    assert_eq!(named.log.stream, format!("p/default/{id}"));
    assert_eq!(named.log.scope.region.as_str(), "eu-north-1");
    let spec = launch(&detail, &terms(Kind::Single, &[(250, 512)]), attempt().task(0)).unwrap();
    assert_eq!(spec.scope.region.as_str(), "eu-west-1", "images are the queue's");
    let told = log_target(&detail, attempt().task(0), "default", &spec.scope);
    assert_eq!(told.target, named.log);
    configuration.log_driver = LogDriver::Splunk;
    detail.container.as_mut().unwrap().log_configuration = Some(configuration);
    assert!(single(&detail).obstacle.unwrap().contains("log driver splunk"));
}

#[test]
fn a_container_gets_what_it_asks_for() {
    let mut detail = detail();
    let container = detail.container.as_mut().unwrap();
    container.user = Some("65534".to_owned());
    container.readonly_root_filesystem = Some(true);
    container.ulimits = Some(vec![wire::Ulimit { name: "nofile".to_owned(), soft_limit: 10, hard_limit: -1 }]);
    let tmpfs = wire::Tmpfs { container_path: "/t".to_owned(), size: 8, mount_options: Some(vec!["exec".to_owned()]) };
    container.linux_parameters = Some(wire::LinuxParameters {
        init_process_enabled: Some(true),
        shared_memory_size: Some(32),
        tmpfs: Some(vec![tmpfs]),
        ..Default::default()
    });
    container.ephemeral_storage = Some(wire::EphemeralStorage { size_in_gi_b: 21 });
    container.volumes = Some(vec![wire::Volume { name: Some("v".to_owned()), ..Default::default() }]);
    container.mount_points = Some(vec![wire::MountPoint {
        container_path: Some("/v".to_owned()),
        read_only: Some(true),
        source_volume: Some("v".to_owned()),
    }]);
    let spec = launch(&detail, &terms(Kind::Single, &[(250, 512)]), attempt().task(0)).unwrap();
    assert_eq!((spec.volumes[0].name.as_str(), &spec.volumes[0].place), ("v", &Place::Scratch));
    let made = &spec.containers[0];
    assert_eq!((made.user.as_deref(), made.root, made.init), (Some("65534"), Access::ReadOnly, InitProcess::Reaper));
    assert_eq!(made.ulimits, [Ulimit::new("nofile", 10, -1).unwrap()]);
    assert_eq!((made.shm_mib, made.disk_mib, made.tmpfs[0].size_mib), (Some(32), Some(21 * 1024), 8));
    assert_eq!((made.mounts[0].target.clone(), made.mounts[0].access), (PathBuf::from("/v"), Access::ReadOnly));
    assert_eq!(made.obstacle, None);
}

#[test]
fn what_stands_in_the_way_is_told_with_the_container() {
    let mut detail = detail();
    let secret = wire::Secret { name: "S".to_owned(), value_from: "x".to_owned() };
    detail.container.as_mut().unwrap().secrets = Some(vec![secret]);
    let obstacle = single(&detail).obstacle.unwrap();
    assert!(
        obstacle.starts_with("ResourceInitializationError: unable to pull secrets or registry auth: "),
        "{obstacle}"
    );
    let host = Some(wire::Host { source_path: Some("/etc".to_owned()) });
    detail.container.as_mut().unwrap().volumes =
        Some(vec![wire::Volume { name: Some("v".to_owned()), host, ..Default::default() }]);
    assert!(single(&detail).obstacle.unwrap().contains("host path /etc is not below"));
    let bad = wire::Ulimit { name: "files".to_owned(), soft_limit: 1, hard_limit: 1 };
    let container = wire::ContainerDetail { ulimits: Some(vec![bad]), ..Default::default() };
    detail.container = Some(container);
    assert_eq!(single(&detail).obstacle.as_deref(), Some("CannotCreateContainerError: invalid ulimit type: files"));
}

fn among(name: &str, memory: Option<&str>) -> wire::TaskContainerDetails {
    let memory =
        memory.map(|value| wire::ResourceRequirement { value: value.to_owned(), r#type: wire::ResourceType::Memory });
    wire::TaskContainerDetails {
        name: Some(name.to_owned()),
        image: Some(name.to_owned()),
        resource_requirements: Some(memory.into_iter().collect()),
        ..Default::default()
    }
}

#[test]
fn several_containers_share_what_the_task_has() {
    let main = wire::TaskContainerDetails {
        depends_on: Some(vec![wire::TaskContainerDependency {
            container_name: Some("setup".to_owned()),
            condition: Some("SUCCESS".to_owned()),
        }]),
        stop_timeout: Some(5),
        ..among("main", None)
    };
    let setup = wire::TaskContainerDetails { essential: Some(false), ..among("setup", Some("100")) };
    let task = wire::EcsTaskDetails {
        containers: Some(vec![setup, main, among("side", None)]),
        task_role_arn: Some("arn:aws:iam::123456789012:role/task".to_owned()),
        ..Default::default()
    };
    let detail = JobDetail {
        container: None,
        ecs_properties: Some(wire::EcsPropertiesDetail { task_properties: Some(vec![task]) }),
        ..detail()
    };
    let id = attempt().task(0);
    let spec = launch(&detail, &terms(Kind::Single, &[(1500, 1024)]), id).unwrap();
    let memory: Vec<_> = spec.containers.iter().map(|container| container.memory_mib).collect();
    assert_eq!(memory, [Some(100), Some(462), Some(462)]);
    assert!(spec.containers.iter().all(|container| container.vcpu == Some(0.5)));
    let [setup, main, _] = spec.containers.as_slice() else { panic!("three") };
    assert_eq!((setup.essential, main.essential), (Essential::No, Essential::Yes));
    assert_eq!(main.depends_on, [Dependency { container: "setup".to_owned(), condition: Condition::Success }]);
    assert_eq!(main.stop_grace, Some(Duration::from_secs(5)));
    assert_eq!(main.log.stream, format!("loader/main/{}", task_id(id)));
    assert_eq!(log_target(&detail, id, "main", &Scope::default()).target.stream, main.log.stream);
    assert!(value(main, "AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some());
}

#[test]
fn nodes_run_what_their_range_says() {
    let range = |target: &str, image: &str| wire::NodeRangeProperty {
        target_nodes: target.to_owned(),
        container: Some(wire::ContainerProperties { image: Some(image.to_owned()), ..Default::default() }),
        ..Default::default()
    };
    let properties = wire::NodeProperties {
        num_nodes: 3,
        main_node: 1,
        node_range_properties: vec![range("0:", "worker"), range("1", "main")],
    };
    let detail = JobDetail { container: None, node_properties: Some(properties), ..detail() };
    let terms = terms(Kind::Nodes { main: 1 }, &[(250, 512), (500, 1024), (250, 512)]);
    let node = |node: u16| launch(&detail, &terms, attempt().task(node)).unwrap().containers.remove(0);
    let (first, main) = (node(0), node(1));
    assert_eq!((first.image.as_str(), main.image.as_str(), main.memory_mib), ("worker", "main", Some(1024)));
    for (name, of_first, of_main) in [
        (
            "AWS_BATCH_JOB_ID",
            Some("00000000-0000-0000-0000-000000000005#0"),
            Some("00000000-0000-0000-0000-000000000005#1"),
        ),
        ("AWS_BATCH_JOB_NODE_INDEX", Some("0"), Some("1")),
        ("AWS_BATCH_JOB_NUM_NODES", Some("3"), Some("3")),
        ("AWS_BATCH_JOB_MAIN_NODE_INDEX", Some("1"), Some("1")),
        ("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS", Some("127.0.0.1"), None),
    ] {
        assert_eq!((value(&first, name), value(&main, name)), (of_first, of_main), "{name}");
    }
    assert_ne!(first.log.stream, main.log.stream);
    assert!(launch(&detail, &terms, attempt().task(3)).is_err());
}
