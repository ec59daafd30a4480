//! The flags of settings, made from the table of the settings. It knows no setting by name.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::inputs::{Commands, Overrides, Setting};

/// The flags of all commands that read the tenant file.
pub(in crate::cli) type RunFlags = SettingFlags<false>;

/// The flags that only commands which migrate have.
pub(in crate::cli) type ChangeFlags = SettingFlags<true>;

/// The flags of settings that were given.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct SettingFlags<const CHANGES: bool>(Overrides);

impl<const CHANGES: bool> SettingFlags<CHANGES> {
    const COMMANDS: Commands = if CHANGES { Commands::Changes } else { Commands::All };

    pub(in crate::cli) fn overrides(&self) -> Overrides {
        self.0.clone()
    }
}

impl<const CHANGES: bool> Args for SettingFlags<CHANGES> {
    fn augment_args(command: Command) -> Command {
        let command = if CHANGES { command } else { command.next_help_heading("Run") };
        command.args(Setting::with_flag(Self::COMMANDS).map(|(setting, long)| {
            let form = setting.form;
            let arg = Arg::new(setting.key).long(long).value_name(form.placeholder()).help(setting.about);
            arg.value_parser(move |text: &str| form.parse_flag(text))
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const CHANGES: bool> FromArgMatches for SettingFlags<CHANGES> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given =
            |(setting, _): (&'static Setting, _)| Some((setting.key, matches.get_one::<String>(setting.key)?.clone()));
        Ok(SettingFlags(Setting::with_flag(Self::COMMANDS).filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
