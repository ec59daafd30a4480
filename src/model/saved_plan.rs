//! A plan as a file: tenants with their databases and versions, waves, limits and scripts under one digest.
//!
//! Plain data and a pure comparison. It holds no address and no secret: a database is the hash of its place. The same fleet,
//! program and flags make the same digest, on any machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::model::schema::Direction;
use crate::model::tenant::{Engine, TenantId};
use crate::model::text::hex;

/// The form of the file that this program writes and reads.
const FORM: u32 = 1;

/// The words that tell of a late joiner.
pub(crate) const LATE: &str = "is in the fleet now, and not in the plan";

/// A plan with its digest, as it is in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    /// SHA-256 of `plan` as compact JSON, in lower-case hex.
    pub(crate) digest: String,
    pub(crate) plan: SavedPlan,
}

/// A plan that is to be approved and run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPlan {
    pub(crate) form: u32,
    /// The name of the fleet, where its file says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fleet: Option<String>,
    pub(crate) direction: Direction,
    /// The goal in words.
    pub(crate) goal: String,
    /// The migration to go to, by its whole name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// The number of steps to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) steps: Option<u32>,
    pub(crate) out_of_order: bool,
    pub(crate) native: bool,
    /// The run that is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undoes: Option<Uuid>,
    /// The flags that select its tenants.
    pub(crate) selection: Vec<String>,
    /// The settings and limits that it runs with, by their names.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) waves: Vec<SavedWave>,
    pub(crate) scripts: Vec<SavedScript>,
}

/// A wave of a saved plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedWave {
    pub(crate) name: String,
    /// Its limits, by their names.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) tenants: Vec<SavedTenant>,
}

/// A tenant of a saved plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedTenant {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    /// SHA-256 of the place of its database, in lower-case hex.
    pub(crate) database: String,
    /// Its version when the plan was made; `None`: nothing was applied.
    pub(crate) version: Option<String>,
    /// The migrations that are to be run on it, in order.
    pub(crate) run: Vec<String>,
    /// Its own settings, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) settings: BTreeMap<String, String>,
}

/// A script of a saved plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SavedScript {
    pub(crate) migration: String,
    pub(crate) engine: Engine,
    pub(crate) direction: Direction,
    /// Whether it is the online form.
    pub(crate) online: bool,
    /// SHA-256 of its text and of how it is run, in lower-case hex.
    pub(crate) sha256: String,
}

/// The handling of tenants that came into the fleet after the plan was made, or while a run went on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum LateJoiners {
    /// The plan does not hold any more.
    #[default]
    Refuse,
    /// They are named and left out.
    Report,
    /// They are migrated with the others.
    Migrate,
}

/// A file that is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlan {
    #[error("it is no plan of `plan --save`: {0}")]
    Unreadable(String),
    #[error("it was made by another version of the program (form {0}, and this one reads form {FORM}); save it again")]
    Form(u32),
    #[error("it was changed after it had been saved: its digest is {digest}, and its content makes {content}")]
    Changed { digest: String, content: String },
}

impl SavedPlan {
    pub(crate) const FORM: u32 = FORM;

    /// The plan with its digest.
    pub(crate) fn seal(self) -> Sealed {
        Sealed { digest: self.digest(), plan: self }
    }

    fn digest(&self) -> String {
        let text = serde_json::to_string(self).expect("it has string keys only and serialises without I/O");
        hex(&Sha256::digest(text))
    }

    fn tenants(&self) -> impl Iterator<Item = (&SavedWave, &SavedTenant)> {
        self.waves.iter().flat_map(|wave| wave.tenants.iter().map(move |tenant| (wave, tenant)))
    }

    /// The tenants of `today` that this plan does not have.
    pub(crate) fn late_joiners(&self, today: &SavedPlan) -> Vec<TenantId> {
        let known: BTreeMap<&TenantId, ()> = self.tenants().map(|(_, tenant)| (&tenant.tenant, ())).collect();
        let new = today.tenants().filter(|(_, tenant)| !known.contains_key(&tenant.tenant));
        new.map(|(_, tenant)| tenant.tenant.clone()).collect()
    }

