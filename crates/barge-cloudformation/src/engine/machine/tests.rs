//! Stories of single stacks, and properties over all small graphs with failures and restarts anywhere. Updates have
//! their property test in `runner`, where their values are.

use super::*;
use proptest::prelude::*;

fn nodes(edges: &[&[usize]]) -> Vec<Node> {
    edges
        .iter()
        .enumerate()
        .map(|(index, dependencies)| node(index, dependencies.to_vec(), RemovalPolicy::Delete))
        .collect()
}

fn node(index: usize, dependencies: Vec<usize>, policy: RemovalPolicy) -> Node {
    Node {
        logical_id: format!("R{index}"),
        slot: index,
        bound: dependencies.clone(),
        former: Vec::new(),
        wanted: dependencies,
        policy,
        replace_policy: RemovalPolicy::Delete,
        state: State::Waiting,
        part: Part::Steady,
        turn: Turn::Pending,
        touched: false,
        stable: None,
    }
}

fn fresh(nodes: Vec<Node>, on_failure: OnFailure) -> Machine {
    let ledger = Ledger {
        phase: Phase::Creating,
        on_failure,
        on_update_failure: OnFailure::Rollback,
        failed: Vec::new(),
        update_failed: Vec::new(),
        cause: None,
    };
    Machine::restored(nodes, ledger)
}

/// Effects in short: `+0` create, `-0` delete, `R0 CREATE_COMPLETE`, `stack CREATE_COMPLETE`.
fn told(effects: &[Effect]) -> Vec<String> {
    let with = |text: String, reason: &Option<String>| match reason {
        Some(reason) => format!("{text}: {reason}"),
        None => text,
    };
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Create(index) => format!("+{index}"),
            Effect::Delete(index) => format!("-{index}"),
            Effect::EvaluateOutputs => "outputs".to_owned(),
            Effect::Compare(index) => format!("?{index}"),
            Effect::Update(index) => format!("~{index}"),
            Effect::Replace(index) => format!("^{index}"),
            Effect::Revert(index) => format!("<{index}"),
            Effect::Restore { index, leftover } => format!("{index}<>{leftover}"),
            Effect::Resource(index, status, reason) => with(format!("R{index} {status}"), reason),
            Effect::Stack(status, reason) => with(format!("stack {status}"), reason),
        })
        .collect()
}

fn tell(machine: &mut Machine, input: Input) -> Vec<String> {
    told(&machine.step(input))
}

#[test]
fn a_stack_is_made_in_order_and_removed_in_reverse() {
    let mut machine = fresh(nodes(&[&[], &[0]]), OnFailure::Rollback);
    assert_eq!(
        tell(&mut machine, Input::Start),
        ["stack CREATE_IN_PROGRESS: User Initiated", "R0 CREATE_IN_PROGRESS", "+0"]
    );
    assert_eq!(
        tell(&mut machine, Input::Created(0)),
        ["R0 CREATE_IN_PROGRESS: Resource creation Initiated", "R0 CREATE_COMPLETE", "R1 CREATE_IN_PROGRESS", "+1"]
    );
    assert_eq!(
        tell(&mut machine, Input::Created(1)),
        ["R1 CREATE_IN_PROGRESS: Resource creation Initiated", "R1 CREATE_COMPLETE", "outputs"]
    );
    assert_eq!(tell(&mut machine, Input::Outputs(Ok(()))), ["stack CREATE_COMPLETE"]);
    assert!(machine.settled());
    assert_eq!(
        tell(&mut machine, Input::Delete(BTreeSet::new())),
        ["stack DELETE_IN_PROGRESS: User Initiated", "R1 DELETE_IN_PROGRESS", "-1"]
    );
    assert_eq!(tell(&mut machine, Input::Deleted(1)), ["R1 DELETE_COMPLETE", "R0 DELETE_IN_PROGRESS", "-0"]);
    assert_eq!(tell(&mut machine, Input::Deleted(0)), ["R0 DELETE_COMPLETE", "stack DELETE_COMPLETE"]);
}

