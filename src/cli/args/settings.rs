//! The flags of settings, made from the table of the settings. It knows no setting by name.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::inputs::{Commands, Form, Overrides, SETTINGS, Setting};

/// The flags of all commands that read the tenant file.
pub(in crate::cli) type RunFlags = SettingFlags<0>;

/// The flags that only commands which migrate have.
pub(in crate::cli) type ChangeFlags = SettingFlags<1>;

/// The flags of commands that migrate, plan it, or go on with it.
pub(in crate::cli) type PlanFlags = SettingFlags<2>;

/// The flags of commands that reach no tenant. As everywhere, all are understood; those that mean something are shown.
pub(in crate::cli) type PlaceFlags = SettingFlags<3>;

const GROUPS: [Commands; 4] = [Commands::All, Commands::Changes, Commands::Plans, Commands::All];

/// Puts the flags of settings on a command. Their values are read by [`overrides`], for all commands at once.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct SettingFlags<const GROUP: usize>;

impl<const GROUP: usize> Args for SettingFlags<GROUP> {
    fn augment_args(command: Command) -> Command {
        let commands = GROUPS[GROUP];
        let command = if commands == Commands::All { command.next_help_heading("Run") } else { command };
        command.args(Setting::with_flag(commands).flat_map(|(setting, long)| match setting.form {
            Form::Switch { off } => switch(setting, long, off).into(),
            form => {
                let arg = Arg::new(setting.key).long(long).value_name(form.placeholder()).help(setting.about);
                let arg = arg.hide(GROUP == 3 && !setting.is_place());
                vec![arg.value_parser(move |text: &str| form.parse_flag(text))]
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const GROUP: usize> FromArgMatches for SettingFlags<GROUP> {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(SettingFlags)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

/// `--online` and `--no-online`: the last of them counts.
fn switch(setting: &Setting, long: &'static str, off: &'static str) -> [Arg; 2] {
    let flag = |id, long| Arg::new(id).long(long).action(ArgAction::SetTrue);
    let on = flag(setting.key, long).help(setting.about).overrides_with(off);
    [on, flag(off, off).help(format!("Switches --{long} off")).overrides_with(setting.key)]
}

/// The flags of settings that were given, whichever command has them.
pub(in crate::cli) fn overrides(matches: &ArgMatches) -> Overrides {
    let levels = std::iter::successors(Some(matches), |matches| Some(matches.subcommand()?.1));
    let given = |matches: &ArgMatches| {
        let is_given = |flag: &str| matches.try_get_one::<bool>(flag).ok().flatten() == Some(&true);
        let text = |setting: &Setting| match setting.form {
            Form::Switch { .. } if is_given(setting.key) => Some("true".to_owned()),
            Form::Switch { off } => is_given(off).then(|| "false".to_owned()),
            _ => matches.try_get_one::<String>(setting.key).ok()?.cloned(),
        };
        SETTINGS.iter().filter_map(|setting| Some((setting.key, text(setting)?))).collect::<Vec<_>>()
    };
    levels.flat_map(given).collect()
}