    /// The differences between this plan and the one that the same command makes today, a sentence each; none if it holds.
    /// Late joiners are differences only where they are to be refused.
    pub(crate) fn differences(&self, today: &SavedPlan, late: LateJoiners) -> Vec<String> {
        let mut found = Vec::new();
        self.compare_scripts(today, late, &mut found);
        let explained = !found.is_empty();
        found.extend(self.other_fleet(today));
        self.compare_tenants(today, explained, &mut found);
        if late == LateJoiners::Refuse {
            let new = self.late_joiners(today);
            found.extend(new.iter().map(|id| format!("tenant {id} {LATE}")));
        }
        compare_settings("", &self.settings, &today.settings, &mut found);
        for wave in &self.waves {
            // A wave without tenants today has told them already.
            if let Some(now) = today.waves.iter().find(|now| now.name == wave.name) {
                compare_settings(&format!(" of wave {}", wave.name), &wave.settings, &now.settings, &mut found);
            }
        }
        let order = |plan: &SavedPlan| -> Vec<String> {
            let names = plan.waves.iter().map(|wave| wave.name.clone());
            names
                .filter(|name| [self, today].iter().all(|plan| plan.waves.iter().any(|wave| wave.name == *name)))
                .collect()
        };
        if order(self) != order(today) {
            found.push(format!(
                "the waves come in the order {}, planned {}",
                order(today).join(", "),
                order(self).join(", ")
            ));
        }
        if (self.direction, &self.to, self.steps) != (today.direction, &today.to, today.steps) {
            found.push(format!("the goal is {}, planned {}", today.goal, self.goal));
        }
        found
    }

    /// That the tenant file is of another fleet now.
    fn other_fleet(&self, today: &SavedPlan) -> Option<String> {
        let words = |of: &SavedPlan| match &of.fleet {
            Some(name) => format!("the fleet {name}"),
            None => "a fleet without a name".to_owned(),
        };
        (self.fleet != today.fleet).then(|| format!("this is {}, and the plan is for {}", words(today), words(self)))
    }

    /// The settings of what is left of it today, where they are not those of the plan. Fewer scripts and waves have fewer.
    pub(crate) fn other_settings(&self, today: &SavedPlan) -> Vec<String> {
        let of_plan = today.settings.keys().filter_map(|name| differs(name, "", &self.settings, &today.settings));
        let of_waves = today.waves.iter().flat_map(|now| {
            let of = format!(" of wave {}", now.name);
            let planned = self.waves.iter().find(|wave| wave.name == now.name);
            let differ = |name: &String| differs(name, &of, &planned?.settings, &now.settings);
            now.settings.keys().filter_map(differ).collect::<Vec<_>>()
        });
        self.other_fleet(today).into_iter().chain(of_plan).chain(of_waves).collect()
    }

    fn compare_scripts(&self, today: &SavedPlan, late: LateJoiners, found: &mut Vec<String>) {
        let same = |a: &SavedScript, b: &SavedScript| {
            (&a.migration, a.engine, a.direction, a.online) == (&b.migration, b.engine, b.direction, b.online)
        };
        for script in &self.scripts {
            let SavedScript { migration, engine, direction, .. } = script;
            // MySQL and MariaDB may have a part each.
            let alike: Vec<&SavedScript> = today.scripts.iter().filter(|now| same(now, script)).collect();
            let other_form = |now: &&SavedScript| {
                now.online != script.online && same(&SavedScript { online: script.online, ..(*now).clone() }, script)
            };
            let edited = alike.iter().find(|now| !self.scripts.contains(now));
            match edited.or(alike.first()) {
                Some(_) if alike.iter().any(|now| now.sha256 == script.sha256) => {}
                None if today.scripts.iter().any(|now| other_form(&now)) => {
                    let form = if script.online { "plain" } else { "online" };
                    found.push(format!(
                        "the script of {migration} ({engine}, {direction}) is sent in its {form} form now"
                    ));
                }
                Some(now) => found.push(format!(
                    "the script of {migration} ({engine}, {direction}) was edited: its hash is {}, planned {}",
                    short(&now.sha256),
                    short(&script.sha256)
                )),
                // Tenants that have moved or gone need fewer scripts, and are told themselves.
                None => {}
            }
        }
        // A tenant that is further back needs more of them, and is told itself; one that nobody planned was added.
        let planned = |now: &SavedScript| {
            let is_run = |(_, tenant): (&SavedWave, &SavedTenant)| {
                tenant.engine == now.engine && tenant.run.contains(&now.migration)
            };
            self.scripts.iter().any(|script| same(now, script)) || self.tenants().any(is_run)
        };
        let new = today.scripts.iter().filter(|now| !planned(now));
        let needs = |now: &SavedScript| {
            let unmoved = |(_, of): (&SavedWave, &SavedTenant)| {
                let before = self.tenants().find(|(_, before)| before.tenant == of.tenant);
                let same_version = before.is_some_and(|(_, before)| before.version == of.version);
                let joined = before.is_none() && late == LateJoiners::Refuse;
                of.engine == now.engine && of.run.contains(&now.migration) && (same_version && !joined)
            };
            today.tenants().any(unmoved)
        };
        for SavedScript { migration, engine, .. } in new.filter(|now| needs(now)) {
            found.push(format!("the script of {migration} ({engine}) is new: it is not in the plan"));
        }
    }