#[test]
fn a_failure_cancels_the_rest_and_rolls_back() {
    let mut machine = fresh(nodes(&[&[], &[], &[0]]), OnFailure::Rollback);
    machine.step(Input::Start);
    assert_eq!(tell(&mut machine, Input::CreateFailed(0, "no".into(), Remains::Nothing)), ["R0 CREATE_FAILED: no"]);
    assert_eq!(
        tell(&mut machine, Input::Created(1)),
        [
            "R1 CREATE_IN_PROGRESS: Resource creation Initiated",
            "R1 CREATE_FAILED: Resource creation cancelled",
            "stack ROLLBACK_IN_PROGRESS: The following resource(s) failed to create: [R0, R1]. Rollback requested by user.",
            "R1 DELETE_IN_PROGRESS",
            "-1",
            "R0 DELETE_COMPLETE",
        ]
    );
    assert_eq!(tell(&mut machine, Input::Deleted(1)), ["R1 DELETE_COMPLETE", "stack ROLLBACK_COMPLETE"]);
}

#[test]
fn on_failure_do_nothing_keeps_what_was_made() {
    let mut machine = fresh(nodes(&[&[], &[]]), OnFailure::DoNothing);
    machine.step(Input::Start);
    machine.step(Input::CreateFailed(0, "no".into(), Remains::Nothing));
    assert_eq!(
        tell(&mut machine, Input::Created(1)),
        [
            "R1 CREATE_IN_PROGRESS: Resource creation Initiated",
            "R1 CREATE_COMPLETE",
            "stack CREATE_FAILED: The following resource(s) failed to create: [R0].",
        ]
    );
    assert_eq!(
        tell(&mut machine, Input::Delete(BTreeSet::new())),
        ["stack DELETE_IN_PROGRESS: User Initiated", "R1 DELETE_IN_PROGRESS", "-1", "R0 DELETE_COMPLETE"]
    );
}

#[test]
fn on_failure_delete_removes_the_stack() {
    let mut machine = fresh(nodes(&[&[]]), OnFailure::Delete);
    machine.step(Input::Start);
    assert_eq!(
        tell(&mut machine, Input::CreateFailed(0, "no".into(), Remains::Nothing)),
        [
            "R0 CREATE_FAILED: no",
            "stack DELETE_IN_PROGRESS: The following resource(s) failed to create: [R0]. Delete requested by user.",
            "R0 DELETE_COMPLETE",
            "stack DELETE_COMPLETE",
        ]
    );
}

#[test]
fn deletion_policies_are_honoured() {
    let mut policies = nodes(&[&[], &[], &[]]);
    policies[1].policy = RemovalPolicy::Retain;
    policies[2].policy = RemovalPolicy::RetainExceptOnCreate;
    let mut machine = fresh(policies.clone(), OnFailure::Rollback);
    machine.step(Input::Start);
    for index in 0..3 {
        machine.step(Input::Created(index));
    }
    machine.step(Input::Outputs(Ok(())));
    assert_eq!(
        tell(&mut machine, Input::Delete(BTreeSet::new())),
        [
            "stack DELETE_IN_PROGRESS: User Initiated",
            "R2 DELETE_SKIPPED",
            "R1 DELETE_SKIPPED",
            "R0 DELETE_IN_PROGRESS",
            "-0"
        ]
    );
    let mut machine = fresh(policies, OnFailure::Rollback);
    machine.step(Input::Start);
    machine.step(Input::Created(1));
    machine.step(Input::Created(2));
    let rollback = tell(&mut machine, Input::CreateFailed(0, "no".into(), Remains::Nothing));
    assert!(rollback.contains(&"-2".to_owned()) && rollback.contains(&"R1 DELETE_SKIPPED".to_owned()));
}

