//! What a line's cells mean: a job, what it has in common with others, and what it waits for.

use super::cells::{Cells, Member};
use super::workload::{Class, Row, Wanted, Workload, job_id};
use super::{Definition, Distribution, Setup, distribution};
use crate::core::{Dependency, Needs, Retry};
use barge_core::Timestamp;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

/// MiB and vCPUs of a job that says nothing of them: Fargate's 1 vCPU with its least memory.
const DEFAULT_NEEDS: Needs = Needs { vcpu_milli: 1000, memory_mib: 2048 };
/// Children at most (Batch User Guide, "Array jobs").
const MOST_CHILDREN: u32 = 10_000;
/// Dependencies at most (API Reference, "SubmitJob", `dependsOn`).
const MOST_DEPENDENCIES: usize = 20;

/// Something wrong in a line.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Bytes before it; `None` where it is the line as a whole.
    pub(super) offset: Option<usize>,
    pub(super) message: String,
}

/// Reads lines one after the other.
pub(super) struct Reader<'a> {
    setup: &'a Setup,
    workload: Workload,
    classes: HashMap<String, u32>,
    /// The latest job of each name.
    names: HashMap<String, u32>,
    key: String,
}

/// The members that a class follows from.
const CLASS: [Member; 11] = [
    Member::Queue,
    Member::Definition,
    Member::Vcpus,
    Member::Memory,
    Member::Array,
    Member::Nodes,
    Member::Attempts,
    Member::Fail,
    Member::Share,
    Member::Priority,
    Member::Timeout,
];

impl<'a> Reader<'a> {
    pub(super) fn new(setup: &'a Setup) -> Self {
        let (workload, classes, names) = (Workload::default(), HashMap::new(), HashMap::new());
        Self { setup, workload, classes, names, key: String::new() }
    }

    pub(super) fn take(&mut self, cells: &Cells<'_>) -> Result<(), Wrong> {
        let Ok(number) = u32::try_from(self.workload.rows.len()) else {
            return Err(Wrong { offset: None, message: "there are too many jobs".to_owned() });
        };
        let class = self.class(cells)?;
        let at: f64 = read(cells, Member::At)?.unwrap_or(0.0);
        if !at.is_finite() || at < 0.0 {
            return wrong(cells, Member::At, "seconds from the beginning are 0 or more");
        }
        let Some(lasts) = read::<Distribution>(cells, Member::Duration)? else {
            return wrong(cells, Member::Duration, "duration is missing");
        };
        let at = Timestamp::from_millis(0) + distribution::millis(at);
        let dependencies = self.depend(cells, class, at)?;
        self.workload.rows.push(Row { at, class, dependencies, wanted: Wanted::Nothing, lasts, measured: None });
        if let Some(name) = cells.get(Member::Name) {
            self.names.insert(name.text.clone().into_owned(), number);
        }
        Ok(())
    }

    /// All jobs by submission; `None` where there are none.
    pub(super) fn finish(self) -> Option<Workload> {
        let mut workload = self.workload;
        if workload.rows.is_empty() {
            return None;
        }
        if !workload.rows.is_sorted_by_key(|row| row.at) {
            sort(&mut workload);
        }
        Some(workload)
    }

    fn class(&mut self, cells: &Cells<'_>) -> Result<u32, Wrong> {
        self.key.clear();
        for member in CLASS {
            let text = cells.get(member).map_or("", |cell| cell.text.as_ref());
            // Lengths keep the texts of two members apart.
            let _ = write!(self.key, "{}:{text}", text.len());
        }
        if let Some(found) = self.classes.get(&self.key) {
            return Ok(*found);
        }
        let class = read_class(self.setup, cells)?;
        let index = u32::try_from(self.workload.classes.len()).unwrap_or(u32::MAX);
        self.workload.classes.push(class);
        self.classes.insert(self.key.clone(), index);
        Ok(index)
    }