    /// `explained`: scripts that differ were told, and with them the steps of tenants.
    fn compare_tenants(&self, today: &SavedPlan, explained: bool, found: &mut Vec<String>) {
        let now: BTreeMap<&TenantId, (&SavedWave, &SavedTenant)> =
            today.tenants().map(|(wave, tenant)| (&tenant.tenant, (wave, tenant))).collect();
        // A plan that was carried out has moved all of them, in the same way.
        let mut all_moved: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (wave, tenant) in self.tenants() {
            let id = &tenant.tenant;
            let Some((now_wave, now)) = now.get(id) else {
                found.push(format!("tenant {id} is in the plan, and no more among the tenants that it takes"));
                continue;
            };
            if (now.engine, &now.database) != (tenant.engine, &tenant.database) {
                found.push(format!("tenant {id} is another database than the planned one"));
            } else if now.version != tenant.version {
                let moved = (named(now.version.as_ref()).to_owned(), named(tenant.version.as_ref()).to_owned());
                all_moved.entry(moved).or_default().push(id.to_string());
            } else if now.run != tenant.run && !explained {
                let (now, planned) = (now.run.join(", "), tenant.run.join(", "));
                found.push(format!("tenant {id} would get {}, planned {}", or_nothing(&now), or_nothing(&planned)));
            }
            if now_wave.name != wave.name {
                found.push(format!("tenant {id} is in wave {}, planned in wave {}", now_wave.name, wave.name));
            }
            compare_settings(&format!(" of tenant {id}"), &tenant.settings, &now.settings, found);
        }
        for ((now, planned), ids) in all_moved {
            found.push(match ids.as_slice() {
                [id] => format!("tenant {id} is at {now}, planned from {planned}: it has moved since"),
                [first, second, ..] => format!(
                    "{} tenants are at {now}, planned from {planned}: they have moved since ({first}, {second}{})",
                    ids.len(),
                    if ids.len() > 2 { ", ..." } else { "" }
                ),
                [] => continue,
            });
        }
    }
}

impl Sealed {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`NoPlan`]: another file, a later form, or a text that does not fit its digest.
    pub(crate) fn read(text: &str) -> Result<Self, NoPlan> {
        let unreadable = |error: serde_json::Error| NoPlan::Unreadable(error.to_string());
        let value: serde_json::Value = serde_json::from_str(text).map_err(unreadable)?;
        if let Some(form) = value["plan"]["form"].as_u64().filter(|form| *form != u64::from(FORM)) {
            return Err(NoPlan::Form(u32::try_from(form).unwrap_or(u32::MAX)));
        }
        let sealed: Sealed = serde_json::from_value(value).map_err(unreadable)?;
        let content = sealed.plan.digest();
        if sealed.digest != content {
            return Err(NoPlan::Changed { digest: sealed.digest, content });
        }
        Ok(sealed)
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("it has string keys only and serialises without I/O")
    }
}

/// The hash of the place of a database, which may name hosts and folders.
pub(crate) fn hash(place: &str) -> String {
    hex(&Sha256::digest(place))
}

/// The beginning of a hash, as people compare it.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn compare_settings(
    of: &str,
    planned: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    found: &mut Vec<String>,
) {
    let mut names: Vec<&String> = planned.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    found.extend(names.into_iter().filter_map(|name| differs(name, of, planned, now)));
}