#[test]
fn a_failed_deletion_can_be_tried_again_or_skipped() {
    let mut machine = fresh(nodes(&[&[], &[0]]), OnFailure::Rollback);
    machine.step(Input::Start);
    machine.step(Input::Created(0));
    machine.step(Input::Created(1));
    machine.step(Input::Outputs(Ok(())));
    machine.step(Input::Delete(BTreeSet::new()));
    assert_eq!(
        tell(&mut machine, Input::DeleteFailed(1, "not empty".into())),
        ["R1 DELETE_FAILED: not empty", "stack DELETE_FAILED: The following resource(s) failed to delete: [R1]."]
    );
    assert_eq!(
        tell(&mut machine, Input::Delete(BTreeSet::from(["R1".to_owned()]))),
        ["stack DELETE_IN_PROGRESS: User Initiated", "R1 DELETE_SKIPPED", "R0 DELETE_IN_PROGRESS", "-0"]
    );
    assert_eq!(tell(&mut machine, Input::Deleted(0)), ["R0 DELETE_COMPLETE", "stack DELETE_COMPLETE"]);
}

#[test]
fn a_stack_can_be_deleted_while_it_is_made() {
    let mut machine = fresh(nodes(&[&[], &[0]]), OnFailure::Rollback);
    machine.step(Input::Start);
    assert_eq!(tell(&mut machine, Input::Delete(BTreeSet::new())), ["stack DELETE_IN_PROGRESS: User Initiated"]);
    assert!(tell(&mut machine, Input::Delete(BTreeSet::new())).is_empty());
    assert_eq!(
        tell(&mut machine, Input::Created(0)),
        [
            "R0 CREATE_IN_PROGRESS: Resource creation Initiated",
            "R0 CREATE_FAILED: Resource creation cancelled",
            "R0 DELETE_IN_PROGRESS",
            "-0",
        ]
    );
    assert_eq!(tell(&mut machine, Input::Deleted(0)), ["R0 DELETE_COMPLETE", "stack DELETE_COMPLETE"]);
}

#[test]
fn outputs_without_a_value_and_timeouts_fail_the_creation() {
    let mut machine = fresh(nodes(&[&[]]), OnFailure::Rollback);
    machine.step(Input::Start);
    machine.step(Input::Created(0));
    let effects = tell(&mut machine, Input::Outputs(Err("Output O is malformed".into())));
    assert_eq!(effects[0], "stack ROLLBACK_IN_PROGRESS: Output O is malformed. Rollback requested by user.");

    let mut machine = fresh(nodes(&[&[]]), OnFailure::Rollback);
    machine.step(Input::Start);
    assert!(tell(&mut machine, Input::TimedOut).is_empty());
    let effects = tell(&mut machine, Input::Created(0));
    assert_eq!(
        effects[2],
        "stack ROLLBACK_IN_PROGRESS: Stack creation time exceeded the specified timeout. Rollback requested by user."
    );
}

/// A settled stack of resources that need each other so, about to go from `former` to `wanted` dependencies.
fn settled(former: &[&[usize]], wanted: &[&[usize]], parts: &[Part]) -> Machine {
    let mut machine = fresh(nodes(former), OnFailure::Rollback);
    machine.ledger.phase = Phase::Settled;
    for (index, node) in machine.nodes.iter_mut().enumerate() {
        node.part = parts[index];
        node.state = if node.part == Part::Added { State::Waiting } else { State::Exists };
        node.former.clone_from(&node.bound);
        node.wanted = wanted[index].to_vec();
    }
    machine
}