    /// Notes what the job depends on.
    fn depend(&mut self, cells: &Cells<'_>, class: u32, at: Timestamp) -> Result<(u32, u16), Wrong> {
        let first = u32::try_from(self.workload.dependencies.len()).unwrap_or(u32::MAX);
        let Some(cell) = cells.get(Member::DependsOn) else { return Ok((first, 0)) };
        let entries = cell.text.split([' ', ';']).filter(|entry| !entry.is_empty());
        let mut count = 0;
        for entry in entries {
            let dependency =
                self.dependency(entry, class, at).map_err(|message| said(cells, Member::DependsOn, message))?;
            self.workload.dependencies.push(dependency);
            count += 1;
        }
        if count > MOST_DEPENDENCIES {
            return wrong(cells, Member::DependsOn, "a job depends on 20 others at most");
        }
        Ok((first, u16::try_from(count).unwrap_or(u16::MAX)))
    }

    fn dependency(&mut self, entry: &str, class: u32, at: Timestamp) -> Result<Dependency, String> {
        let array = self.workload.classes[class as usize].array;
        if entry == "SEQUENTIAL" {
            return if array.is_some() {
                Ok(Dependency::Sequential)
            } else {
                Err("only an array is SEQUENTIAL".to_owned())
            };
        }
        let counterpart = entry.strip_prefix("N_TO_N(").and_then(|rest| rest.strip_suffix(')'));
        let name = counterpart.unwrap_or(entry);
        let Some(row) = self.names.get(name).copied() else { return Err(format!("no job `{name}` stands above")) };
        let on = &self.workload.rows[row as usize];
        if on.at > at {
            return Err(format!("job `{name}` is submitted later"));
        }
        let size = self.workload.class(on).array;
        if counterpart.is_some() && (array.is_none() || size != array) {
            return Err(format!("`{name}` is no array of the same size"));
        }
        let on = &mut self.workload.rows[row as usize];
        let wanted = if counterpart.is_some() { Wanted::Children } else { Wanted::Success };
        on.wanted = on.wanted.max(wanted);
        let id = job_id(row);
        Ok(if counterpart.is_some() { Dependency::NToN(id) } else { Dependency::Whole(id) })
    }
}

/// Puts rows in order of submission; at one moment, in that of the file. Jobs are named by their place, so dependencies follow.
fn sort(workload: &mut Workload) {
    let mut order: Vec<u32> = (0u32..).take(workload.rows.len()).collect();
    order.sort_by_key(|row| workload.rows[*row as usize].at);
    let mut place = vec![0u32; order.len()];
    for (new, old) in (0u32..).zip(&order) {
        place[*old as usize] = new;
    }
    workload.rows = order.iter().map(|row| workload.rows[*row as usize]).collect();
    let moved: HashMap<_, _> = (0u32..).zip(&place).map(|(old, new)| (job_id(old), job_id(*new))).collect();
    for dependency in &mut workload.dependencies {
        match dependency {
            Dependency::Whole(id) | Dependency::NToN(id) => *id = moved[id],
            Dependency::Sequential => {}
        }
    }
}

