//! Whole lives of small stacks over a world of resources: creations, updates, rollbacks and deletions with failures and
//! crashes anywhere. What exists in the end is what the stack says, and a rollback leads back to what was.

use super::*;
use crate::engine::machine::OnFailure;
use crate::engine::record::Deployment;
use crate::fake::providers;
use crate::template::{Inputs, Pseudo};
use barge_core::ids::SeededIds;
use barge_core::{AccountId, Principal, Scope};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// What a template says of one of the resources R0, R1, …
#[derive(Clone, Debug)]
struct Declared {
    /// Part of its name, whose change replaces it.
    name: u8,
    value: Value,
    retained: bool,
}

#[derive(Clone, Debug)]
enum Value {
    Text(u8),
    /// The physical id or an attribute of an earlier resource, where the template has it.
    Ref(prop::sample::Index),
    Attribute(prop::sample::Index),
}

fn declared() -> impl Strategy<Value = Option<Declared>> {
    let value = prop_oneof![
        2 => (0..3u8).prop_map(Value::Text),
        2 => any::<prop::sample::Index>().prop_map(Value::Ref),
        2 => any::<prop::sample::Index>().prop_map(Value::Attribute),
    ];
    let declared = (0..3u8, value, prop::bool::weighted(0.1));
    prop::option::weighted(0.8, declared.prop_map(|(name, value, retained)| Declared { name, value, retained }))
}

/// A template of up to six resources, at least one.
fn templates() -> impl Strategy<Value = String> {
    prop::collection::vec(declared(), 1..6).prop_map(|resources| {
        let mut text = String::from("Resources:\n  Rock: {Type: 'Fake::Thing::One'}\n");
        let present: Vec<usize> =
            resources.iter().enumerate().filter(|(_, r)| r.is_some()).map(|(index, _)| index).collect();
        for (index, resource) in resources.iter().enumerate() {
            let Some(Declared { name, value, retained }) = resource else { continue };
            let earlier: Vec<usize> = present.iter().copied().filter(|other| *other < index).collect();
            let value = match value {
                Value::Text(text) => format!("v{text}"),
                Value::Ref(_) | Value::Attribute(_) if earlier.is_empty() => "none".to_owned(),
                Value::Ref(pick) => format!("!Ref R{}", pick.get(&earlier)),
                Value::Attribute(pick) => format!("!GetAtt R{}.Value", pick.get(&earlier)),
            };
            let policy = if *retained { "DeletionPolicy: Retain, UpdateReplacePolicy: Retain, " } else { "" };
            let properties = format!("{policy}Properties: {{Name: n{index}-{name}, Value: {value}}}");
            writeln!(text, "  R{index}: {{Type: 'Fake::Thing::One', {properties}}}").unwrap();
        }
        text + "Outputs: {O: {Value: !Ref Rock}}\n"
    })
}

#[derive(Clone, Copy, Debug)]
enum Move {
    /// Ends a call, well or badly.
    Finish {
        which: usize,
        well: bool,
    },
    /// The server is killed: the calls in `carried` were carried out, and nobody heard of it.
    Crash {
        carried: u32,
    },
    Cancel,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        8 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(which, well)| Move::Finish { which, well }),
        3 => any::<u32>().prop_map(|carried| Move::Crash { carried }),
        1 => Just(Move::Cancel),
    ];
    prop::collection::vec(one, 0..30)
}

/// What exists, and who runs it.
struct Life {
    /// By physical id: token and properties.
    exists: BTreeMap<String, (String, Document)>,
    /// Physical ids that may stay without a stack: retained, or not deletable in a cleanup.
    excused: BTreeSet<String>,
    runner: Runner,
    body: String,
    former: Option<String>,
    calls: Vec<Call>,
    registry: Registry,
}

fn plan(text: &str, stack: &StackRecord, registry: &Registry) -> Plan {
    let pseudo = Pseudo { stack_id: Some(stack.id.clone()), stack_name: Some(stack.name.clone()), ..Pseudo::default() };
    Plan::new(text, &Inputs { pseudo, ..Inputs::default() }, &BTreeMap::new(), registry).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}

impl Life {
    fn begin(text: &str) -> Self {
        let registry = Registry::new(providers(&Arc::default()));
        let stack = StackRecord::blank("s".into(), Scope::default(), Principal::Root { account: AccountId::default() });
        let plan = plan(text, &stack, &registry);
        let runner = Runner::planned(stack, plan, registry.clone(), now());
        let mut life = Self {
            exists: BTreeMap::new(),
            excused: BTreeSet::new(),
            runner,
            body: text.to_owned(),
            former: None,
            calls: Vec::new(),
            registry,
        };
        life.apply(Happening::Start);
        life
    }

