//! What is different for target groups: ports of their own, codes, and listeners whose routes change.
use http::StatusCode;

use crate::world::{Algorithm, PoolPlan, Protocol, Route, Traffic};

use super::client::{Client, body, get};
use super::server::{App, blunt, nobody};
use super::{Bench, PORT, poll};

/// The bench's balancer as an application balancer: its backends have ports of their own.
async fn application() -> Bench {
    let bench = Bench::start(Protocol::Http).await;
    bench.plans.send_modify(|plan| {
        plan.listeners[0].instance_port = None;
        plan.pools[0].algorithm = Algorithm::RoundRobin;
    });
    bench
}

#[tokio::test]
async fn a_target_is_reached_on_its_own_port() {
    let app = App::start("a").await;
    let bench = application().await;
    bench.register(1, app.at, Traffic::New);
    bench.settle().await;
    assert_eq!(body(bench.at, "/").await, "a");
    assert!(bench.plans.borrow().pools[0].backends.iter().all(|backend| backend.port == PORT));
}

#[tokio::test]
async fn an_application_balancer_has_its_own_codes() {
    let bench = application().await;
    assert_eq!(get(bench.at, "/").await.0, StatusCode::SERVICE_UNAVAILABLE, "nobody is there");
    bench.register(1, nobody().await, Traffic::New);
    bench.settle().await;
    assert_eq!(get(bench.at, "/").await.0, StatusCode::BAD_GATEWAY, "no connection");
    bench.remove(1);
    let (at, _rude) = blunt(b"").await;
    bench.register(2, at, Traffic::New);
    bench.settle().await;
    assert_eq!(get(bench.at, "/").await.0, StatusCode::BAD_GATEWAY, "the target hung up");
}

#[tokio::test]
async fn a_client_stays_connected_while_its_listener_turns_to_another_group() {
    let (blue, green) = (App::start("blue").await, App::start("green").await);
    let bench = application().await;
    bench.register(1, blue.at, Traffic::New);
    bench.settle().await;
    let mut client = Client::connect(bench.at).await;
    assert_eq!(client.get("/").await.1, "blue");
    bench.register(2, green.at, Traffic::New);
    bench.plans.send_modify(|plan| {
        let backends = plan.pools[0].backends.split_off(1);
        let name = "green".to_owned();
        plan.pools.push(PoolPlan {
            name: name.clone(),
            algorithm: Algorithm::RoundRobin,
            cut: true,
            backends,
        });
        plan.listeners[0].routes = vec![Route { pool: name, weight: 1 }];
    });
    poll("the other group", || bench.balancer.members().iter().any(|member| member.pool == "green")).await;
    assert_eq!(client.get("/").await.1, "green", "on the same connection");
}