#[test]
fn an_update_changes_replaces_adds_and_then_removes() {
    let parts = [Part::Steady, Part::Steady, Part::Added, Part::Removed];
    let mut machine = settled(&[&[], &[0], &[], &[]], &[&[], &[0], &[1], &[]], &parts);
    assert_eq!(tell(&mut machine, Input::Update), ["stack UPDATE_IN_PROGRESS: User Initiated", "?0"]);
    assert_eq!(tell(&mut machine, Input::Compared(0, Verdict::InPlace)), ["R0 UPDATE_IN_PROGRESS", "~0"]);
    assert_eq!(tell(&mut machine, Input::Updated(0, Identity::Kept)), ["R0 UPDATE_COMPLETE", "?1"]);
    assert_eq!(
        tell(&mut machine, Input::Compared(1, Verdict::Replace)),
        [
            "R1 UPDATE_IN_PROGRESS: Requested update requires the creation of a new physical resource; hence creating one.",
            "^1"
        ]
    );
    assert_eq!(
        tell(&mut machine, Input::Created(1)),
        ["R1 UPDATE_IN_PROGRESS: Resource creation Initiated", "R1 UPDATE_COMPLETE", "R2 CREATE_IN_PROGRESS", "+2"]
    );
    assert_eq!(
        tell(&mut machine, Input::Created(2)),
        ["R2 CREATE_IN_PROGRESS: Resource creation Initiated", "R2 CREATE_COMPLETE", "outputs"]
    );
    assert_eq!(
        tell(&mut machine, Input::Outputs(Ok(()))),
        ["stack UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "R4 DELETE_IN_PROGRESS", "-4", "R3 DELETE_IN_PROGRESS", "-3"]
    );
    machine.step(Input::Deleted(3));
    assert_eq!(tell(&mut machine, Input::Deleted(4)), ["R4 DELETE_COMPLETE", "stack UPDATE_COMPLETE"]);
    assert_eq!(machine.nodes.iter().filter(|node| node.state == State::Exists).count(), 3);
}

#[test]
fn a_failed_update_is_undone_in_the_old_order() {
    let parts = [Part::Steady, Part::Steady, Part::Steady, Part::Added];
    let mut machine = settled(&[&[], &[0], &[], &[]], &[&[], &[0], &[1], &[]], &parts);
    machine.step(Input::Update);
    machine.step(Input::Compared(0, Verdict::Replace));
    machine.step(Input::Created(3));
    machine.step(Input::Created(0));
    machine.step(Input::Compared(1, Verdict::InPlace));
    assert_eq!(tell(&mut machine, Input::Updated(1, Identity::Kept)), ["R1 UPDATE_COMPLETE", "?2"]);
    machine.step(Input::Compared(2, Verdict::InPlace));
    assert_eq!(
        tell(&mut machine, Input::UpdateFailed(2, "no".into())),
        [
            "R2 UPDATE_FAILED: no",
            "stack UPDATE_ROLLBACK_IN_PROGRESS: The following resource(s) failed to update: [R2].",
            "0<>4",
            "R0 UPDATE_COMPLETE",
            "R1 UPDATE_IN_PROGRESS",
            "<1",
            "R2 UPDATE_IN_PROGRESS",
            "<2",
        ]
    );
    machine.step(Input::Updated(2, Identity::Kept));
    assert_eq!(
        tell(&mut machine, Input::Updated(1, Identity::Kept)),
        [
            "R1 UPDATE_COMPLETE",
            "stack UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            "R4 DELETE_IN_PROGRESS",
            "-4",
            "R3 DELETE_IN_PROGRESS",
            "-3"
        ]
    );
    machine.step(Input::Deleted(4));
    assert_eq!(tell(&mut machine, Input::Deleted(3)), ["R3 DELETE_COMPLETE", "stack UPDATE_ROLLBACK_COMPLETE"]);
}

#[test]
fn an_update_can_be_cancelled() {
    let mut machine = settled(&[&[], &[]], &[&[], &[]], &[Part::Steady; 2]);
    machine.step(Input::Update);
    machine.step(Input::Compared(0, Verdict::InPlace));
    machine.step(Input::Compared(1, Verdict::Same));
    assert!(tell(&mut machine, Input::Cancel).is_empty());
    assert_eq!(
        tell(&mut machine, Input::Updated(0, Identity::Kept)),
        [
            "R0 UPDATE_FAILED: Resource update cancelled",
            "stack UPDATE_ROLLBACK_IN_PROGRESS: User Initiated",
            "R0 UPDATE_IN_PROGRESS",
            "<0",
        ]
    );
}

#[test]
fn a_rollback_that_fails_goes_on_when_told() {
    let mut machine = settled(&[&[], &[0]], &[&[], &[0]], &[Part::Steady; 2]);
    machine.step(Input::Update);
    machine.step(Input::Compared(0, Verdict::InPlace));
    machine.step(Input::Updated(0, Identity::Kept));
    machine.step(Input::Compared(1, Verdict::InPlace));
    machine.step(Input::UpdateFailed(1, "no".into()));
    assert_eq!(
        tell(&mut machine, Input::UpdateFailed(0, "nor back".into())),
        [
            "R0 UPDATE_FAILED: nor back",
            "stack UPDATE_ROLLBACK_FAILED: The following resource(s) failed to update: [R0, R1]."
        ]
    );
    assert_eq!(
        tell(&mut machine, Input::Continue(BTreeSet::from(["R0".to_owned()]))),
        ["stack UPDATE_ROLLBACK_IN_PROGRESS: User Initiated", "R0 UPDATE_COMPLETE", "R1 UPDATE_IN_PROGRESS", "<1"]
    );
    assert_eq!(
        tell(&mut machine, Input::Updated(1, Identity::Kept)),
        ["R1 UPDATE_COMPLETE", "stack UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "stack UPDATE_ROLLBACK_COMPLETE"]
    );
}

#[test]
fn a_failed_update_can_stay_and_be_rolled_back_later() {
    let mut machine = settled(&[&[], &[0]], &[&[], &[0]], &[Part::Steady; 2]);
    machine.ledger.on_update_failure = OnFailure::DoNothing;
    machine.step(Input::Update);
    machine.step(Input::Compared(0, Verdict::InPlace));
    machine.step(Input::Updated(0, Identity::Kept));
    machine.step(Input::Compared(1, Verdict::Replace));
    assert_eq!(
        tell(&mut machine, Input::CreateFailed(1, "no".into(), Remains::Something)),
        ["R1 UPDATE_FAILED: no", "stack UPDATE_FAILED: The following resource(s) failed to update: [R1]."]
    );
    assert_eq!(
        tell(&mut machine, Input::RollBack(Failed::Update)),
        ["stack UPDATE_ROLLBACK_IN_PROGRESS: User Initiated", "R0 UPDATE_IN_PROGRESS", "<0"]
    );
    assert_eq!(
        tell(&mut machine, Input::Updated(0, Identity::Kept)),
        [
            "R0 UPDATE_COMPLETE",
            "R1 UPDATE_COMPLETE",
            "stack UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            "R2 DELETE_IN_PROGRESS",
            "-2"
        ]
    );
    assert_eq!(
        tell(&mut machine, Input::DeleteFailed(2, "no".into())),
        ["R2 DELETE_FAILED: no", "stack UPDATE_ROLLBACK_COMPLETE: One or more resources could not be deleted."]
    );
}

/// The world outside: what exists, what is under way.
#[derive(Default)]
struct World {
    exists: BTreeSet<usize>,
    under_way: Vec<Effect>,
    last: Option<StackStatus>,
}

impl World {
    fn take(&mut self, machine: &mut Machine, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Create(index) => {
                    for &dependency in &machine.nodes[index].wanted {
                        assert!(self.exists.contains(&dependency), "{index} before {dependency}");
                    }
                    self.under_way.push(Effect::Create(index));
                }
                Effect::Delete(index) => {
                    for (other, node) in machine.nodes.iter().enumerate() {
                        let needs = node.bound.contains(&index) && self.exists.contains(&other);
                        assert!(!needs || node.state == State::Kept, "{index} deleted under {other}");
                    }
                    self.under_way.push(Effect::Delete(index));
                }
                Effect::EvaluateOutputs => {
                    let more = machine.step(Input::Outputs(Ok(())));
                    self.take(machine, more);
                }
                Effect::Stack(status, _) => self.last = Some(status),
                Effect::Resource(..) => {}
                other => panic!("{other:?} belongs to updates"),
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Move {
    /// Ends one of what is under way, well or badly.
    Finish {
        which: usize,
        well: bool,
    },
    /// Kills and restarts the server.
    Restart,
    Delete,
    TimeOut,
}

fn turns() -> impl Strategy<Value = Vec<Move>> {
    let turn = prop_oneof![
        8 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(which, well)| Move::Finish { which, well }),
        2 => Just(Move::Restart),
        1 => Just(Move::Delete),
        1 => Just(Move::TimeOut),
    ];
    prop::collection::vec(turn, 0..40)
}

/// Dependencies on earlier nodes only: every such graph has an order.
fn graphs() -> impl Strategy<Value = Vec<(Vec<prop::sample::Index>, RemovalPolicy)>> {
    let policy = prop_oneof![
        6 => Just(RemovalPolicy::Delete),
        1 => Just(RemovalPolicy::Retain),
        1 => Just(RemovalPolicy::RetainExceptOnCreate)
    ];
    prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 0..3), policy), 0..8)
}