    fn apply(&mut self, happening: Happening) {
        let changes = self.runner.apply(happening, now(), &SeededIds::new("x"));
        for change in changes.template {
            match change {
                TemplateChange::Propose { body, .. } => {
                    let old = std::mem::replace(&mut self.body, body);
                    self.former.get_or_insert(old);
                }
                TemplateChange::Restore => self.body = self.former.take().unwrap(),
                TemplateChange::Settle => self.former = None,
            }
        }
        for event in &changes.events {
            let left = matches!(
                event.status,
                barge_wire::cloudformation::ResourceStatus::DeleteSkipped
                    | barge_wire::cloudformation::ResourceStatus::DeleteFailed
            );
            if left {
                self.excused.extend(event.physical_id.clone());
            }
        }
        self.calls.extend(changes.calls);
    }

    /// The server is killed and started again.
    fn crash(&mut self, carried: u32) {
        for (index, call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            if carried >> (index % 32) & 1 == 1 {
                self.carry_out(&call, true);
            }
        }
        let stack = serde_json::to_string(&self.runner.stack).unwrap();
        let resources = serde_json::to_string(&self.runner.resources).unwrap();
        let (stack, resources) = (serde_json::from_str(&stack).unwrap(), serde_json::from_str(&resources).unwrap());
        self.runner = Runner::stored(stack, resources, &self.body, self.registry.clone());
        if !self.runner.settled() {
            self.apply(Happening::Resume);
        }
    }

    fn holds(&self, token: &str) -> bool {
        self.exists.values().any(|(held, _)| held == token)
    }

    fn carry_out(&mut self, call: &Call, well: bool) -> Happening {
        let resource = |id: &str, properties: &Document| {
            let value = properties.get("Value").cloned().unwrap_or_else(|| "none".into());
            let attributes = [("Arn", format!("arn:{id}").into()), ("Value", value)];
            let attributes = attributes.map(|(name, value)| (name.to_owned(), value)).into();
            Resource { physical_id: id.to_owned(), attributes }
        };
        match call {
            // A try after one that was carried out finds what that made.
            Call::Create { index, creation } if !well && !self.holds(&creation.token) => {
                Happening::CreateFailed(*index, "no".into(), None)
            }
            Call::Create { index, creation } => {
                let name = creation.properties.get("Name").and_then(Document::as_str);
                let id = name.map_or_else(|| creation.physical_name(64), str::to_owned);
                let made = (creation.token.clone(), creation.properties.clone());
                match self.exists.get(&id) {
                    Some((token, _)) if *token != creation.token => {
                        return Happening::CreateFailed(*index, "exists".into(), None);
                    }
                    Some(_) => {}
                    None => {
                        self.exists.insert(id.clone(), made);
                    }
                }
                Happening::Created(*index, resource(&id, &creation.properties))
            }
            Call::Import { .. } => unreachable!("no change set is executed"),
            Call::Update { index, .. } if !well => Happening::UpdateFailed(*index, "no".into()),
            Call::Update { index, physical_id, creation, .. } => {
                let (token, properties) = self.exists.get_mut(physical_id).expect("what is changed exists");
                assert_eq!(*token, creation.token, "a change knows the token of the creation");
                properties.clone_from(&creation.properties);
                Happening::Updated(*index, resource(physical_id, &creation.properties))
            }
            Call::Delete { index, .. } if !well => Happening::DeleteFailed(*index, "no".into()),
            Call::Delete { index, physical_id, creation } => {
                let other = self.exists.get(physical_id).is_some_and(|(token, _)| *token != creation.token);
                assert!(!other, "{physical_id} is another creation's");
                self.exists.remove(physical_id);
                Happening::Deleted(*index)
            }
            Call::Publish { .. } => unreachable!("no template exports"),
        }
    }

    /// Lets the moves happen, and then everything end well.
    fn run(&mut self, moves: &[Move]) {
        let ending = std::iter::repeat_n(Move::Finish { which: 0, well: true }, 200);
        for one in moves.iter().copied().chain(ending) {
            match one {
                Move::Finish { .. } if self.calls.is_empty() => {}
                Move::Finish { which, well } => {
                    let call = self.calls.remove(which % self.calls.len());
                    let happening = self.carry_out(&call, well);
                    self.apply(happening);
                }
                Move::Crash { carried } => self.crash(carried),
                Move::Cancel => {
                    let cancel = Happening::Cancel { token: None };
                    if self.runner.refusal(&cancel).is_none() {
                        self.apply(cancel);
                    }
                }
            }
        }
        assert!(self.runner.settled(), "{:?}", self.runner.stack.phase);
    }

