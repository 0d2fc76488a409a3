//! A plan made without what is quiet is the plan made of everything.

use std::collections::BTreeSet;

use super::*;
use crate::model::SourceName;
use crate::model::tree::Sifted;
use crate::plan::roster::{self, Roster};

/// What the plan is made of once everything quiet is left out; `None` where nothing may be.
pub(super) fn sifted(inputs: &Inputs<'_>) -> Option<(RemoteTree, Recorded, LocalState)> {
    if roster::wants_pages(inputs.rules) {
        return None;
    }
    let listed: BTreeSet<SourceName> = inputs.tree.sources.keys().cloned().collect();
    let mut enrolment = Roster::of(inputs.recorded.places.len(), inputs.rules, &listed);
    for (key, row) in &inputs.recorded.places {
        enrolment.add(key, row);
    }
    let mut roster = enrolment.finish()?;
    let mut tree = inputs.tree.clone();
    for (name, source) in &mut tree.sources {
        let nodes = std::mem::take(&mut source.nodes);
        for node in nodes.values() {
            let path = glob_path(name, node, &nodes);
            let forced = inputs.options.force.as_ref().is_some_and(|globs| globs.matches(&path));
            match roster.sift(name, &path, node, inputs.rules, forced) {
                Sifted::Keep => _ = source.nodes.insert(node.token.clone(), node.clone()),
                Sifted::Quiet => {}
                Sifted::Twice => panic!("{} is listed once", node.token),
            }
        }
    }
    let mut local = LocalState { entries: BTreeMap::new(), ..inputs.local.clone() };
    for (at, entry) in &inputs.local.entries {
        if roster.scanned(at, entry) {
            local.entries.insert(at.clone(), entry.clone());
        }
    }
    let closed = roster.close(&mut tree);
    let wanted = |key: &PlaceKey| closed.wants(key.source.as_str(), key.token.as_str());
    let mut recorded = inputs.recorded.clone();
    recorded.places.retain(|key, _| wanted(key));
    roster.bring_back(&closed, &recorded, &mut tree, &mut local);
    Some((tree, recorded, local))
}

fn glob_path(source: &SourceName, node: &Node, nodes: &BTreeMap<PlaceToken, Node>) -> String {
    let target = node.target.as_ref().map(|target| &target.object);
    let name =
        crate::layout::glob_name(&node.title, crate::layout::naming_type(&node.object, target));
    match node.parent.as_ref().and_then(|parent| nodes.get(parent)) {
        None => format!("{source}/{name}"),
        Some(parent) => format!("{}/{name}", glob_path(source, parent, nodes)),
    }
}

/// The whole plan, after it was compared with the one made without what is quiet.
pub(super) fn compared(inputs: &Inputs<'_>, questions: &Questions) -> Plan {
    let mut whole = plan(inputs);
    let Some((tree, recorded, local)) = sifted(inputs) else { return whole };
    let less = Inputs { tree: &tree, recorded: &recorded, local: &local, ..*inputs };
    assert_eq!(*questions, super::questions(&less));
    let mut small = plan(&less);
    let quiet: u64 = tree.sources.values().map(|source| source.quiet.places).sum();
    assert_eq!(whole.unchanged.len() as u64, small.unchanged.len() as u64 + quiet);
    let unchanged = std::mem::take(&mut whole.unchanged);
    small.unchanged.clear();
    // Places that come back for their files are known as they are recorded.
    let mut same = whole.clone();
    for fetch in same.fetches.iter_mut().chain(&mut small.fetches) {
        fetch.owner = None;
        if let Some(edited) = &mut fetch.edited {
            edited.seen_secs = 0;
        }
    }
    assert_eq!(same, small);
    whole.unchanged = unchanged;
    whole
}

/// An unchanged copy leaves nothing to plan; one edit brings back what it is in, and nothing
/// beside it.
#[test]
fn what_did_not_change_is_not_planned() {
    let mut world = World::new();
    for folder in 0..5 {
        let token = format!("fld{folder}");
        world.add(&token, None, &format!("Folder {folder}"), "folder");
        world.node(&token).edited = None;
        for n in 0..4 {
            world.add(&format!("doc{folder}{n}"), Some(&token), &format!("Page {n}"), "slides");
        }
    }
    world.run();
    assert_eq!(world.run(), [""; 0]);
    let rows = |world: &World| {
        let answers = Answers::default();
        let inputs = world.inputs(&answers);
        let (tree, recorded, _) = sifted(&inputs).unwrap();
        let source = &tree.sources[&"drive".into()];
        (recorded.places.len(), source.nodes.len(), source.quiet.places)
    };
    assert_eq!(rows(&world), (0, 0, 25));

    world.edit("doc23");
    assert_eq!(rows(&world), (2, 2, 23), "the page, and the folder it is in");
    world.run();
    world.node("doc11").title = "Another".to_owned();
    assert_eq!(rows(&world), (5, 5, 20), "with its neighbours, since a name comes free");
}