/// The difference between a setting of a plan and the one of today, in words.
fn differs(name: &str, of: &str, planned: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Option<String> {
    let [planned, now] = [planned, now].map(|all| all.get(name));
    let text = |of: Option<&String>| of.map_or_else(|| "not set".to_owned(), Clone::clone);
    (planned != now).then(|| format!("{name}{of} is {}, planned {}", text(now), text(planned)))
}

fn named(version: Option<&String>) -> &str {
    version.map_or("no version", |version| version)
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> SavedPlan {
        let tenant = |id: &str| SavedTenant {
            tenant: TenantId::from(id),
            engine: Engine::Sqlite,
            database: hash(id),
            version: Some("m1".into()),
            run: vec!["m2".into()],
            settings: BTreeMap::new(),
        };
        let limits = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        SavedPlan {
            form: FORM,
            fleet: Some("shop".into()),
            direction: Direction::Up,
            goal: "head".into(),
            to: None,
            steps: None,
            out_of_order: false,
            native: false,
            undoes: None,
            selection: Vec::new(),
            settings: limits("lock_timeout", "3s"),
            waves: vec![
                SavedWave { name: "canary".into(), settings: limits("max_failures", "0"), tenants: vec![tenant("a")] },
                SavedWave { name: "rest".into(), settings: BTreeMap::new(), tenants: vec![tenant("b"), tenant("c")] },
            ],
            scripts: vec![SavedScript {
                migration: "m2".into(),
                engine: Engine::Sqlite,
                direction: Direction::Up,
                online: false,
                sha256: "ab".into(),
            }],
        }
    }

    #[track_caller]
    fn is_told(change: impl FnOnce(&mut SavedPlan), words: &str) {
        let mut today = plan();
        change(&mut today);
        assert_eq!(plan().differences(&today, LateJoiners::Refuse), [words]);
        assert_ne!(plan().seal().digest, today.seal().digest, "{words}");
    }

    #[test]
    fn each_change_has_its_own_explanation() {
        assert!(plan().differences(&plan(), LateJoiners::Refuse).is_empty());
        is_told(
            |plan| plan.fleet = Some("staging".into()),
            "this is the fleet staging, and the plan is for the fleet shop",
        );
        is_told(|plan| plan.fleet = None, "this is a fleet without a name, and the plan is for the fleet shop");
        is_told(
            |plan| plan.waves[0].tenants[0].version = Some("m0".into()),
            "tenant a is at m0, planned from m1: it has moved since",
        );
        is_told(
            |plan| plan.scripts[0].sha256 = "cd".into(),
            "the script of m2 (sqlite, up) was edited: its hash is cd, planned ab",
        );
        is_told(|plan| _ = plan.settings.insert("lock_timeout".into(), "9s".into()), "lock_timeout is 9s, planned 3s");
        is_told(
            |plan| _ = plan.waves[0].settings.remove("max_failures"),
            "max_failures of wave canary is not set, planned 0",
        );
        is_told(
            |plan| _ = plan.waves[1].tenants.pop(),
            "tenant c is in the plan, and no more among the tenants that it takes",
        );
        is_told(
            |plan| plan.waves[1].tenants[0].database = hash("x"),
            "tenant b is another database than the planned one",
        );
        is_told(
            |plan| {
                let moved = plan.waves[1].tenants.remove(0);
                plan.waves[0].tenants.push(moved);
            },
            "tenant b is in wave canary, planned in wave rest",
        );
        is_told(
            |plan| _ = plan.waves[1].tenants[1].settings.insert("tag plan".into(), "pro".into()),
            "tag plan of tenant c is pro, planned not set",
        );
        let mut today = plan();
        let new = SavedTenant { tenant: TenantId::from("d"), ..today.waves[1].tenants[0].clone() };
        today.waves[1].tenants.push(new);
        let told = plan().differences(&today, LateJoiners::Refuse);
        assert_eq!(told, ["tenant d is in the fleet now, and not in the plan"]);
        for late in [LateJoiners::Report, LateJoiners::Migrate] {
            assert!(plan().differences(&today, late).is_empty());
        }
        assert_eq!(plan().late_joiners(&today), [TenantId::from("d")]);
    }

    #[test]
    fn a_script_in_its_other_form_is_told_and_two_parts_of_one_are_both_planned() {
        is_told(|plan| plan.scripts[0].online = true, "the script of m2 (sqlite, up) is sent in its online form now");
        let mut both = plan();
        both.scripts.push(SavedScript { sha256: "ef".into(), ..both.scripts[0].clone() });
        assert!(both.differences(&both, LateJoiners::Refuse).is_empty());
        let mut edited = both.clone();
        edited.scripts[1].sha256 = "00".into();
        let told = both.differences(&edited, LateJoiners::Refuse);
        assert_eq!(told, ["the script of m2 (sqlite, up) was edited: its hash is 00, planned ef"]);
    }

    #[test]
    fn a_script_more_is_told_once_and_not_for_each_tenant() {
        let mut today = plan();
        today.waves.iter_mut().flat_map(|wave| &mut wave.tenants).for_each(|tenant| tenant.run.push("m3".into()));
        today.scripts.push(SavedScript { migration: "m3".into(), ..today.scripts[0].clone() });
        let told = plan().differences(&today, LateJoiners::Refuse);
        assert_eq!(told, ["the script of m3 (sqlite) is new: it is not in the plan"]);
    }

    #[test]
    fn a_file_that_was_changed_or_is_another_is_no_plan() {
        let sealed = plan().seal();
        assert_eq!(Sealed::read(&sealed.text()), Ok(sealed.clone()));
        let changed = sealed.text().replace("\"3s\"", "\"30s\"");
        assert!(matches!(Sealed::read(&changed), Err(NoPlan::Changed { .. })));
        let later = sealed.text().replace("\"form\": 1", "\"form\": 2");
        assert_eq!(Sealed::read(&later), Err(NoPlan::Form(2)));
        for other in ["{}", "[]", "x", "{\"waves\": []}"] {
            assert!(matches!(Sealed::read(other), Err(NoPlan::Unreadable(_))), "{other}");
        }
    }
}
