//! What happens to a worker's connections.

use std::time::{Duration, Instant};

use slipway_api::BackendHealth::{NotReady, Ready, Unreachable};
use slipway_balancer::BalancerError;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::fake_api_server::{FakeApiServer, Mood};
use crate::world::World;

/// A worker may be without the API for so long, times five.
const BACK_WITHIN: Duration = Duration::from_secs(25);

/// A worker whose balancer knows two API servers, both of them ready.
async fn two_ready_api_servers() -> (World, FakeApiServer, FakeApiServer) {
    let mut world = World::new();
    let (one, two) = (world.api_server("one").await, world.api_server("two").await);
    world.write_seeds(&[&one, &two]);
    world.start().await;
    world.until_health(&one, Ready).await;
    world.until_health(&two, Ready).await;
    (world, one, two)
}

#[tokio::test]
async fn connections_go_to_all_api_servers_in_turn() {
    let (world, _one, _two) = two_ready_api_servers().await;
    world.until_all_answer(&["one", "two"]).await;
}

#[tokio::test]
async fn before_anything_is_known_a_connection_finds_the_server_that_lives() {
    let mut world = World::new();
    let (mut one, two) = (world.api_server("one").await, world.api_server("two").await);
    world.write_seeds(&[&one, &two]);
    one.stop().await;
    world.start().await;
    assert_eq!(world.all_who_answer().await, ["two"]);
}

#[tokio::test]
async fn an_api_server_that_ends_is_left_and_found_again_elsewhere() {
    let (world, mut one, _two) = two_ready_api_servers().await;
    one.stop().await;
    world.until_health(&one, Unreachable).await;
    assert_eq!(world.all_who_answer().await, ["two"]);
    let told = format!("{} is unreachable", one.address);
    assert!(world.log().iter().any(|line| line.starts_with(&told)));
}

#[tokio::test]
async fn connections_to_a_host_that_crashed_are_cut_so_that_clients_go_elsewhere() {
    let (world, one, _two) = two_ready_api_servers().await;
    // In turn, so that one of two goes to each.
    let mut connections = Vec::new();
    for _ in 0..2 {
        connections.push(TcpStream::connect(world.listen()).await.unwrap());
    }
    let began = Instant::now();
    one.set_mood(Mood::Silent);
    world.until_health(&one, Unreachable).await;
    assert_eq!(world.all_who_answer().await, ["two"]);
    let [mut first, mut second] = connections.try_into().expect("two");
    let (mut one_byte, mut other_byte) = ([0; 1], [0; 1]);
    let ended = tokio::time::timeout(BACK_WITHIN, async {
        tokio::select! {
            _ = first.read(&mut one_byte) => &mut second,
            _ = second.read(&mut other_byte) => &mut first,
        }
    });
    let stays = ended.await.expect("one is cut");
    assert!(began.elapsed() < BACK_WITHIN);
    let mut byte = [0; 1];
    let ended = tokio::time::timeout(Duration::from_millis(100), stays.read(&mut byte));
    assert!(ended.await.is_err(), "the other one stays");

    one.set_mood(Mood::Ready);
    world.until_health(&one, Ready).await;
    world.until_all_answer(&["one", "two"]).await;
}

#[tokio::test]
async fn an_api_server_that_is_not_ready_gets_no_new_connections() {
    let (world, one, _two) = two_ready_api_servers().await;
    one.set_mood(Mood::NotReady);
    world.until_health(&one, NotReady).await;
    assert_eq!(world.all_who_answer().await, ["two"]);
}

#[tokio::test]
async fn the_only_api_server_is_used_even_when_it_is_not_ready() {
    let mut world = World::new();
    let one = world.api_server("one").await;
    one.set_mood(Mood::NotReady);
    world.write_seeds(&[&one]);
    world.start().await;
    world.until_health(&one, NotReady).await;
    assert_eq!(world.all_who_answer().await, ["one"]);
}

#[tokio::test]
async fn members_are_learned_from_the_api_and_outlive_a_restart_and_the_seeds() {
    let mut world = World::new();
    let (mut one, two) = (world.api_server("one").await, world.api_server("two").await);
    let three = world.api_server("three").await;
    world.write_seeds(&[&one]);
    for server in [&one, &two, &three] {
        server.set_members(&[&two, &three]);
    }
    world.start().await;
    world.until_health(&three, Ready).await;
    world.until_health(&two, Ready).await;
    world
        .until("who left is forgotten", || world.health(&one).is_none())
        .await;
    world
        .until("the members are kept", || {
            world.path("members.json").exists()
        })
        .await;

    world.stop().await;
    one.stop().await;
    world.start().await;
    world.until_all_answer(&["two", "three"]).await;
}

#[tokio::test]
async fn new_seeds_lead_back_when_every_known_member_is_gone() {
    let mut world = World::new();
    let (mut old, new) = (world.api_server("old").await, world.api_server("new").await);
    world.write_seeds(&[&old]);
    old.set_members(&[&old]);
    new.set_members(&[&new]);
    world.start().await;
    world
        .until("the member is kept", || world.path("members.json").exists())
        .await;
    world.stop().await;
    old.stop().await;
    world.write_seeds(&[&new]);
    world.start().await;
    world.until_health(&new, Ready).await;
    world
        .until("the old one is forgotten", || world.health(&old).is_none())
        .await;
}

#[tokio::test]
async fn without_a_kubelets_certificate_the_seeds_do_and_with_it_members_are_learned() {
    let mut world = World::before_the_kubelet_joined();
    let (one, two) = (world.api_server("one").await, world.api_server("two").await);
    one.set_members(&[&one, &two]);
    two.set_members(&[&one, &two]);
    world.write_seeds(&[&one]);
    world.start().await;
    world.until_health(&one, Ready).await;
    assert_eq!(world.health(&two), None);
    world.give_the_kubelet_its_certificate();
    world.until_health(&two, Ready).await;
}

#[tokio::test]
async fn an_api_server_of_another_cluster_is_not_believed() {
    let mut world = World::new();
    let elsewhere = World::new();
    let (own, foreign) = (
        world.api_server("own").await,
        elsewhere.api_server("foreign").await,
    );
    foreign.set_members(&[&foreign]);
    world.write_seeds(&[&own, &foreign]);
    world.start().await;
    world.until_health(&own, Ready).await;
    world.until_health(&foreign, Unreachable).await;
    assert_eq!(world.all_who_answer().await, ["own"]);
}

#[tokio::test]
async fn a_start_without_seeds_says_which_file_is_wrong() {
    let world = World::new();
    let missing = slipway_balancer::serve(world.options(), drop).await;
    assert!(matches!(missing, Err(BalancerError::ReadSeeds { .. })));
    std::fs::write(world.path("seeds.json"), "{\"endpoints\":[]}").unwrap();
    let empty = slipway_balancer::serve(world.options(), drop).await;
    assert!(matches!(empty, Err(BalancerError::NoSeeds { .. })));
    std::fs::write(world.path("seeds.json"), "{\"endpoints\":[\"cp-1:6443\"]}").unwrap();
    let named = slipway_balancer::serve(world.options(), drop).await;
    assert!(matches!(named, Err(BalancerError::InvalidSeeds { .. })));
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let world = World::new();
    let one = world.api_server("one").await;
    world.write_seeds(&[&one]);
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = world.options();
    options.listen = taken.local_addr().unwrap();
    let error = slipway_balancer::serve(options, drop).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&taken.local_addr().unwrap().to_string())
    );
}
