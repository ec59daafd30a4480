//! `depends_on`: the tenants that must have ended well before another one is started.
//!
//! It finds mistakes and decides no order: that is the run's. All work is linear in the file, and none of it recurses,
//! so that a chain of all tenants of a large fleet does no harm.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::model::text::suggestion;

use crate::inputs::Diagnostics;

/// One entry of a `depends_on`.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// The tenant that waits.
    pub(crate) of: String,
    /// The tenant that it waits for.
    pub(crate) on: String,
    /// The place of the entry.
    pub(crate) at: Range<usize>,
}

/// A cycle of more tenants than this is shown without its middle.
const SHOWN: usize = 24;

/// No more unknown ids than this get a suggestion: each is compared with all ids of the file.
const SUGGESTED: usize = 10;

/// The entries as edges between the tenants, which are numbered in order of appearance.
struct Graph<'d> {
    ids: Vec<&'d str>,
    /// For each tenant, those it waits for, and the entry of each.
    edges: Vec<Vec<(usize, usize)>>,
}

/// Records entries that name an unknown tenant, the tenant itself, or close a cycle. `known` has every id of the file.
pub(crate) fn check(dependencies: &[Dependency], known: &HashSet<&str>, drafts: &mut Diagnostics) {
    let mut unknown = 0;
    for Dependency { of, on, at } in dependencies {
        if of == on {
            let draft = drafts.at(at.clone(), format!("tenant `{of}` depends on itself"));
            draft.help("take it out of `depends_on`");
        } else if !known.contains(on.as_str()) {
            unknown += 1;
            let draft =
                drafts.at(at.clone(), format!("`depends_on` names the tenant `{on}`, which is not in the file"));
            let near = (unknown <= SUGGESTED).then(|| suggestion(on, known.iter().copied())).flatten();
            match near {
                Some(near) => draft.help(format!("did you mean `{near}`?")),
                None => draft.help("name the id of a tenant of this file; patterns have no meaning here"),
            };
        }
    }
    for (closing, circle) in Graph::of(dependencies).circles() {
        let draft = drafts.at(dependencies[closing].at.clone(), format!("tenants wait for each other: {circle}"));
        draft.help("take one of them out of a `depends_on`");
    }
}

/// Records entries that name a tenant of a later wave. `wave` returns a tenant's wave by its place and name.
pub(crate) fn check_waves<'w>(
    dependencies: &[Dependency],
    wave: impl Fn(&str) -> Option<(usize, &'w str)>,
    drafts: &mut Diagnostics,
) {
    for Dependency { of, on, at } in dependencies {
        let (Some(own), Some(other)) = (wave(of), wave(on)) else { continue };
        if other.0 > own.0 {
            let message = format!("`{of}` of wave {} depends on `{on}`, whose wave {} comes later", own.1, other.1);
            let help = format!("put `{on}` in wave {} or an earlier one, or `{of}` in a later one", own.1);
            drafts.at(at.clone(), message).help(help);
        }
    }
}

impl<'d> Graph<'d> {
    fn of(dependencies: &'d [Dependency]) -> Self {
        let mut graph = Graph { ids: Vec::new(), edges: Vec::new() };
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (entry, Dependency { of, on, .. }) in dependencies.iter().enumerate().filter(|(_, d)| d.of != d.on) {
            let [of, on] = [of, on].map(|id| {
                *places.entry(id).or_insert_with(|| {
                    graph.ids.push(id);
                    graph.edges.push(Vec::new());
                    graph.ids.len() - 1
                })
            });
            graph.edges[of].push((on, entry));
        }
        graph
    }

    /// Each entry that closes a cycle, with the cycle in words. Found by depth-first search with an explicit stack: an
    /// entry that leads back onto the current path closes the part of the path after its target.
    fn circles(&self) -> Vec<(usize, String)> {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            Never,
            /// At this place of the path.
            OnPath(usize),
            Done,
        }
        let mut seen = vec![Seen::Never; self.ids.len()];
        let mut found = Vec::new();
        for start in 0..self.ids.len() {
            if seen[start] != Seen::Never {
                continue;
            }
            // The current path, each tenant with its next entry to follow.
            let mut path = vec![(start, 0)];
            seen[start] = Seen::OnPath(0);
            while let Some((here, next)) = path.last_mut() {
                let Some(&(on, entry)) = self.edges[*here].get(*next) else {
                    seen[*here] = Seen::Done;
                    path.pop();
                    continue;
                };
                *next += 1;
                match seen[on] {
                    Seen::Never => {
                        seen[on] = Seen::OnPath(path.len());
                        path.push((on, 0));
                    }
                    Seen::OnPath(from) => found.push((entry, self.words(&path[from..]))),
                    Seen::Done => {}
                }
            }
        }
        found
    }

    /// `a -> b -> c -> a`.
    fn words(&self, circle: &[(usize, usize)]) -> String {
        let id = |(tenant, _): &(usize, usize)| self.ids[*tenant].to_owned();
        let mut parts: Vec<String> = circle.iter().take(SHOWN / 2).map(id).collect();
        if circle.len() > SHOWN {
            parts.push(format!("... {} more ...", circle.len() - SHOWN));
        }
        let tail = circle.len().min(SHOWN).saturating_sub(SHOWN / 2);
        parts.extend(circle[circle.len() - tail..].iter().map(id));
        parts.extend(circle.first().map(id));
        parts.join(" -> ")
    }
}