proptest! {
    #[test]
    fn every_life_ends_in_a_legal_state_with_nothing_orphaned(
        graph in graphs(),
        on_failure in prop_oneof![Just(OnFailure::Rollback), Just(OnFailure::Delete), Just(OnFailure::DoNothing)],
        turns in turns(),
    ) {
        let nodes: Vec<Node> = graph
            .into_iter()
            .enumerate()
            .map(|(index, (picks, policy))| {
                let earlier = if index == 0 { vec![] } else { picks.iter().map(|pick| pick.index(index)).collect() };
                node(index, earlier, policy)
            })
            .collect();
        let mut machine = fresh(nodes, on_failure);
        let mut world = World::default();
        let effects = machine.step(Input::Start);
        world.take(&mut machine, effects);
        // After the turns everything that is under way ends well.
        let ending = std::iter::repeat_n(Move::Finish { which: 0, well: true }, 40);
        for turn in turns.into_iter().chain(ending) {
            let effects = match turn {
                Move::Finish { .. } if world.under_way.is_empty() => continue,
                Move::Finish { which, well } => {
                    let position = which % world.under_way.len();
                    match (world.under_way.remove(position), well) {
                        (Effect::Create(index), true) => {
                            world.exists.insert(index);
                            machine.step(Input::Created(index))
                        }
                        (Effect::Create(index), false) => machine.step(Input::CreateFailed(index, "no".into(), Remains::Nothing)),
                        (Effect::Delete(index), true) => {
                            world.exists.remove(&index);
                            machine.step(Input::Deleted(index))
                        }
                        (Effect::Delete(index), false) => machine.step(Input::DeleteFailed(index, "no".into())),
                        (other, _) => panic!("{other:?} is not under way"),
                    }
                }
                Move::Restart => {
                    let mut before = told(&std::mem::take(&mut world.under_way));
                    let Machine { nodes, ledger } = machine;
                    machine = Machine::restored(nodes, ledger);
                    let effects = machine.step(Input::Resume);
                    let mut after = told(&effects);
                    before.sort();
                    after.sort();
                    prop_assert_eq!(before, after, "a restart takes up exactly what was under way");
                    effects
                }
                Move::Delete => machine.step(Input::Delete(BTreeSet::new())),
                Move::TimeOut => machine.step(Input::TimedOut),
            };
            world.take(&mut machine, effects);
        }
        prop_assert!(machine.settled());
        for (index, node) in machine.nodes.iter().enumerate() {
            let recorded = matches!(node.state, State::Exists | State::Stuck | State::Kept);
            prop_assert_eq!(world.exists.contains(&index), recorded, "{} is {:?}", index, node.state);
        }
        let removed = |node: &Node| !matches!(node.state, State::Exists | State::Stuck);
        match world.last.unwrap() {
            StackStatus::CreateComplete => prop_assert!(machine.nodes.iter().all(|node| node.state == State::Exists)),
            StackStatus::RollbackComplete | StackStatus::DeleteComplete => {
                prop_assert!(machine.nodes.iter().all(removed));
            }
            StackStatus::CreateFailed | StackStatus::RollbackFailed | StackStatus::DeleteFailed => {}
            other => prop_assert!(false, "{} is no end", other),
        }
    }
}
