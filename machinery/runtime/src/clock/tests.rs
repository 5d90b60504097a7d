use super::*;

fn wall(seconds: i64, nanos: u32) -> Wall {
    Wall { seconds, nanos }
}

#[test]
fn wall_arithmetic() {
    fn check(from: Wall, nanos: u64, to: Wall) {
        let duration = Duration::from_nanos(nanos);
        assert_eq!(from.plus(duration), to);
        assert_eq!(to.since(from), duration);
        assert_eq!(from.since(to), Duration::ZERO);
    }
    check(wall(0, 0), 0, wall(0, 0));
    check(wall(1, 999_999_999), 1, wall(2, 0));
    check(wall(-1, 500_000_000), 600_000_000, wall(0, 100_000_000));
    check(wall(10, 900_000_000), 2_200_000_000, wall(13, 100_000_000));
    assert_eq!(wall(i64::MAX, 0).plus(Duration::from_secs(5)).seconds, i64::MAX);
    assert_eq!(wall(-1, 500_000_000).micros(), -500_000);
}

#[test]
fn wall_from_system_time() {
    fn check(time: SystemTime, expected: Wall) {
        assert_eq!(Wall::from(time), expected);
    }
    let epoch = SystemTime::UNIX_EPOCH;
    check(epoch, wall(0, 0));
    check(epoch + Duration::new(5, 7), wall(5, 7));
    check(epoch - Duration::new(5, 0), wall(-5, 0));
    check(epoch - Duration::new(5, 1), wall(-6, 999_999_999));
}

#[tokio::test]
async fn a_manual_clock_wakes_the_earliest_first() {
    let (clock, hands) = Clock::manual(Wall::from_seconds(100));
    let (sender, mut woken) = tokio::sync::mpsc::unbounded_channel();
    let mut sleeping = Vec::new();
    for seconds in [3, 1, 2] {
        let (clock, sender) = (clock.clone(), sender.clone());
        sleeping.push(async move {
            clock.sleep(Duration::from_secs(seconds)).await;
            sender.send(seconds).unwrap();
        });
    }
    let mut set = tokio::task::JoinSet::new();
    sleeping.into_iter().for_each(|task| drop(set.spawn(task)));
    hands.wait_for_sleepers(3).await;
    hands.advance(Duration::from_millis(999));
    assert_eq!(hands.sleepers(), 3);
    hands.advance(Duration::from_millis(1));
    assert_eq!(woken.recv().await, Some(1));
    assert_eq!(clock.now(), Wall::from_seconds(101));
    hands.wait_for_sleepers(2).await;
    assert!(hands.advance_to_next());
    assert_eq!(woken.recv().await, Some(2));
    hands.advance(Duration::from_secs(60));
    assert_eq!(woken.recv().await, Some(3));
    assert!(!hands.advance_to_next());
}

#[tokio::test]
async fn timeouts() {
    let (clock, hands) = Clock::manual(Wall::default());
    assert_eq!(clock.timeout(Duration::ZERO, async { 7 }).await, Ok(7));
    let start = clock.monotonic();
    let timeout = clock.timeout(Duration::from_secs(2), std::future::pending::<()>());
    let moving = async {
        hands.wait_for_sleepers(1).await;
        hands.advance(Duration::from_secs(2));
    };
    assert_eq!(tokio::join!(timeout, moving).0, Err(Elapsed));
    assert_eq!(clock.since(start), Duration::from_secs(2));
    assert_eq!(hands.sleepers(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_system_clock_sleeps_by_tokio() {
    let clock = Clock::system();
    let before = tokio::time::Instant::now();
    clock.sleep(Duration::from_secs(3600)).await;
    assert!(before.elapsed() >= Duration::from_secs(3600));
    assert!(clock.now().seconds > 1_700_000_000);
}

#[tokio::test]
async fn jumps_of_a_manual_clock() {
    let (clock, hands) = Clock::manual(Wall::from_seconds(100));
    hands.set_wall(Wall::from_seconds(50));
    let mut jumps = clock.jumps();
    let told = async |jumps: &mut Jumps| {
        tokio::select! {
            biased;
            () = jumps.next() => true,
            () = std::future::ready(()) => false,
        }
    };
    assert!(!told(&mut jumps).await, "it jumped before");
    hands.advance(Duration::from_secs(3600));
    assert!(!told(&mut jumps).await, "time passed");
    hands.set_wall(Wall::from_seconds(200));
    hands.set_wall(Wall::from_seconds(300));
    assert!(told(&mut jumps).await);
    assert!(!told(&mut jumps).await, "both were told");
    tokio::join!(jumps.next(), async { hands.set_wall(Wall::from_seconds(400)) });
    assert!(jumps.are_told());
    hands.hide_jumps();
    hands.set_wall(Wall::from_seconds(500));
    assert!(!jumps.are_told() && !told(&mut jumps).await, "jumps are hidden");
}

/// A timer of the system that is armed wrongly is readable at once.
#[tokio::test]
async fn the_machines_clock_can_be_followed() {
    let mut jumps = Clock::system().jumps();
    let next = jumps.next();
    tokio::pin!(next);
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(next.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    }
}