fn read_class(setup: &Setup, cells: &Cells<'_>) -> Result<Class, Wrong> {
    let default = Definition::default();
    let definition = match cells.get(Member::Definition) {
        Some(cell) => match setup.definition(&cell.text) {
            Some(found) => found,
            None => return wrong(cells, Member::Definition, format!("there is no definition `{}`", cell.text)),
        },
        None => &default,
    };
    let queue = match (cells.get(Member::Queue), setup.queues.as_slice()) {
        (Some(cell), _) => setup.queue(&cell.text).ok_or_else(|| format!("there is no enabled queue `{}`", cell.text)),
        (None, [_]) => Ok(0),
        (None, _) => Err("queue is missing, and there are several".to_owned()),
    };
    let queue = queue.map_err(|message| said(cells, Member::Queue, message))?;
    let share = cells.get(Member::Share).map(|cell| cell.text.clone().into_owned()).unwrap_or_default();
    match (&setup.queues[queue as usize].fair_share, share.is_empty()) {
        (Some(_), true) => return wrong(cells, Member::Share, "jobs of a fair-share queue have a share"),
        (None, false) => {
            return wrong(cells, Member::Share, "the queue is no fair-share queue: its jobs have no share");
        }
        _ => {}
    }
    let array: Option<u32> = read(cells, Member::Array)?;
    if array.is_some_and(|size| !(2..=MOST_CHILDREN).contains(&size)) {
        return wrong(cells, Member::Array, "an array has 2 to 10000 children");
    }
    let nodes = read(cells, Member::Nodes)?.or(definition.nodes).unwrap_or(1);
    if nodes == 0 || (nodes > 1 && array.is_some()) {
        return wrong(cells, Member::Nodes, "nodes are 1 or more, and of an array 1");
    }
    let attempts = read(cells, Member::Attempts)?.or(definition.attempts).unwrap_or(1);
    if !(1..=10).contains(&attempts) {
        return wrong(cells, Member::Attempts, "attempts are 1 to 10");
    }
    let fails: f64 = read(cells, Member::Fail)?.unwrap_or(0.0);
    if !(0.0..=1.0).contains(&fails) {
        return wrong(cells, Member::Fail, "a probability is 0 to 1");
    }
    let timeout = read(cells, Member::Timeout)?.or(definition.timeout);
    if timeout.is_some_and(|seconds| seconds < 60) {
        return wrong(cells, Member::Timeout, "a timeout is 60 seconds or more");
    }
    Ok(Class {
        queue,
        share,
        priority: read(cells, Member::Priority)?.or(definition.priority).unwrap_or(0),
        needs: vec![read_needs(cells, definition)?; usize::from(nodes)],
        array,
        retry: Retry { attempts, rules: definition.rules() },
        timeout: timeout.map(Duration::from_secs),
        fails,
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked before
fn read_needs(cells: &Cells<'_>, definition: &Definition) -> Result<Needs, Wrong> {
    let vcpus: Option<f64> = read(cells, Member::Vcpus)?.or(definition.vcpus);
    if vcpus.is_some_and(|vcpus| !(0.001..=100_000.0).contains(&vcpus)) {
        return wrong(cells, Member::Vcpus, "vCPUs are above 0");
    }
    let memory_mib = read(cells, Member::Memory)?.or(definition.memory).unwrap_or(DEFAULT_NEEDS.memory_mib);
    if memory_mib == 0 {
        return wrong(cells, Member::Memory, "MiB are above 0");
    }
    let vcpu_milli = vcpus.map_or(DEFAULT_NEEDS.vcpu_milli, |vcpus| (vcpus * 1000.0).round() as u32);
    Ok(Needs { vcpu_milli, memory_mib })
}

fn said(cells: &Cells<'_>, member: Member, message: impl Into<String>) -> Wrong {
    Wrong { offset: cells.get(member).map(|cell| cell.offset), message: message.into() }
}

fn wrong<T>(cells: &Cells<'_>, member: Member, message: impl Into<String>) -> Result<T, Wrong> {
    Err(said(cells, member, message))
}

/// The value of a cell that is there.
fn read<T: Readable>(cells: &Cells<'_>, member: Member) -> Result<Option<T>, Wrong> {
    let Some(cell) = cells.get(member) else { return Ok(None) };
    T::read(&cell.text).map(Some).map_err(|message| said(cells, member, message))
}

trait Readable: Sized {
    fn read(text: &str) -> Result<Self, String>;
}

macro_rules! readable {
    ($($number:ty => $what:literal;)*) => {
        $(impl Readable for $number {
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("`{text}` is not {}", $what))
            }
        })*
    };
}

readable! {
    f64 => "a number";
    i32 => "a whole number";
    u16 => "a whole number that can be";
    u32 => "a whole number that can be";
    u64 => "a whole number that can be";
}

impl Readable for Distribution {
    fn read(text: &str) -> Result<Self, String> {
        Self::from_str(text)
    }
}
