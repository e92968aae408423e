//! Events that nobody waits for, and callers inside Barge.

use super::*;

#[tokio::test]
async fn events_are_tried_three_times() {
    let house = House::new();
    house.service.start();
    house.create("fails", "def handler(e, c):\n    print('try of', c.aws_request_id)\n    raise ValueError").await;
    let answer = house.try_invoke("fails", "{}", InvocationType::Event).await.unwrap();
    assert_eq!((answer.status_code, answer.payload), (Some(202), None));
    house.logs.until("the event was dropped: the function failed 3 times", 1).await;
    house.logs.until("REPORT", 3).await;
    assert_eq!(house.logs.count("try of"), 3);
    house.service.shutdown().await;
}

#[tokio::test]
async fn accepted_events_survive_the_server() {
    let house = House::new();
    house.create("f", "def handler(e, c): print('got', e['n'])").await;
    for n in 0..20 {
        house.try_invoke("f", &format!(r#"{{"n": {n}}}"#), InvocationType::Event).await.unwrap();
    }
    // The first server never ran them.
    let house = house.reopened().await;
    assert_eq!(house.logs.count("got"), 0);
    house.service.start();
    house.logs.until("got", 20).await;
    house.service.shutdown().await;
}

#[tokio::test]
async fn a_throttled_event_waits_for_its_turn() {
    let house = House::new();
    house.service.start();
    house.create("f", "def handler(e, c): print('ran')").await;
    let reserve = |reserved| PutFunctionConcurrencyRequest {
        function_name: "f".to_owned(),
        reserved_concurrent_executions: reserved,
    };
    house.service.put_function_concurrency(&house.cx(), reserve(0)).await.unwrap();
    let refused = house.try_invoke("f", "{}", InvocationType::RequestResponse).await.unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("TooManyRequestsException", 429));
    house.try_invoke("f", "{}", InvocationType::Event).await.unwrap();
    house.service.put_function_concurrency(&house.cx(), reserve(1)).await.unwrap();
    house.logs.until("ran", 1).await;
    let refused = house.service.put_function_concurrency(&house.cx(), reserve(95)).await.unwrap_err();
    assert!(refused.message.ends_with("below its minimum value of [10]."));
    house.service.shutdown().await;
}

#[tokio::test]
async fn a_source_of_events_invokes_and_waits() {
    let house = House::new();
    house.create("f", "def handler(e, c): return e").await;
    let arn: Arn = "arn:aws:lambda:us-east-1:000000000000:function:f".parse().unwrap();
    let service: &dyn FunctionInvoker = &*house.service;
    let answer = service.invoke(&arn, Bytes::from_static(b"[7]"), InvocationMode::RequestResponse).await.unwrap();
    assert_eq!((answer.payload.as_ref(), answer.function_error), (&b"[7]"[..], None));
    house.service.shutdown().await;
}
