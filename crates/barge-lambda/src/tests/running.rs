//! How invocations run: warm and cold, well and badly.

use super::*;

#[tokio::test]
async fn a_function_answers_and_stays_warm() {
    let house = House::new();
    house.create("f", ECHO).await;
    let first = house.invoke("f", r#"{"n": "é"}"#).await;
    assert_eq!(first.function_error, None, "{}", text(&first));
    let answer = Document::from_json(text(&first).as_bytes()).unwrap();
    assert_eq!(answer.get("event").unwrap().to_json(), r#"{"n":"é"}"#);
    assert_eq!(answer.get("key").unwrap().as_str(), Some("ASIAX"));
    let second = Document::from_json(text(&house.invoke("f", "{}").await).as_bytes()).unwrap();
    assert_eq!(second.get("pid"), answer.get("pid"));
    house.service.shutdown().await;
}

#[tokio::test]
async fn the_log_of_an_invocation_is_complete_when_it_answers() {
    let house = House::new();
    house.create("f", ECHO).await;
    for cold in [true, false] {
        let response = house.invoke("f", "{}").await;
        let tail = tail(&response);
        let lines: Vec<&str> = tail.lines().collect();
        assert_eq!(lines.len(), 4, "{tail}");
        assert!(lines[0].starts_with("START RequestId: ") && lines[0].ends_with(" Version: $LATEST"));
        assert_eq!(lines[1], "hello from f");
        assert!(lines[2].starts_with("END RequestId: "));
        assert!(lines[3].starts_with("REPORT RequestId: "));
        assert_eq!(lines[3].contains("Init Duration"), cold, "{tail}");
    }
    house.logs.until("REPORT", 2).await;
    assert_eq!(house.logs.count("INIT_START Runtime Version: python3.12, the host's Python 3."), 1);
    house.service.shutdown().await;
}

#[tokio::test]
async fn ways_to_fail() {
    let house = House::new();
    for (name, code, kind, message) in [
        ("raises", "def handler(e, c): raise KeyError('gone')", "KeyError", "'gone'"),
        ("exits", "import os\ndef handler(e, c): os._exit(3)", "Runtime.ExitError", "exit status 3"),
        ("leaves", "import sys\ndef handler(e, c): sys.exit(0)", "Runtime.ExitError", "without providing a reason"),
        ("killed", "import os\ndef handler(e, c): os.kill(os.getpid(), 9)", "Runtime.ExitError", "signal: killed"),
        ("import", "import nothing_like_it", "Runtime.ImportModuleError", "nothing_like_it"),
        ("syntax", "def handler(", "Runtime.UserCodeSyntaxError", "Syntax error in module 'index'"),
        ("empty", "", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'"),
        ("odd", "def handler(e, c): return object()", "Runtime.MarshalError", "Unable to marshal response"),
        ("dies", "import os\nos._exit(4)", "Runtime.ExitError", "exit status 4"),
        ("big", "def handler(e, c): return 'x' * (7 << 20)", "Function.ResponseSizeTooLarge", "6291556 bytes"),
    ] {
        house.create(name, code).await;
        let response = house.invoke(name, "{}").await;
        assert_eq!(response.function_error.as_deref(), Some("Unhandled"), "{name}: {}", text(&response));
        let error = Document::from_json(text(&response).as_bytes()).unwrap();
        assert_eq!(error.get("errorType").unwrap().as_str(), Some(kind), "{name}: {}", text(&response));
        assert!(error.get("errorMessage").unwrap().as_str().unwrap().contains(message), "{name}: {}", text(&response));
    }
    house.service.shutdown().await;
}

#[tokio::test]
async fn a_function_that_hangs_is_ended_and_the_next_event_finds_a_new_instance() {
    let house = House::new();
    let code =
        "import time\ndef handler(e, c):\n    print('in')\n    time.sleep(60 if e.get('hang') else 0)\n    return 1";
    let request = CreateFunctionRequest { timeout: Some(1), ..python("f", code) };
    house.service.create_function(&house.cx(), request).await.unwrap();
    let response = house.invoke("f", r#"{"hang": true}"#).await;
    assert!(text(&response).starts_with(r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: "#));
    assert!(text(&response).ends_with(r#" Error: Task timed out after 1.00 seconds"}"#));
    let tail = tail(&response);
    assert!(tail.contains("\nin\n") && tail.contains("Task timed out after 1.00 seconds"), "{tail}");
    assert!(tail.contains("Status: timeout"), "{tail}");
    assert_eq!(text(&house.invoke("f", "{}").await), "1");
    house.service.shutdown().await;
}

#[tokio::test]
async fn a_function_that_prints_without_end_is_held_back_and_ended() {
    let house = House::with(LambdaConfig { log_rate: 64 * 1024, ..config() });
    let code = "def handler(e, c):\n    while True: print('x' * 1000)";
    let request = CreateFunctionRequest { timeout: Some(1), ..python("f", code) };
    house.service.create_function(&house.cx(), request).await.unwrap();
    assert!(text(&house.invoke("f", "{}").await).contains("Sandbox.Timedout"));
    house.logs.until("REPORT", 1).await;
    assert!(house.logs.count("xxxx") < 2000);
    house.service.shutdown().await;
}

#[tokio::test]
async fn simultaneous_invocations_run_on_as_many_instances() {
    let house = House::with(LambdaConfig { concurrency: 3, unreserved_minimum: 0, ..config() });
    // Each waits for all three, so it answers only if they run at the same time.
    let code = "
import os, time
def handler(event, context):
    open(event['dir'] + '/' + context.aws_request_id, 'w').close()
    while len(os.listdir(event['dir'])) < 3: time.sleep(0.01)
    return os.getpid()
";
    house.create("f", code).await;
    let meeting = tempfile::tempdir().unwrap();
    let payload = Document::map([("dir", Document::from(meeting.path().to_str().unwrap()))]).to_json();
    let (a, b, c) = tokio::join!(house.invoke("f", &payload), house.invoke("f", &payload), house.invoke("f", &payload));
    let pids: std::collections::BTreeSet<String> = [a, b, c].iter().map(text).collect();
    assert_eq!(pids.len(), 3);
    house.service.shutdown().await;
}

#[tokio::test]
async fn a_prewarmed_instance_takes_the_first_event() {
    let house = House::with(LambdaConfig { prewarm: Prewarm::One, ..config() });
    house.create("f", ECHO).await;
    house.invoke("f", "{}").await;
    house.logs.until("REPORT", 1).await;
    assert_eq!(house.logs.count("INIT_START"), 1);
    house.service.shutdown().await;
}

#[tokio::test]
async fn an_idle_instance_goes_and_a_new_one_comes() {
    let house = House::with(LambdaConfig { idle_timeout: Duration::from_millis(50), ..config() });
    house.create("f", "import os\ndef handler(e, c): return os.getpid()").await;
    let first = text(&house.invoke("f", "{}").await);
    let key = crate::names::FunctionKey::new(&Scope::default(), "f");
    while house.service.shared.pools.has_free(&key) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_ne!(text(&house.invoke("f", "{}").await), first);
    house.service.shutdown().await;
}

#[tokio::test]
async fn a_custom_runtime_without_bootstrap() {
    let house = House::new();
    let request = CreateFunctionRequest { runtime: Some(Runtime::ProvidedAl2023), ..python("f", "") };
    house.service.create_function(&house.cx(), request).await.unwrap();
    let response = house.invoke("f", "{}").await;
    assert!(text(&response).contains("Runtime.InvalidEntrypoint"), "{}", text(&response));
    house.service.shutdown().await;
}

/// Makes a Node.js function; `None` where this machine has no node.
async fn node(house: &House, name: &str, runtime: Runtime, code: &str) -> Option<()> {
    let zip_file = Some(crate::code::zip(&[("index.js", code)]).unwrap());
    let request = CreateFunctionRequest {
        runtime: Some(runtime),
        code: FunctionCode { zip_file, ..FunctionCode::default() },
        memory_size: Some(256),
        ..python(name, "")
    };
    match house.service.create_function(&house.cx(), request).await {
        Ok(_) => Some(()),
        Err(missing) => {
            assert!(missing.message.contains("package nodejs"), "{missing}");
            None
        }
    }
}

#[tokio::test]
async fn a_node_function_where_node_is() {
    let house = House::new();
    let code = "exports.handler = async (event, context) => { console.log('hi'); \
                if (event.fail) throw new TypeError('no'); return { n: event.n + 1, name: context.functionName } }";
    if node(&house, "f", Runtime::Nodejs20X, code).await.is_some() {
        let response = house.invoke("f", r#"{"n": 1}"#).await;
        assert_eq!(text(&response), r#"{"n":2,"name":"f"}"#);
        assert!(tail(&response).contains("\tINFO\thi\n"), "{}", tail(&response));
        let failed = house.invoke("f", r#"{"fail": true}"#).await;
        assert!(text(&failed).starts_with(r#"{"errorType":"TypeError","errorMessage":"no""#), "{}", text(&failed));
    }
    house.service.shutdown().await;
}

#[tokio::test]
async fn what_a_node_handler_gives_depends_on_its_kind_and_runtime() {
    let house = House::new();
    let later = "setTimeout(() => console.log('later'), 20);";
    let cases = [
        (Runtime::Nodejs22X, "async (e) => e.n", "1", false),
        (Runtime::Nodejs22X, "(e) => e.n", "null", false),
        (Runtime::Nodejs24X, "(e) => e.n", "1", false),
        (Runtime::Nodejs22X, &format!("(e) => {{ {later} }}"), "null", true),
        (Runtime::Nodejs22X, &format!("(e, c, done) => {{ {later} done(null, 2) }}"), "2", true),
        (
            Runtime::Nodejs22X,
            &format!("(e, c, done) => {{ c.callbackWaitsForEmptyEventLoop = false; {later} done(null, 2) }}"),
            "2",
            false,
        ),
        (Runtime::Nodejs22X, "(e, c) => { setTimeout(() => c.succeed(3), 1) }", "3", false),
        (Runtime::Nodejs22X, "(e, c) => { c.fail() }", r#"{"errorType":"string","errorMessage":"handled""#, false),
        (Runtime::Nodejs22X, "async () => new Promise(() => {})", r#"{"errorType":"Runtime.NodeJsExit""#, false),
        (
            Runtime::Nodejs24X,
            "(e, c, done) => done(null, 2)",
            r#"{"errorType":"Runtime.CallbackHandlerDeprecated""#,
            false,
        ),
    ];
    for (i, (runtime, handler, answer, waits)) in cases.into_iter().enumerate() {
        let name = format!("f{i}");
        if node(&house, &name, runtime, &format!("exports.handler = {handler}")).await.is_none() {
            break;
        }
        for _ in 0..2 {
            let response = house.invoke(&name, r#"{"n": 1}"#).await;
            assert!(text(&response).starts_with(answer), "{handler}: {}", text(&response));
            assert_eq!(tail(&response).contains("\tINFO\tlater\n"), waits, "{handler}: {}", tail(&response));
        }
    }
    house.service.shutdown().await;
}

/// The settings for a log of objects.
fn json_logs(application_log_level: ApplicationLogLevel, system_log_level: SystemLogLevel) -> LoggingConfig {
    LoggingConfig {
        log_format: Some(LogFormat::Json),
        application_log_level: Some(application_log_level),
        system_log_level: Some(system_log_level),
        log_group: None,
    }
}

fn objects(tail: &str) -> Vec<Document> {
    tail.lines().map(|line| Document::from_json(line.as_bytes()).unwrap_or_else(|_| line.into())).collect()
}

fn at(object: &Document, path: &str) -> String {
    path.split('/').try_fold(object, |value, name| value.get(name)).and_then(Document::scalar_text).unwrap_or_default()
}

#[tokio::test]
async fn a_python_function_logs_objects() {
    let house = House::new();
    let code = "
import logging
log = logging.getLogger('mine')
def handler(event, context):
    print('plain')
    log.debug('too low')
    log.info('info %s', 1, extra={'size': 3})
    if event.get('fail'):
        try:
            raise ValueError('inner')
        except ValueError:
            log.exception('caught')
        raise KeyError('outer')
";
    let config = Some(json_logs(ApplicationLogLevel::Info, SystemLogLevel::Debug));
    let request = CreateFunctionRequest { logging_config: config, ..python("f", code) };
    house.service.create_function(&house.cx(), request).await.unwrap();
    let lines = objects(&tail(&house.invoke("f", "{}").await));
    let kinds: Vec<String> = lines.iter().map(|line| at(line, "type") + &at(line, "message")).collect();
    assert_eq!(kinds, ["platform.start", "", "info 1", "platform.runtimeDone", "platform.report"]);
    assert_eq!(lines[1].as_str(), Some("plain"));
    let told = ["level", "logger", "size"].map(|name| at(&lines[2], name));
    assert_eq!(told, ["INFO", "mine", "3"]);
    assert_eq!(at(&lines[2], "requestId"), at(&lines[0], "record/requestId"));
    let lines = objects(&tail(&house.invoke("f", r#"{"fail": true}"#).await));
    assert_eq!([at(&lines[3], "errorType"), at(&lines[3], "errorMessage")], ["ValueError", "inner"]);
    assert_eq!([at(&lines[4], "log_level"), at(&lines[4], "errorType")], ["ERROR", "KeyError"]);
    assert_eq!(at(&lines[5], "record/status"), "error");
    house.service.shutdown().await;
}

#[tokio::test]
async fn a_node_function_logs_objects_above_its_level() {
    let house = House::new();
    let code = "exports.handler = async (event) => { console.log('low'); console.warn({ a: 1 }); \
                console.error('of %s', 'two'); if (event.fail) throw new TypeError('no') }";
    if node(&house, "f", Runtime::Nodejs22X, code).await.is_some() {
        let request = UpdateFunctionConfigurationRequest {
            function_name: "f".to_owned(),
            logging_config: Some(json_logs(ApplicationLogLevel::Warn, SystemLogLevel::Warn)),
            ..UpdateFunctionConfigurationRequest::default()
        };
        house.service.update_function_configuration(&house.cx(), request).await.unwrap();
        let lines = objects(&tail(&house.invoke("f", "{}").await));
        let told: Vec<[String; 3]> =
            lines.iter().map(|line| ["level", "message", "message/a"].map(|path| at(line, path))).collect();
        assert_eq!(told, [["WARN", "", "1"], ["ERROR", "of two", ""]]);
        let lines = objects(&tail(&house.invoke("f", r#"{"fail": true}"#).await));
        assert_eq!(at(&lines[2], "message/errorType"), "TypeError");
        assert_eq!(at(lines.last().unwrap(), "type"), "platform.report");
    }
    house.service.shutdown().await;
}