    /// What the stack says that it has: physical id and properties by logical id.
    fn said(&self) -> BTreeMap<String, (String, Document)> {
        let there = |record: &&ResourceRecord| record.listed() && record.state == State::Exists;
        let said = |record: &ResourceRecord| {
            let (id, properties) = (record.physical_id.clone()?, record.properties.clone()?);
            Some((record.logical_id.clone(), (id, properties)))
        };
        self.runner.resources.iter().filter(there).filter_map(said).collect()
    }

    /// What the stack says is so, and there is nothing else.
    fn check(&self) {
        let said = self.said();
        for (logical_id, (physical_id, properties)) in &said {
            let (_, real) = self.exists.get(physical_id).unwrap_or_else(|| panic!("{logical_id} is not there"));
            assert_eq!(real, properties, "{logical_id}");
        }
        let known: BTreeSet<&String> = said.values().map(|(id, _)| id).collect();
        for id in self.exists.keys() {
            assert!(known.contains(id) || self.excused.contains(id), "{id} is orphaned");
        }
    }

    fn update(&mut self, text: &str, on_failure: OnFailure) {
        let plan = plan(text, &self.runner.stack, &self.registry);
        let order = UpdateOrder {
            plan,
            body: text.to_owned(),
            tags: BTreeMap::new(),
            capabilities: Vec::new(),
            on_failure,
            deployment: Deployment::default(),
            retain_except_on_create: false,
            token: None,
            principal: self.runner.stack.principal.clone(),
            role_arn: None,
            executed: None,
            policy: None,
            policy_during_update: None,
            base: self.runner.stack.operation,
        };
        let happening = Happening::Update(Box::new(order));
        assert_eq!(self.runner.refusal(&happening), None);
        self.apply(happening);
    }

    /// Brings the stack out of what a failed update left; every call now ends well.
    fn recover(&mut self, forward: &str) {
        loop {
            match self.runner.stack.status {
                StackStatus::UpdateFailed if forward.len().is_multiple_of(2) => {
                    self.update(forward, OnFailure::Rollback);
                }
                StackStatus::UpdateFailed => {
                    self.apply(Happening::RollBack { token: None, retain_except_on_create: false });
                }
                StackStatus::UpdateRollbackFailed => {
                    self.apply(Happening::Continue { skip: BTreeSet::new(), token: None });
                }
                _ => return,
            }
            self.run(&[]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_exists_is_what_the_stack_says(
        first in templates(),
        others in prop::collection::vec((templates(), moves(), any::<bool>()), 1..4),
        last in moves(),
    ) {
        let mut life = Life::begin(&first);
        life.run(&[]);
        prop_assert_eq!(life.runner.stack.status, StackStatus::CreateComplete);
        life.check();
        for (text, moves, stays) in &others {
            let before = life.said();
            life.update(text, if *stays { OnFailure::DoNothing } else { OnFailure::Rollback });
            life.run(moves);
            let failed_forward = life.runner.stack.status == StackStatus::UpdateFailed;
            life.recover(text);
            life.check();
            match life.runner.stack.status {
                StackStatus::UpdateRollbackComplete => {
                    prop_assert_eq!(life.said(), before, "a rollback leads back to what was");
                    prop_assert!(life.former.is_none());
                }
                StackStatus::UpdateComplete => prop_assert_eq!(&life.body, text),
                other => prop_assert!(false, "{} after {}", other, failed_forward),
            }
        }
        life.apply(Happening::Delete { keep: BTreeSet::new(), token: None });
        life.run(&last);
        while life.runner.stack.status == StackStatus::DeleteFailed {
            life.excused.clear();
            life.apply(Happening::Delete { keep: BTreeSet::new(), token: None });
            life.run(&[]);
        }
        prop_assert_eq!(life.runner.stack.status, StackStatus::DeleteComplete);
    }

    #[test]
    fn a_creation_that_is_killed_anywhere_ends_and_orphans_nothing(first in templates(), moves in moves()) {
        let mut life = Life::begin(&first);
        life.run(&moves);
        match life.runner.stack.status {
            StackStatus::CreateComplete | StackStatus::RollbackComplete | StackStatus::RollbackFailed => life.check(),
            other => prop_assert!(false, "{}", other),
        }
    }
}
